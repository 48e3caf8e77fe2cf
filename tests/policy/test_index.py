"""The index leaves out no policy that fits: what it finds offers what asking every policy offers."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from hypothesis import event, given
from hypothesis import strategies as st
from tests.policy.world import CATALOG, NOW, SAM, SRE, bundle_of, decided, person, scope_of, wish_of

from loglease.model.principal import Kind, Principal, directory_of
from loglease.model.scope import Level
from loglease.policy import Bundle
from loglease.policy.entries import rule_scope
from loglease.policy.people import People

NAMES = ("group:sre", "group:engineering", "group:everybody", "user:ada", "user:bob", "agent:ada", "service:ada")
SOURCES = ("prod-logs", "staging-logs")
SERVICES = ("pay-api", "[pay-api, auth-api]", "{prefix: pay-}", "[auth-api, {prefix: pay-}]")
TESTS = ('="pay-api"', '=~"pay-api|auth-api"', '=~"pay-.*"', '=~"auth-api|pay-.*"', '!="auth-api"')
Rules = list[tuple[str, dict[str, str]]]
PEOPLE = [
    person(name, *groups, kind=kind, id=f"prn_{kind}_{name}_{len(groups)}", person=f"per_{kind}_{name}")
    for name, kind, groups in itertools.product(("ada", "bob"), Kind, ((), ("sre",), ("sre", "engineering")))
]


class Drawn(NamedTuple):
    """What differs between the policies of a bundle."""

    names: list[str]
    sources: list[str]
    exclusive: bool


def bundle_with(drawn: list[Drawn]) -> Bundle:
    documents = [
        SRE.replace("sre-prod", f"policy-{number}")
        .replace("{any_of: [group:sre]}", f"{{kinds: [human, agent, service], any_of: [{', '.join(one.names)}]}}")
        .replace("[prod-logs]", f"[{', '.join(one.sources)}]")
        .replace("grant:", f"exclusive: {str(one.exclusive).lower()}\ngrant:")
        for number, one in enumerate(drawn)
    ]
    return bundle_of(CATALOG, *documents)


policies = st.lists(
    st.builds(
        Drawn,
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
        st.lists(st.sampled_from(SOURCES), min_size=1, unique=True),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@given(policies, st.sampled_from(PEOPLE), st.sampled_from(SOURCES))
def test_what_it_finds_offers_what_asking_every_policy_offers(drawn: list[Drawn], asks: Principal, source: str) -> None:
    bundle, directory = bundle_with(drawn), directory_of([asks, SAM])
    wish = wish_of(scope_of('{env="prod",data_class="internal"}', source=source, level=Level.INFO, hours=1))
    found = decided(bundle, wish, asks, directory=directory)
    everybody = [one.offer for one in found.policies if one.offer is not None]
    assert sorted((one.numbered(1) for one in found.offers), key=lambda one: one.policy) == everybody
    assert [one.policy.id for one in found.own] == [one.policy.id for one in found.policies if one.is_for]


@given(policies, st.sampled_from(PEOPLE))
def test_every_policy_that_fits_is_among_those_that_name_the_principal(drawn: list[Drawn], asks: Principal) -> None:
    bundle = bundle_with(drawn)
    people = People(directory_of([asks, SAM]))
    fitting = {one.id for one in bundle.policies if people.fits(one.who, asks)}
    assert fitting <= {one.id for one in bundle.index.for_principal(asks)}
    both = {one.id for one in bundle.index.candidates(asks, SOURCES)}
    assert both <= {one.id for one in bundle.index.candidates(asks, SOURCES[:1])}


def test_the_bundle_of_nobody_has_no_candidates() -> None:
    assert bundle_of(CATALOG).index.candidates(SAM, SOURCES) == ()


MATCHERS = ("prod", "[prod, dev]", "staging", "{any: true}", "{any: true, except: [dev]}")
entries = st.fixed_dictionaries({}, optional={"env": st.sampled_from(MATCHERS), "service": st.sampled_from(SERVICES)})
asked = st.fixed_dictionaries(
    {}, optional={"env": st.sampled_from(('="prod"', '=~"prod|dev"', '!="prod"')), "service": st.sampled_from(TESTS)}
)


@given(
    st.lists(st.tuples(st.sampled_from(SOURCES), entries), min_size=1, max_size=3).flatmap(
        lambda rules: st.tuples(
            st.just(rules), st.lists(st.tuples(st.sampled_from(SOURCES), asked), min_size=1, max_size=2)
        )
    )
)
def test_what_lies_inside_a_policy_finds_it_whatever_it_says_of_labels(drawn: tuple[Rules, Rules]) -> None:
    rules, wanted = drawn
    written = ", ".join(
        f"{{sources: [{source}], lookback: 6h, "
        + (
            f"labels: {{{', '.join(f'{key}: {value}' for key, value in labels.items())}}}"
            if labels
            else "all_streams: true"
        )
        + "}"
        for source, labels in rules
    )
    start, end = SRE.index("scopes:"), SRE.index("grant:")
    bundle = bundle_of(CATALOG, f"{SRE[:start]}scopes: [{written}]\n{SRE[end:]}")
    scopes = [
        scope_of(
            "{" + ",".join(f"{key}{test}" for key, test in labels.items()) + "}", source=source, level=None, hours=1
        )
        for source, labels in wanted
    ]
    (policy,) = bundle.policies
    is_inside = all(
        any(
            rule_scope(rule, scope.source, NOW).contains_scope(scope)
            for rule in policy.scopes
            if scope.source in rule.sources
        )
        for scope in scopes
    )
    found = bundle.index.near(person("ada", "sre"), scopes)
    event(f"inside: {is_inside}, found: {bool(found)}")
    assert found == (policy,) or not is_inside
