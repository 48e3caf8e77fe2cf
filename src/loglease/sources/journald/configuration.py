"""What an operator configures of a journald source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loglease.sources.faults import Faults
from loglease.sources.remote import (
    SHARED,
    address_of,
    authorization_of,
    ca_file_of,
    labels_of_source,
    timeouts_of,
)
from loglease.sources.transport import Upstream

DEFAULT_LABELS: Final = frozenset({"hostname", "systemd_unit", "transport", "uid"})
MANY_VALUES: Final = frozenset({"pid", "source_realtime_timestamp", "source_monotonic_timestamp", "cmdline"})
"""Fields with a value of their own in nearly every line: as labels they would make a stream of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournaldConfig:
    """One journald source. Its labels are exactly the trusted ones."""

    name: str
    upstream: Upstream
    label_names: frozenset[str] = DEFAULT_LABELS
    clear_labels: frozenset[str] = frozenset()
    description: str = ""


def journald_config(name: str, raw: Mapping[str, Any], *, base: Path) -> JournaldConfig:
    """Return the configuration of one source from the mapping of a configuration file.

    Args:
        base: folder against which relative paths are meant.

    Raises:
        InvalidField: with one fault for every mistake.
    """
    faults = Faults("journald source")
    faults.unknown("", raw, SHARED)
    upstream = Upstream(
        name=name,
        address=address_of(faults, raw),
        authorization=authorization_of(faults, raw, base),
        ca_file=ca_file_of(faults, raw, base),
        timeouts=timeouts_of(faults, raw),
    )
    faults.flag("/insecure_http", raw.get("insecure_http", False))
    trusted, clear = labels_of_source(faults, raw, DEFAULT_LABELS)
    for label in sorted(trusted):
        if label.startswith("_") or label != label.lower() or label in MANY_VALUES:
            faults.add(
                "/trusted_labels",
                f"{label!r}: write a field that journald sets itself, in small letters without its first _, such as "
                "systemd_unit for _SYSTEMD_UNIT; not one with another value in each line.",
            )
    description = faults.text("/description", raw.get("description", ""))
    faults.raise_any(name)
    return JournaldConfig(
        name=name, upstream=upstream, label_names=trusted, clear_labels=clear, description=description
    )
