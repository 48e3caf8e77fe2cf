"""The configured sources: each kind's reader from its part of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from loglease.model.clock import Clock
from loglease.model.errors import FieldFault, InvalidField
from loglease.server.settings import Settings, SettingsInvalid
from loglease.sources.files import FileSource, FileSourceConfig, file_source_config
from loglease.sources.interface import Reader
from loglease.sources.journald import JournaldConfig, JournaldReader, journald_config
from loglease.sources.loki import LokiConfig, LokiReader, loki_config
from loglease.sources.registry import Source, Sources
from loglease.sources.victorialogs import VictoriaLogsConfig, VictoriaLogsReader, victorialogs_config

FILES: Final = "files"
VICTORIALOGS: Final = "victorialogs"
JOURNALD: Final = "journald"
LOKI: Final = "loki"
KINDS: Final = (FILES, JOURNALD, LOKI, VICTORIALOGS)
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

RemoteConfig = JournaldConfig | LokiConfig | VictoriaLogsConfig
SourceConfig = FileSourceConfig | RemoteConfig


def source_configurations(settings: Settings) -> list[SourceConfig]:
    """Return the configuration of each source, all mistakes together.

    Raises:
        SettingsInvalid: with one fault for each mistake.
    """
    faults: list[FieldFault] = []
    found: list[SourceConfig] = []
    for name, raw in (settings.sources or {FILES: _INBOX}).items():
        kind = raw.get("kind", FILES)
        if kind not in KINDS:
            known = ", ".join(KINDS)
            faults.append(FieldFault(f"sources.{name}.kind", "unknown", f"{kind!r} is no kind of source; use {known}."))
            continue
        try:
            found.append(_configuration(kind, name, raw, settings))
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


def _configuration(kind: str, name: str, raw: Mapping[str, Any], settings: Settings) -> SourceConfig:
    if kind == VICTORIALOGS:
        return victorialogs_config(name, raw, base=settings.data_dir)
    if kind == JOURNALD:
        return journald_config(name, raw, base=settings.data_dir)
    if kind == LOKI:
        return loki_config(name, raw, base=settings.data_dir)
    base = settings.data_dir if settings.sources else settings.data_dir / INBOX
    return file_source_config(name, raw, directory=settings.data_dir / "sources" / name, base=base)


async def open_sources(settings: Settings, clock: Clock) -> Sources:
    """Start a reader for each configured source.

    Raises:
        SettingsInvalid: the configuration has mistakes.
        SourceUnavailable: a reader's directory cannot be used. A store that does not answer is no reason not to start.
    """
    if not settings.sources:
        (settings.data_dir / INBOX).mkdir(mode=0o700, parents=True, exist_ok=True)
    found: list[Source] = []
    try:
        for configuration in source_configurations(settings):
            kind, reader = await _opened(configuration, clock)
            found.append(source_of(configuration, kind, reader))
    except BaseException:
        await Sources(found).aclose()
        raise
    return Sources(found)


async def _opened(configuration: SourceConfig, clock: Clock) -> tuple[str, Reader]:
    if isinstance(configuration, FileSourceConfig):
        configuration.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = FileSource(configuration, clock)
        await files.start()
        return FILES, files
    return remote_reader(configuration, clock)


def remote_reader(configuration: RemoteConfig, clock: Clock) -> tuple[str, Reader]:
    """Return the kind and the reader of a store behind HTTP; it connects when it is first read."""
    if isinstance(configuration, JournaldConfig):
        return JOURNALD, JournaldReader(configuration, clock)
    if isinstance(configuration, LokiConfig):
        return LOKI, LokiReader(configuration, clock)
    return VICTORIALOGS, VictoriaLogsReader(configuration, clock)


def source_of(configuration: SourceConfig, kind: str, reader: Reader) -> Source:
    """Return a source as the rest of the program knows it."""
    return Source(
        name=configuration.name,
        kind=kind,
        reader=reader,
        trusted_labels=configuration.label_names,
        clear_labels=configuration.clear_labels,
        description=configuration.description,
    )


def inbox_of(settings: Settings) -> Path | None:
    """Return the directory to put logs into, where no source is configured."""
    return None if settings.sources else settings.data_dir / INBOX
