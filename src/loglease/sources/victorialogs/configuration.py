"""What an operator configures of a VictoriaLogs source."""

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

MAX_TENANT: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VictoriaLogsConfig:
    """One VictoriaLogs source."""

    name: str
    upstream: Upstream
    label_names: frozenset[str]
    clear_labels: frozenset[str] = frozenset()
    description: str = ""


def victorialogs_config(name: str, raw: Mapping[str, Any], *, base: Path) -> VictoriaLogsConfig:
    """Return the configuration of one source from the mapping of a configuration file.

    Args:
        base: folder against which relative paths are meant.

    Raises:
        InvalidField: with one fault for every mistake.
    """
    faults = Faults("VictoriaLogs source")
    faults.unknown("", raw, (*SHARED, "tenant", "compressed"))
    tenant = faults.mapping("/tenant", raw.get("tenant", {}))
    faults.unknown("/tenant", tenant, ("account", "project"))
    numbers = {
        "AccountID": faults.number("/tenant/account", tenant.get("account", 0), MAX_TENANT),
        "ProjectID": faults.number("/tenant/project", tenant.get("project", 0), MAX_TENANT),
    }
    upstream = Upstream(
        name=name,
        address=address_of(faults, raw),
        headers=tuple((header, str(number)) for header, number in numbers.items()),
        authorization=authorization_of(faults, raw, base),
        ca_file=ca_file_of(faults, raw, base),
        timeouts=timeouts_of(faults, raw),
        compressed=faults.flag("/compressed", raw.get("compressed", False)),
    )
    faults.flag("/insecure_http", raw.get("insecure_http", False))
    if "trusted_labels" not in raw:
        faults.add("/trusted_labels", 'This field is required: the stream fields that scopes may name, ["service"].')
    trusted, clear = labels_of_source(faults, raw, frozenset())
    description = faults.text("/description", raw.get("description", ""))
    faults.raise_any(name)
    return VictoriaLogsConfig(
        name=name, upstream=upstream, label_names=trusted, clear_labels=clear, description=description
    )
