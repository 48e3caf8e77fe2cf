"""What may be asked for of each label, as policy knows it."""

from __future__ import annotations

from tests.policy.world import APPROVERS, BOT, CATALOG, DIRECTORY, MARIA, PAYMENTS, SAM, bundle_of

from loglease.model.principal import Principal
from loglease.policy import Askable, People, askable

LABELS = ("env", "service", "team")
WIDER = """\
api: loglease/v1
kind: AccessPolicy
id: wider
title: Two services anywhere but in production
who: {kinds: [human], any_of: [group:payments-eng]}
scopes:
  - sources: [prod-logs]
    labels: {env: {any: true, except: [prod]}, service: [billing, ledger]}
    lookback: 1h
grant: {duration: {default: 30m, max: 1h}, redaction: secrets}
approve: [{otherwise: true, stages: [{from: [group:payments-leads], need: 1}]}]
"""


def found(principal: Principal, *documents: str, source: str = "prod-logs") -> dict[str, Askable]:
    loaded = bundle_of(CATALOG, APPROVERS, *documents)
    return dict(askable(loaded, principal, people=People(DIRECTORY), source=source, labels=LABELS))


def test_a_policy_for_somebody_names_values_and_what_is_open() -> None:
    one = found(MARIA, PAYMENTS)
    assert one["env"] == Askable(frozenset({"prod"}), open=False)
    assert one["service"] == Askable(frozenset(), open=True), "a prefix names no value"
    assert one["team"] == Askable(frozenset(), open=True), "whatever is not constrained may have any value"


def test_several_policies_add_up_and_a_catalog_closes_what_is_open() -> None:
    both = found(MARIA, PAYMENTS, WIDER)
    assert both["env"] == Askable(frozenset({"dev", "prod", "staging"}), open=False)
    assert both["service"] == Askable(frozenset({"billing", "ledger"}), open=True)
    assert found(MARIA, WIDER)["env"] == Askable(frozenset({"dev", "staging"}), open=False)


def test_what_no_policy_of_ones_own_covers_is_not_listed() -> None:
    assert found(MARIA, PAYMENTS, source="staging-logs") == {}
    assert found(BOT, PAYMENTS) == {}
    assert found(SAM, WIDER) == {}
