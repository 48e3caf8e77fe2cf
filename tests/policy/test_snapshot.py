"""A directory in a file: read strictly, and held against what documents name."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from tests.policy.world import APPROVERS, CATALOG, PAYMENTS, bundle_of, files_of

from loglease.model.errors import Malformed
from loglease.model.principal import Kind
from loglease.policy import complaints
from loglease.policy.snapshot import read_snapshot, unknown_groups

NOOR: dict[str, Any] = {
    "id": "prn_1", "issuer": "local", "account": "noor", "kind": "human", "person": "per_1", "name": "Noor",
    "groups": ["payments-leads"], "roles": [], "enabled": True, "something_new": {},
}  # fmt: skip


def snapshot(*items: dict[str, Any]) -> bytes:
    return json.dumps({"items": items}).encode()


def test_people_are_read() -> None:
    (noor,) = read_snapshot(snapshot(NOOR)).principals.values()
    assert (noor.account, noor.kind, noor.person, noor.groups, noor.enabled) == (
        "noor", Kind.HUMAN, "per_1", frozenset({"payments-leads"}), True
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "'items'"),
        (b'{"items": [1]}', "items[0]"),
        (snapshot(NOOR, NOOR), "one id"),
        *((snapshot(NOOR | {field: 1}), f"items[0].{field}") for field in ("id", "account", "kind", "person", "groups", "enabled")),
        (snapshot(NOOR | {"groups": [1]}), "items[0].groups"),
        (snapshot(NOOR | {"kind": "robot"}), "items[0].kind"),
        (snapshot(NOOR | {"person": ""}), "items[0].person"),
    ],
)  # fmt: skip
def test_what_is_no_directory_is_refused_with_a_place(content: bytes, where: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_snapshot(content)
    assert where in refused.value.message


def test_too_much_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.policy.snapshot.MAX_SNAPSHOT_BYTES", 3)
    with pytest.raises(Malformed):
        read_snapshot(b"[  ]")


def test_groups_that_nobody_is_in_are_named_where_they_are_declared() -> None:
    files = files_of(
        "api: loglease/v1\nkind: Catalog\nid: main\nnames:\n  groups: [payments-leads, payments-eng, everybody]\n",
        "a: b\n",
    )
    directory = read_snapshot(snapshot(NOOR | {"groups": ["payments-leads", "payments-engineers"], "enabled": False}))
    assert [(one.at.line, one.at.column, one.code, one.help) for one in unknown_groups(files, directory)] == [
        (5, 28, "P419", "did you mean 'payments-engineers'?")
    ]
    assert (
        unknown_groups(
            {"a.yaml": b"- a\n---\nkind: Catalog\nnames: x\n---\nkind: Catalog\nnames: {groups: x}\n"}, directory
        )
        == []
    )


def test_a_guardrail_whose_stage_nobody_could_complete_is_named() -> None:
    rail = "api: loglease/v1\nkind: Guardrail\nid: pii\napplies: {all_streams: true}\nrequire: {stage: {from: [group:privacy], need: 1}}\n"
    bundle = bundle_of(CATALOG, PAYMENTS, APPROVERS, rail)
    today = date(2026, 1, 1)
    found = complaints(bundle, today=today, directory=read_snapshot(snapshot(NOOR)))
    assert [one.message for one in found] == ["nobody could complete the stage that 'pii' demands"]
    assert complaints(bundle, today=today) == []
