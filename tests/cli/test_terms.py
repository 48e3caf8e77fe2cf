from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cli.resources import REQUEST, terms

from loglease.cli.errors import TermsForged
from loglease.cli.terms import checked_terms, digest_words, plan_words
from loglease.model.digest import SALT_BYTES, commitment, sha256_hex


def test_the_words_come_from_the_digested_bytes() -> None:
    shown = checked_terms(terms())
    assert shown.request == REQUEST
    assert shown.words.startswith("warn and above of service pay-api from files, events from ")
    assert shown.words.endswith("live until the grant ends, masked by pii-default@1, for 30m, at most 1,000 lines")
    assert shown.selectors == '{service="pay-api"} on files'
    assert (shown.reason, shown.plans) == ("checkout fails", ("1 approval of leads",))
    assert shown.risks() == ["Live tail: events that are still to come are included."]


def forged_bytes(answer: dict[str, Any]) -> None:
    answer["terms"] = answer["terms"].replace('"duration_s":1800', '"duration_s":9999')


def forged_digest(answer: dict[str, Any]) -> None:
    answer["digest"] = "00" * 32


def forged_reason(answer: dict[str, Any]) -> None:
    answer["private"]["reason_c"][1] = "harmless"


def forged_rule(answer: dict[str, Any]) -> None:
    answer["private"]["rule:level_from=warn"][1] = "level_from=fatal"


def hidden_rule(answer: dict[str, Any]) -> None:
    del answer["private"]["rule:level_from=warn"]


def no_json(answer: dict[str, Any]) -> None:
    answer["terms"] = "{"
    answer["digest"] = sha256_hex(b"{")


def unknown_test(answer: dict[str, Any]) -> None:
    body = json.loads(answer["terms"])
    body["offer"]["scopes"][0]["selector"][0]["op"] = "resembles"
    answer["terms"] = json.dumps(body)
    answer["digest"] = sha256_hex(answer["terms"].encode())


@pytest.mark.parametrize(
    "forge", [forged_bytes, forged_digest, forged_reason, forged_rule, hidden_rule, no_json, unknown_test]
)
def test_nothing_forged_is_shown(forge: Any) -> None:
    answer = terms()
    forge(answer)
    with pytest.raises(TermsForged):
        checked_terms(answer)


def test_a_reason_that_one_may_not_read_is_said_to_be_hidden() -> None:
    answer = terms()
    del answer["private"]["reason_c"]
    assert checked_terms(answer).reason == "(not shown to you)"


def bound_terms(network: str = "203.0.113.7", **offer: Any) -> dict[str, Any]:
    """Return terms that are bound to a network."""
    answer = terms()
    body, salt = json.loads(answer["terms"]), bytes(SALT_BYTES)
    body["offer"] |= {"bind": ["network"], **offer}
    body["wish"]["network_c"] = commitment(salt, b"203.0.113.7")
    answer["terms"] = json.dumps(body)
    answer["digest"] = sha256_hex(answer["terms"].encode())
    answer["private"]["network_c"] = [salt.hex(), network]
    return answer


def test_a_network_that_binds_is_opened_against_the_digested_bytes() -> None:
    assert checked_terms(terms()).bound == ""
    assert checked_terms(bound_terms()).bound == "only from address 203.0.113.7"
    with pytest.raises(TermsForged, match="network"):
        checked_terms(bound_terms("corp"))
    with pytest.raises(TermsForged):
        checked_terms(bound_terms(bind=["network", "device"]))
    hidden = bound_terms()
    del hidden["private"]["network_c"]
    assert checked_terms(hidden).bound == "(not shown to you)"


@pytest.mark.parametrize(("said", "linkable"), [(None, ""), ("team_day", "on one day"), ("deployment", "for good")])
def test_what_becomes_linkable_is_told_from_the_digested_bytes(said: str | None, linkable: str) -> None:
    answer = terms()
    body = json.loads(answer["terms"])
    body["offer"] |= {} if said is None else {"pseudonyms": said}
    answer["terms"] = json.dumps(body)
    answer["digest"] = sha256_hex(answer["terms"].encode())
    found = checked_terms(answer).linkable
    assert linkable in found
    assert bool(found) == (said is not None)


def test_a_scope_of_pseudonyms_that_is_not_known_is_no_scope() -> None:
    answer = terms()
    body = json.loads(answer["terms"])
    body["offer"]["pseudonyms"] = "galaxy"
    answer["terms"] = json.dumps(body)
    answer["digest"] = sha256_hex(answer["terms"].encode())
    with pytest.raises(TermsForged):
        checked_terms(answer)


def test_plans_are_said_in_words() -> None:
    leads = {"from": ["group:leads", "user:bob"], "need": 2}
    assert plan_words([leads, {"any_of": [leads, {"from": ["group:dpo"], "need": 1}]}]) == (
        "2 approvals of leads or bob, then 2 approvals of leads or bob or 1 approval of dpo"
    )
    assert plan_words([]) == "no approval"


def test_a_digest_is_grouped_for_comparing() -> None:
    assert digest_words("ab" * 32).replace(" ", "") == "ab" * 32
