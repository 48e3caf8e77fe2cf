"""Engines: three ways to find the places worth a closer look, all leading to the same output."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from loglease.redaction.engine.hyperscan_engine import HyperscanEngine
from loglease.redaction.engine.interface import Engine, Hit, Scanner
from loglease.redaction.engine.python_engine import PythonEngine
from loglease.redaction.engine.re2_engine import Re2Engine
from loglease.redaction.errors import EngineUnavailable

# In order of preference.
ENGINES: Final[Mapping[str, Engine]] = MappingProxyType(
    {
        "hyperscan": HyperscanEngine(),
        "re2": Re2Engine(),
        "python": PythonEngine(),
    }
)


def engine_named(name: str) -> Engine:
    """Return one engine by name.

    Raises:
        EngineUnavailable: there is no engine of that name.
    """
    found = ENGINES.get(name)
    if found is None:
        raise EngineUnavailable(f"there is no engine {name!r}; there are {', '.join(ENGINES)}")
    return found


__all__ = ["ENGINES", "Engine", "EngineUnavailable", "Hit", "Scanner", "engine_named"]
