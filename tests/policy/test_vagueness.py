"""Whatever conditions a bundle has that loads: asking for more never turns a denial into an offer, or a review into none."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.world import CATALOG, SAM, bundle_of, decided, files_of, person, scope_of, wish_of
from tests.volume import volume

from loglease.model.labels import Matcher, Selector, matcher_of
from loglease.model.offer import Outcome
from loglease.model.principal import directory_of
from loglease.model.scope import Level
from loglease.model.selector_text import parse_selector
from loglease.policy import Bundle, load

WORDS = {
    "env": ["prod", "staging", "dev"],
    "data_class": ["public", "internal", "pii"],
    "service": ["pay-api", "pay-cards", "cart"],
}
ASKS = person("ada", "sre")
DIRECTORY = directory_of([ASKS, SAM])
POLICY = """\
api: loglease/v1
kind: AccessPolicy
id: any
who: {any_of: [group:sre]}
scopes: [{sources: [prod-logs], all_streams: true, lookback: 24h}]
when: 'WHEN'
grant: {duration: {max: 1h}, redaction: secrets}
approve:
  - if: 'FIRST'
    auto: true
  - otherwise: true
    stages: [{from: [group:sre-leads], need: 1}]
"""

labels = st.sampled_from(sorted(WORDS))


def about(label: str) -> st.SearchStrategy[str]:
    word = st.sampled_from(WORDS[label]).map('"{}"'.format)
    return st.one_of(
        word.map(lambda one: f"{one} in req.labels.{label}"),
        word.map(lambda one: f"req.labels.{label}.all(x, x == {one})"),
        word.map(lambda one: f"req.labels.{label}.exists(x, x != {one})"),
        st.tuples(word, word).map(lambda two: f"req.labels.{label}.all(x, x in [{', '.join(two)}])"),
        word.map(lambda one: f"req.labels.{label}.all(x, !x.startsWith({one}))"),
    )


conditions = st.recursive(
    labels.flatmap(about),
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"),
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, st.sampled_from([" && ", " || "]), inner).map(lambda parts: f"({''.join(parts)})"),
    ),
    max_leaves=4,
)


def matchers(label: str) -> st.SearchStrategy[Matcher | None]:
    some = st.sets(st.sampled_from([*WORDS[label], "undeclared"]), max_size=3)
    starts = st.sets(st.sampled_from(["p", "pay-", "s", "c"]), max_size=2)
    built = st.builds(
        lambda exact, prefixes, every, exceptions: matcher_of(
            exact=exact, prefixes=prefixes, any_value=every, except_exact=exceptions
        ),
        some,
        starts,
        st.booleans(),
        some,
    )
    return st.one_of(st.none(), built)


selectors = st.fixed_dictionaries({name: matchers(name) for name in WORDS}).map(
    lambda found: Selector(tuple((name, one) for name, one in sorted(found.items()) if one is not None))
)


def answer(bundle: Bundle, selector: Selector) -> int:
    """Return 0 for a denial, 1 for a review, 2 for an automatic offer."""
    wish = wish_of(replace(scope_of("{}", level=Level.INFO, hours=1), selector=selector))
    found = decided(bundle, wish, ASKS, directory=DIRECTORY).offers
    return 0 if not found else 2 if found[0].outcome is Outcome.AUTO else 1


@given(when=conditions, first=conditions, narrow=selectors, other=selectors)
@settings(max_examples=volume(300, 1_500))
def test_nobody_gains_by_asking_for_more(when: str, first: str, narrow: Selector, other: Selector) -> None:
    loaded = load(files_of(CATALOG, POLICY.replace("WHEN", when).replace("FIRST", first)))
    both = narrow.intersect(other)
    if not isinstance(loaded, Bundle) or both is None:
        return
    for wide in (narrow, other):
        assert answer(loaded, wide) <= answer(loaded, both), f"{wide} gets more than {both}"


def test_whoever_asks_for_less_may_gain() -> None:
    """The law above is not empty: between answers to a wish and to a smaller one there are real differences."""
    policy = POLICY.replace("WHEN", '!("pii" in req.labels.data_class)')
    bundle = bundle_of(CATALOG, policy.replace("FIRST", 'req.labels.env.all(x, x == "dev")'))
    wide, less, least = (
        parse_selector(text) for text in ('{env="dev"}', '{data_class="internal"}', '{env="dev",data_class="internal"}')
    )
    assert [answer(bundle, one) for one in (wide, less, least)] == [0, 1, 2]


def test_what_would_let_people_gain_does_not_load() -> None:
    refused = POLICY.replace("WHEN", '!("pii" in req.labels.data_class)').replace("FIRST", '"prod" in req.labels.env')
    assert not isinstance(load(files_of(CATALOG, refused)), Bundle)
    bundle_of(CATALOG, refused.replace('"prod" in req.labels.env', '!("prod" in req.labels.env)'))
