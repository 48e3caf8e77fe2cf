"""The policy that a server starts with."""

from __future__ import annotations

import pytest
from tests.policy.world import NOW, PROFILES, person, scope_of, wish_of

from loglease.model.principal import directory_of
from loglease.policy import Bundle, Decision, Outside, decide, default_files, load, run_tests

ADMIN = person("admin", "approvers")
ENGINEER = person("eve")


def default(*sources: str) -> Bundle:
    bundle = load(default_files(sources), revision=1, outside=Outside(profiles=PROFILES))
    assert isinstance(bundle, Bundle), [one.render() for one in bundle]
    return bundle


def asked(bundle: Bundle, source: str = "files", *, alone: bool = False, hours: float = 24) -> Decision:
    people = [ADMIN] if alone else [ADMIN, ENGINEER]
    wish = wish_of(scope_of("{}", source=source, level=None, live=True, hours=hours), ticket=None, duration_s=99999)
    return decide(
        bundle, wish, ADMIN if alone else ENGINEER, directory=directory_of(people), now=NOW, profiles=PROFILES
    )


def test_its_own_tests_pass() -> None:
    bundle = default("files", "syslog")
    assert bundle.warnings == ()
    results = run_tests(bundle)
    assert len(results) == 6
    assert all(one.ok for one in results), [one.render() for one in results]


def test_anybody_signed_in_may_ask_for_any_stream_of_each_source_for_an_hour() -> None:
    bundle = default("syslog", "files")
    for source in ("files", "syslog"):
        (offer,) = asked(bundle, source).offers
        assert offer.terms.duration_s == 3600
        assert offer.need == 1
        assert offer.plans[0].stages[0].blocks[0].approvers == ("group:approvers",)
        assert offer.terms.scopes[0].profile == "pii-default@7"
        assert offer.terms.limits.lines == 200_000


def test_other_sources_and_older_events_are_denied() -> None:
    bundle = default("files")
    assert not asked(bundle, "syslog").offers
    assert not asked(bundle, hours=24.1).offers


def test_while_there_is_only_one_person_the_refusal_says_how_to_add_one() -> None:
    refusal = asked(default("files"), alone=True).refusal
    assert refusal is not None
    assert refusal.code == "no_eligible_approver"
    assert refusal.message.startswith("Nobody but you may approve this.")
    assert "loglease admin user add" in (refusal.next_step or "")


def test_without_sources_everything_is_denied() -> None:
    assert default_files([]) == {}
    assert not asked(default()).offers


def test_two_servers_with_the_same_sources_have_the_same_policy() -> None:
    assert default("a-logs", "b-logs").hash == default("b-logs", "a-logs", "a-logs").hash
    assert default("a-logs").hash != default("b-logs").hash


@pytest.mark.parametrize("name", ['x"], all: [y', "x: y", "no", "a\nb", "EMBEDDED_SOURCES", "ü", "'"])
def test_a_name_cannot_break_out_of_its_place(name: str) -> None:
    loaded = load(default_files([name]))
    if isinstance(loaded, Bundle):
        assert loaded.policies[0].scopes[0].sources == (name,)
