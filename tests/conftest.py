"""What holds for every test: none depends on how fast the machine is, or on how another one left our own logs."""

from __future__ import annotations

import logging
import os
import sys

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# Workers, and the programs that tests start again and again, need not compile modules each time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

LONG = ("tests/machines/", "tests/races/", "tests/promises/test_2_silence")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest: at the end they would keep one worker busy after the others."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_runtest_setup() -> None:
    """Begin with logs as they are before anybody configures them."""
    structlog.reset_defaults()
    ours = logging.getLogger("loglease")
    ours.handlers, ours.propagate = [], True
