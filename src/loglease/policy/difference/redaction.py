"""Is one redaction profile stricter than another, and does demanding it only ever take away?"""

from __future__ import annotations

import itertools

from loglease.policy.difference.found import NO_LIMIT, Comparison, Verdict
from loglease.policy.profiles import RAW, Profiles, below, is_as_strict


def only_takes_away(name: str | None, profiles: Profiles) -> bool:
    """Say whether it never gives anybody an offer that a profile is demanded in addition.

    It could where two looser profiles cannot be compared: a request that demands both gets nothing, for want of a
    strictest one, until a profile above both is demanded as well.
    """
    if name is None:
        return True
    looser = sorted(below(name.partition("@")[0], profiles))
    return all(
        is_as_strict(one, other, profiles) or is_as_strict(other, one, profiles)
        for one, other in itertools.combinations(looser, 2)
    )


def compare_redaction(
    found: Comparison, place: str, old: str | None, new: str | None, profiles: Profiles, *, gives: bool = False
) -> None:
    """Compare the profile that is demanded.

    Args:
        found: where the difference goes.
        place: the field.
        old: the profile before; None where none was demanded.
        new: the profile now.
        profiles: all that are declared.
        gives: whether it is the profile of a policy, which gives `raw` only to those who ask for it.
    """
    if old != new:
        found.add(_verdict(old, new, profiles, gives=gives), place, old or NO_LIMIT, new or NO_LIMIT)


def _verdict(old: str | None, new: str | None, profiles: Profiles, *, gives: bool) -> Verdict:
    if new is None:
        return Verdict.WIDENS
    stricter = Verdict.NARROWS if only_takes_away(new, profiles) else Verdict.UNDECIDED
    if old is None:
        return stricter
    before, after = old.partition("@")[0], new.partition("@")[0]
    if before == after or "@" in old or (gives and before == RAW):
        # A server that lacks the version offered nothing; a raw policy offered nothing to whoever did not ask for raw.
        return Verdict.UNDECIDED
    if is_as_strict(after, before, profiles):
        return stricter
    return Verdict.WIDENS if is_as_strict(before, after, profiles) else Verdict.UNDECIDED
