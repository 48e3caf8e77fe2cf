from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loglease.model.errors import InvalidField
from loglease.sources.loki import LokiConfig, loki_config

GOOD: dict[str, Any] = {"address": "http://127.0.0.1:3100/", "trusted_labels": ["service"]}
FLAGS = ("X-Loki-Response-Encoding-Flags", "categorize-labels")


def config(folder: Path, **changes: Any) -> LokiConfig:
    return loki_config("shop", {**GOOD, **changes}, base=folder)


def test_little_is_enough(tmp_path: Path) -> None:
    found = config(tmp_path)
    assert found.upstream.headers == (FLAGS,)
    assert (found.structured_metadata, found.max_entries, found.policy_tenant) == (True, 5_000, None)


def test_everything_can_be_said(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        kind="loki",
        tenant="team-1",
        label_policy=True,
        compressed=True,
        max_entries=100,
        structured_metadata=False,
        clear_labels=["service"],
        description="The shop",
    )
    assert found.upstream.headers == (FLAGS, ("X-Scope-OrgID", "team-1"))
    assert found.upstream.compressed
    assert (found.structured_metadata, found.max_entries, found.policy_tenant) == (False, 100, "team-1")
    assert found.label_names == found.clear_labels == {"service"}
    assert found.description == "The shop"


@pytest.mark.parametrize(
    "changes",
    [
        {"tenant": "a|b"},
        {"tenant": ""},
        {"tenant": ".."},
        {"tenant": "a\r\nX-Other: b"},
        {"tenant": 7},
        {"label_policy": True},
        {"label_policy": "yes", "tenant": "a"},
        {"max_entries": 0},
        {"max_entries": 100_001},
        {"structured_metadata": "no"},
        {"compressed": 1},
        {"trusted_labels": []},
        {"delay_for": 1},
    ],
    ids=lambda changes: "-".join(f"{name}={value!r}"[:20] for name, value in changes.items()),
)
def test_a_mistake_is_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidField) as caught:
        config(tmp_path, **changes)
    assert [fault.pointer for fault in caught.value.faults] == [f"/{next(iter(changes))}"]


def test_trusted_labels_are_required(tmp_path: Path) -> None:
    with pytest.raises(InvalidField) as caught:
        loki_config("shop", {"address": "http://127.0.0.1:3100"}, base=tmp_path)
    assert [fault.pointer for fault in caught.value.faults] == ["/trusted_labels"]
