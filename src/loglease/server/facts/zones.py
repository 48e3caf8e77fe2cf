"""Which version of the time-zone data calendars are decided with."""

from __future__ import annotations

import importlib.metadata
import zoneinfo
from functools import cache
from pathlib import Path


@cache
def zones_version() -> str:
    """Return the version of the system's time-zone data, which comes first, or of the package `tzdata`."""
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / "UTC").exists():
            return _version_in(folder)
    return f"tzdata {importlib.metadata.version('tzdata')}"


def _version_in(folder: Path) -> str:
    """Return what a system says of its data: most keep the version in one of these two files."""
    for name in ("tzdata.zi", "+VERSION"):
        try:
            with (folder / name).open(encoding="ascii", errors="replace") as file:
                return f"system {file.readline().removeprefix('# version').strip()[:20]}"
        except OSError:
            continue
    return "system"
