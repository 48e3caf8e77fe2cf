"""A bundle in which one policy is the cheaper way around another one."""

from __future__ import annotations

import pytest
from tests.policy.world import APPROVERS, CATALOG, PAYMENTS, SRE, STAGING, bundle_of

from loglease.policy.undercuts import undercuts

OPEN = """\
api: loglease/v1
kind: AccessPolicy
id: sre-open
who: {any_of: [group:sre]}
scopes: [{sources: [prod-logs], labels: {env: prod, data_class: internal}, lookback: 1h}]
grant: {duration: {max: 1h}, redaction: strict}
approve: [{otherwise: true, auto: true}]
"""


def test_the_cheaper_policy_is_named_with_whom_and_what() -> None:
    bundle = bundle_of(CATALOG, SRE, OPEN)
    (found,) = undercuts(bundle)
    assert (found.code, str(found.severity)) == ("P420", "warning")
    assert found.at == next(one.at for one in bundle.policies if one.id == "sre-open")
    assert found.message.startswith("'sre-open' overlaps sre-prod: automatic instead of 1 approval, for group:sre on")


def test_policies_of_one_price_or_without_common_streams_are_fine() -> None:
    assert undercuts(bundle_of(CATALOG, PAYMENTS, SRE, APPROVERS)) == []
    assert undercuts(bundle_of(CATALOG, STAGING, SRE)) == []


def test_a_large_bundle_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.policy.undercuts.MAX_COMPARED", 1)
    assert undercuts(bundle_of(CATALOG, SRE, OPEN)) == []
