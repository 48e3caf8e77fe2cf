"""Policies that ask for fewer approvals than another one for what both cover: people take the cheaper way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from loglease.model.labels import Selector
from loglease.model.offer import Plan
from loglease.model.principal import EVERYBODY
from loglease.model.selector_text import selector_text
from loglease.policy.bundle import Bundle
from loglease.policy.difference.exclusive import streams_of
from loglease.policy.difference.found import Comparison, Difference, Verdict, form
from loglease.policy.documents import AccessPolicy, Route, Who
from loglease.policy.profiles import RAW

_EVERYBODY = f"group:{EVERYBODY}"
Whom = frozenset[frozenset[str]]
"""Those who bear all names of one of these sets."""


@dataclass(frozen=True, slots=True)
class _Undercut:
    """One policy that is cheaper than another: for whom, on which streams, and by how much."""

    whom: Whom
    streams: tuple[tuple[str, Selector], ...]
    fewer: int
    more: int

    def has_all_of(self, other: _Undercut) -> bool:
        """Say whether `other` opens nothing that this does not."""
        return (
            all(any(names <= theirs for names in self.whom) for theirs in other.whom)
            and all(
                any(source == ours and wider.contains(selector) for ours, wider in self.streams)
                for source, selector in other.streams
            )
            and self.fewer <= other.fewer
            and self.more >= other.more
        )


def cheaper(old: Bundle, new: Bundle) -> Iterator[Difference]:
    """Yield the policies that undercut another one, as they did not before."""
    before, after = ({one.id: one for one in bundle.policies} for bundle in (old, new))
    for name, rival in _pairs(before, after):
        now = _undercut(after[name], after[rival])
        if now is None:
            continue
        known = _undercut(before[name], before[rival]) if name in before and rival in before else None
        if known is None or not known.has_all_of(now):
            yield _difference(after[name], after[rival], now)


def _pairs(before: Mapping[str, AccessPolicy], after: Mapping[str, AccessPolicy]) -> Iterator[tuple[str, str]]:
    """Yield the pairs with a source in common of which one is new or changed, if one could be cheaper at all."""
    changed = {name for name, one in after.items() if name not in before or form(before[name]) != form(one)}
    by_source: dict[str, set[str]] = {}
    for name, policy in after.items():
        for source, _ in streams_of(policy):
            by_source.setdefault(source, set()).add(name)
    fewest, most = ({name: pick(_needs(one.routes)) for name, one in after.items()} for pick in (min, max))
    for name, policy in sorted(after.items()):
        near = frozenset().union(*(by_source[source] for source, _ in streams_of(policy)))
        rivals = near if name in changed else near & changed
        yield from ((name, rival) for rival in sorted(rivals) if rival != name and fewest[name] < most[rival])


def _undercut(policy: AccessPolicy, other: AccessPolicy) -> _Undercut | None:
    """Compare two policies.

    One that is exclusive keeps others away from what both cover; whoever asks for raw gets nothing of one that masks.
    """
    if (other.exclusive and not policy.exclusive) or (_is_raw(other) and not _is_raw(policy)):
        return None
    fewer, more = _approvals(policy.routes, other.routes)
    if fewer >= more:
        return None
    streams = _common_streams(policy, other)
    whom = _common_people(policy.who, other.who) if streams else Whom()
    return _Undercut(whom, streams, fewer, more) if whom else None


def _approvals(ours: tuple[Route, ...], theirs: tuple[Route, ...]) -> tuple[int, int]:
    """Return the fewest approvals of one policy and the most of another that a request can meet."""
    needs = [_needs(routes) for routes in (ours, theirs)]
    if [_text(one) for one in ours] == [_text(one) for one in theirs]:
        # Under the same conditions a request takes the same route of both.
        return max(zip(*needs, strict=True), key=lambda pair: pair[1] - pair[0])
    return min(needs[0]), max(needs[1])


def _needs(routes: tuple[Route, ...]) -> list[int]:
    return [Plan("", route.stages).need for route in routes]


def _text(route: Route) -> str:
    return "" if route.condition is None else route.condition.text


def _common_streams(policy: AccessPolicy, other: AccessPolicy) -> tuple[tuple[str, Selector], ...]:
    found = (
        (source, selector.intersect(theirs))
        for source, selector in streams_of(policy)
        for their_source, theirs in streams_of(other)
        if source == their_source
    )
    return tuple(dict.fromkeys((source, both) for source, both in found if both is not None))


def _common_people(one: Who, other: Who) -> Whom:
    """Name those who may be meant by both; who is in which group is not known here."""
    if not one.kinds & other.kinds:
        return Whom()
    excluded = {*one.none_of, *other.none_of}
    ours, theirs = ({name for name in who.any_of if name not in excluded} for who in (one, other))
    pairs = {frozenset({a} if a == b else {a, b} - {_EVERYBODY}) for a in ours for b in theirs if _may_meet(a, b)}
    return Whom(pair for pair in pairs if not any(less < pair for less in pairs))


def _may_meet(one: str, other: str) -> bool:
    """Say whether somebody could bear both of two names: those of single principals mean two."""
    return one == other or one.startswith("group:") or other.startswith("group:")


def _is_raw(policy: AccessPolicy) -> bool:
    return policy.grant.redaction.partition("@")[0] == RAW


def _difference(policy: AccessPolicy, other: AccessPolicy, found: _Undercut) -> Difference:
    streams = "; ".join(f"{selector_text(selector)} on {source}" for source, selector in found.streams)
    collected = Comparison(kind="AccessPolicy", document=policy.id, at=policy.at)
    collected.add(
        Verdict.CHEAPER,
        f"overlaps {other.id}",
        _approvals_text(found.more),
        _approvals_text(found.fewer),
        f"for {', '.join(sorted(' and '.join(sorted(names)) for names in found.whom))} on {streams}",
    )
    return collected.found[0]


def _approvals_text(count: int) -> str:
    return "automatic" if count == 0 else f"{count} approval{'' if count == 1 else 's'}"
