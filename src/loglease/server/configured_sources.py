"""The configured sources: each kind's reader from its part of the settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from loglease.model.clock import Clock
from loglease.model.errors import FieldFault, InvalidField
from loglease.server.settings import Settings, SettingsInvalid
from loglease.sources.files import FileSource, FileSourceConfig, file_source_config
from loglease.sources.registry import Source, Sources

FILES: Final = "files"
INBOX: Final = "logs"
"""The directory that a server without configured sources reads: ``<service>.log`` or ``<service>/….log``."""

_INBOX: Final[dict[str, Any]] = {
    "description": "Log files in the data directory",
    "watches": [
        {"root": ".", "pattern": "*.log", "path_labels": r"(?P<service>[A-Za-z0-9_.-]+)\.log"},
        {"root": ".", "pattern": "*/**/*.log", "path_labels": r"(?P<service>[A-Za-z0-9_.-]+)/.*"},
    ],
    "clear_labels": ["service"],
}


def source_configurations(settings: Settings) -> list[FileSourceConfig]:
    """Return the configuration of each source, all mistakes together.

    Raises:
        SettingsInvalid: with one fault for each mistake.
    """
    faults: list[FieldFault] = []
    found: list[FileSourceConfig] = []
    for name, raw in (settings.sources or {FILES: _INBOX}).items():
        kind = raw.get("kind", FILES)
        if kind != FILES:
            faults.append(
                FieldFault(f"sources.{name}.kind", "unknown", f"{kind!r} is no kind of source; use {FILES!r}.")
            )
            continue
        base = settings.data_dir if settings.sources else settings.data_dir / INBOX
        try:
            found.append(file_source_config(name, raw, directory=settings.data_dir / "sources" / name, base=base))
        except InvalidField as error:
            given = error.faults or (FieldFault("", error.code, error.message),)
            faults += [replace(one, pointer=f"sources.{name}{one.pointer.replace('/', '.')}") for one in given]
    if faults:
        raise SettingsInvalid(
            f"The sources have {len(faults)} mistake{'s' * (len(faults) != 1)}.",
            next_step="Correct them: docs/reference/configuration.md has every setting.",
            faults=tuple(faults),
        )
    return found


async def open_sources(settings: Settings, clock: Clock) -> Sources:
    """Start a reader for each configured source.

    Raises:
        SettingsInvalid: the configuration has mistakes.
        SourceUnavailable: a reader's directory cannot be used.
    """
    if not settings.sources:
        (settings.data_dir / INBOX).mkdir(mode=0o700, parents=True, exist_ok=True)
    found: list[Source] = []
    try:
        for configuration in source_configurations(settings):
            configuration.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            reader = FileSource(configuration, clock)
            await reader.start()
            found.append(
                Source(
                    name=configuration.name,
                    kind=FILES,
                    reader=reader,
                    trusted_labels=configuration.label_names,
                    clear_labels=configuration.clear_labels,
                    description=configuration.description,
                )
            )
    except BaseException:
        await Sources(found).aclose()
        raise
    return Sources(found)


def inbox_of(settings: Settings) -> Path | None:
    """Return the directory to put logs into, where no source is configured."""
    return None if settings.sources else settings.data_dir / INBOX
