"""The Merkle vectors of transparency-dev/merkle (Apache-2.0), read from where LOGLEASE_MERKLE_VECTORS says."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "LOGLEASE_MERKLE_VECTORS"
ABSENT: Final = (
    f"ABSENT: the Merkle vectors of transparency-dev/merkle. Set {VARIABLE} to the folder `testdata` of that project."
)


def folder() -> Path | None:
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def vectors(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and content of the vectors of a kind, ``inclusion`` or ``consistency``."""
    found = folder()
    assert found is not None
    for path in sorted((found / kind).rglob("*.json")):
        yield str(path.relative_to(found)), json.loads(path.read_text())


def hashes(one: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(text or "") for text in one["proof"] or ()]


def root(one: dict[str, Any], name: str) -> bytes:
    return base64.b64decode(one[name] or "")
