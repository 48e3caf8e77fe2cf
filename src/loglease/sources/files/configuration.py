"""What an operator configures of a file source, and the check that finds all mistakes at once.

Labels come from here and from named groups over a file's path, never from the content of a line: whoever writes a log
must not choose who may read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import re2

from loglease.model.errors import DurationInvalid
from loglease.model.instant import parse_duration
from loglease.sources.faults import LABEL_NAME, Faults
from loglease.sources.files.formats import FORMATS

OFFSET: Final = re.compile(r"[+-]\d\d:[0-5]\d")
SIZE: Final = re.compile(r"(\d{1,15})(B|KiB|MiB|GiB|TiB)?")
_SIZES: Final = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
MAX_LABELS: Final = 15
TRACE: Final = "trace"
START: Final = "start:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Files to read: those under `root` that `pattern` matches.

    Attributes:
        pattern: a glob relative to `root`; ``**`` crosses folders.
        labels: labels of every line.
        path_labels: RE2 over the path relative to `root`; its named groups are labels. Files it does not match are
            not read.
        timestamp: ``auto`` or the name of a time format.
        zone: zone of times that name none, ``Europe/Berlin`` or ``+02:00``.
        multiline: None, ``trace``, or ``start: <RE2>`` for the first line of an entry.
    """

    root: Path
    pattern: str
    labels: Mapping[str, str] = field(default_factory=dict)
    path_labels: str | None = None
    timestamp: str = "auto"
    zone: str = "UTC"
    multiline: str | None = None

    @property
    def key(self) -> str:
        """What positions of this watch are stored under."""
        return f"{self.root}\0{self.pattern}"

    @property
    def label_names(self) -> frozenset[str]:
        """The labels that streams of this watch can have."""
        groups = re2.compile(self.path_labels, quiet()).groupindex if self.path_labels else {}
        return frozenset(self.labels) | frozenset(groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """When whole segments go: by age in seconds, by size in bytes; None keeps."""

    age_s: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSourceConfig:
    """One file source. `directory` is its own; nothing else may write there.

    Attributes:
        linger_s: how long a file is kept open after its last line, once no name of it matches any more.
        unlinked_linger_s: the same for a file without any name.
        open_files: how many files of a watch stay open that have nothing new; a server needs descriptors for clients.
    """

    name: str
    directory: Path
    watches: tuple[Watch, ...] = ()
    retention: Retention = field(default_factory=Retention)
    description: str = ""
    trusted_labels: frozenset[str] | None = None
    clear_labels: frozenset[str] = frozenset()
    compress: bool = False
    poll_interval_s: float = 0.2
    unfinished_line_s: float = 5.0
    group_wait_s: float = 1.0
    linger_s: float = 60.0
    unlinked_linger_s: float = 6.0
    open_files: int = 128
    segment_bytes: int = 64 << 20
    block_bytes: int = 256 << 10
    max_line_bytes: int = 1 << 20

    @property
    def label_names(self) -> frozenset[str]:
        """The labels that a scope may name: those configured as trusted, else all that the watches give."""
        if self.trusted_labels is not None:
            return self.trusted_labels
        return frozenset().union(*(watch.label_names for watch in self.watches))


def quiet() -> re2.Options:
    """Return options that keep RE2 from writing operators' patterns to standard error."""
    options = re2.Options()
    options.log_errors = False
    return options


def file_source_config(name: str, raw: Mapping[str, Any], *, directory: Path, base: Path) -> FileSourceConfig:
    """Return the configuration of one source from the mapping of a configuration file.

    Args:
        name: name of the source, as scopes name it.
        raw: keys ``watches``, ``retention``, ``description``, ``trusted_labels``, ``clear_labels``, ``compress``,
            ``directory``.
        directory: where the source stores its lines unless ``directory`` says otherwise.
        base: folder against which relative paths are meant.

    Raises:
        InvalidField: with one fault for every mistake, each naming its field and the remedy.
    """
    faults = Faults("file source")
    faults.unknown("", raw, ("kind", "watches", "retention", "description", "trusted_labels", "clear_labels",
                             "compress", "directory"))  # fmt: skip
    watches = tuple(
        _watch(faults, f"/watches/{index}", item, base)
        for index, item in enumerate(faults.sequence("/watches", raw.get("watches", ())))
    )
    own = raw.get("directory")
    trusted = raw.get("trusted_labels")
    configuration = FileSourceConfig(
        name=name,
        directory=base / faults.text("/directory", own) if own is not None else directory,
        watches=tuple(watch for watch in watches if watch is not None),
        retention=_retention(faults, raw.get("retention")),
        description=faults.text("/description", raw.get("description", "")),
        trusted_labels=None if trusted is None else faults.names("/trusted_labels", trusted),
        clear_labels=faults.names("/clear_labels", raw.get("clear_labels", ())),
        compress=faults.flag("/compress", raw.get("compress", False)),
    )
    faults.raise_any(name)
    return validated(configuration)


def validated(configuration: FileSourceConfig) -> FileSourceConfig:
    """Return the configuration with its paths made absolute.

    Raises:
        InvalidField: with one fault for every mistake.
    """
    faults = Faults("file source")
    for index, watch in enumerate(configuration.watches):
        _check_watch(faults, f"/watches/{index}", watch)
    keys = [watch.key for watch in configuration.watches]
    if len(set(keys)) != len(keys):
        faults.add("/watches", "Two watches have the same root and pattern: remove one.")
    faults.raise_any(configuration.name)
    unknown = configuration.clear_labels - configuration.label_names
    if unknown:
        faults.add("/clear_labels", f"{_list(unknown)}: no trusted label has this name; correct or remove it.")
    if configuration.retention.age_s is not None and configuration.retention.age_s < 1:
        faults.add("/retention/age", "Write an age such as 7d, or leave it out to keep everything.")
    if configuration.retention.size_bytes is not None and configuration.retention.size_bytes < 1 << 20:
        faults.add("/retention/size", "Write a size of at least 1MiB, or leave it out to keep everything.")
    faults.raise_any(configuration.name)
    watches = tuple(replace(watch, root=watch.root.absolute()) for watch in configuration.watches)
    return replace(configuration, watches=watches, directory=configuration.directory.absolute())


def _watch(faults: Faults, pointer: str, raw: object, base: Path) -> Watch | None:
    fields = faults.mapping(pointer, raw)
    faults.unknown(pointer, fields, ("root", "pattern", "labels", "path_labels", "timestamp", "zone", "multiline"))
    missing = [key for key in ("root", "pattern") if key not in fields]
    for key in missing:
        faults.add(f"{pointer}/{key}", "This field is required: the folder to read and the pattern of files under it.")
    if missing:
        return None
    labels = {
        key: faults.text(f"{pointer}/labels/{key}", value)
        for key, value in faults.mapping(f"{pointer}/labels", fields.get("labels", {})).items()
    }
    optional = {
        key: faults.text(f"{pointer}/{key}", fields[key])
        for key in ("path_labels", "timestamp", "zone", "multiline")
        if fields.get(key) is not None
    }
    return Watch(
        root=base / faults.text(f"{pointer}/root", fields["root"]),
        pattern=faults.text(f"{pointer}/pattern", fields["pattern"]),
        labels=labels,
        **optional,
    )


def _retention(faults: Faults, raw: object) -> Retention:
    fields = faults.mapping("/retention", {} if raw is None else raw)
    faults.unknown("/retention", fields, ("age", "size"))
    age = size = None
    if "age" in fields:
        try:
            age = parse_duration(faults.text("/retention/age", fields["age"]))
        except DurationInvalid as error:
            faults.add("/retention/age", f"{error.message} {error.next_step or ''}")
    if "size" in fields:
        match = SIZE.fullmatch(str(fields["size"]))
        if match is None:
            faults.add("/retention/size", "Write a size such as 500MiB or 20GiB.")
        else:
            size = int(match[1]) * _SIZES[match[2]]
    return Retention(age_s=age, size_bytes=size)


def _check_watch(faults: Faults, pointer: str, watch: Watch) -> None:
    pattern = PurePosixPath(watch.pattern)
    if not watch.pattern or pattern.is_absolute() or ".." in pattern.parts:
        faults.add(f"{pointer}/pattern", "Write a pattern relative to root, such as *.log or **/*.log, without `..`.")
    for label, value in watch.labels.items():
        if not LABEL_NAME.fullmatch(label) or label.startswith("__"):
            faults.add(f"{pointer}/labels/{label}", "A label name has letters, digits and _, and no digit first.")
        if not value or len(value.encode()) > 2_048:  # noqa: PLR2004 - the limit of every source
            faults.add(f"{pointer}/labels/{label}", "A label value has 1 to 2,048 bytes; leave an empty label out.")
    groups = _groups(faults, f"{pointer}/path_labels", watch.path_labels)
    if both := groups & set(watch.labels):
        faults.add(f"{pointer}/path_labels", f"{_list(both)}: also in labels; keep one of the two.")
    if not 0 < len(groups | set(watch.labels)) <= MAX_LABELS:
        faults.add(f"{pointer}/labels", f"A stream needs 1 to {MAX_LABELS} labels, such as service: pay-api.")
    if watch.timestamp != "auto" and watch.timestamp not in FORMATS:
        faults.add(f"{pointer}/timestamp", f"Write auto or one of {', '.join(sorted(FORMATS))}.")
    if not _zone_exists(watch.zone):
        faults.add(f"{pointer}/zone", "Write a zone such as UTC, Europe/Berlin or +02:00.")
    _check_multiline(faults, f"{pointer}/multiline", watch.multiline)


def _groups(faults: Faults, pointer: str, pattern: str | None) -> set[str]:
    if pattern is None:
        return set()
    try:
        groups = set(re2.compile(pattern, quiet()).groupindex)
    except re2.error:
        faults.add(pointer, "This is no RE2 pattern; an example is (?P<service>[^/]+)/.*\\.log.")
        return set()
    if not groups:
        faults.add(pointer, "It has no named group, so it gives no label: write (?P<name>…).")
    return groups


def _check_multiline(faults: Faults, pointer: str, rule: str | None) -> None:
    if rule is None or rule == TRACE:
        return
    if not rule.startswith(START) or not rule.removeprefix(START).strip():
        faults.add(pointer, "Write trace, or start: and an RE2 pattern that the first line of each entry matches.")
        return
    try:
        re2.compile(rule.removeprefix(START).strip().encode(), quiet())
    except re2.error:
        faults.add(pointer, "The part after start: is no RE2 pattern.")


def _zone_exists(zone: str) -> bool:
    if OFFSET.fullmatch(zone):
        return True
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _list(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names))
