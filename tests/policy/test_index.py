"""The index leaves out no policy that fits: what it finds offers what asking every policy offers."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from tests.policy.world import CATALOG, SAM, SRE, bundle_of, decided, person, scope_of, wish_of

from loglease.model.principal import Kind, Principal, directory_of
from loglease.model.scope import Level
from loglease.policy import Bundle
from loglease.policy.people import People

NAMES = ("group:sre", "group:engineering", "group:everybody", "user:ada", "user:bob", "agent:ada", "service:ada")
SOURCES = ("prod-logs", "staging-logs")
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
    everybody = [one.offer.policy for one in found.policies if one.offer is not None]
    assert sorted(one.policy for one in found.offers) == sorted(everybody)
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
