"""What an operator configures of a Loki source."""

from __future__ import annotations

import re
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

MAX_ENTRIES: Final = 5_000
"""What a Loki gives at once unless its operator said otherwise."""
MOST_ENTRIES: Final = 100_000
FLAGS: Final = ("X-Loki-Response-Encoding-Flags", "categorize-labels")
_TENANT: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9!_.*'()-]{1,150}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LokiConfig:
    """One Loki source.

    Attributes:
        structured_metadata: whether the store can tell stream labels from what a line says of itself, and has to.
        max_entries: the most lines that it gives at once.
        policy_tenant: the tenant in whose name each request repeats its selector as a label policy.
    """

    name: str
    upstream: Upstream
    label_names: frozenset[str]
    clear_labels: frozenset[str] = frozenset()
    description: str = ""
    structured_metadata: bool = True
    max_entries: int = MAX_ENTRIES
    policy_tenant: str | None = None


def loki_config(name: str, raw: Mapping[str, Any], *, base: Path) -> LokiConfig:
    """Return the configuration of one source from the mapping of a configuration file.

    Args:
        base: folder against which relative paths are meant.

    Raises:
        InvalidField: with one fault for every mistake.
    """
    faults = Faults("Loki source")
    faults.unknown("", raw, (*SHARED, "tenant", "compressed", "structured_metadata", "max_entries", "label_policy"))
    tenant = _tenant(faults, raw)
    upstream = Upstream(
        name=name,
        address=address_of(faults, raw),
        headers=(FLAGS, *([("X-Scope-OrgID", tenant)] if tenant else [])),
        authorization=authorization_of(faults, raw, base),
        ca_file=ca_file_of(faults, raw, base),
        timeouts=timeouts_of(faults, raw),
        compressed=faults.flag("/compressed", raw.get("compressed", False)),
    )
    faults.flag("/insecure_http", raw.get("insecure_http", False))
    if "trusted_labels" not in raw:
        faults.add("/trusted_labels", 'This field is required: the stream labels that scopes may name, ["service"].')
    trusted, clear = labels_of_source(faults, raw, frozenset())
    max_entries = faults.number("/max_entries", raw.get("max_entries", MAX_ENTRIES), MOST_ENTRIES)
    if raw.get("max_entries") == 0:
        faults.add(
            "/max_entries", "Write what max_entries_limit_per_query of the store is, 5000 unless it was changed."
        )
    label_policy = faults.flag("/label_policy", raw.get("label_policy", False))
    if label_policy and not tenant:
        faults.add("/label_policy", "A label policy names its tenant: write tenant, too.")
    structured = faults.flag("/structured_metadata", raw.get("structured_metadata", True))
    description = faults.text("/description", raw.get("description", ""))
    faults.raise_any(name)
    return LokiConfig(
        name=name,
        upstream=upstream,
        label_names=trusted,
        clear_labels=clear,
        description=description,
        structured_metadata=structured,
        max_entries=max_entries,
        policy_tenant=tenant if label_policy else None,
    )


def _tenant(faults: Faults, raw: Mapping[str, Any]) -> str | None:
    if "tenant" not in raw:
        return None
    tenant = faults.text("/tenant", raw["tenant"])
    if isinstance(raw["tenant"], str) and not _TENANT.fullmatch(tenant):
        faults.add("/tenant", "Name one tenant: up to 150 letters, digits and any of !-_.*'().")
    return tenant
