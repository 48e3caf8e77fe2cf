"""What exclusive policies keep others from offering, and no longer do."""

from __future__ import annotations

from collections.abc import Iterable

from loglease.model.labels import Selector
from loglease.model.selector_text import selector_text
from loglease.policy.bundle import Bundle
from loglease.policy.difference.found import Comparison, Verdict
from loglease.policy.documents import AccessPolicy

Streams = tuple[tuple[str, Selector], ...]
"""Sources with selectors: one pair for each source of each entry."""


def streams_of(policy: AccessPolicy) -> Streams:
    """Return the streams that a policy is about."""
    return tuple((source, rule.selector) for rule in policy.scopes for source in rule.sources)


def compare_exclusive(found: Comparison, old: AccessPolicy, new: AccessPolicy, bundles: tuple[Bundle, Bundle]) -> None:
    """Compare whether a policy keeps others away; that it does so less opens what they offer.

    One that becomes exclusive is itself no longer kept away by others that are.
    """
    before, after = bundles
    if old.exclusive and not new.exclusive:
        if not compare_kept(found, old, None, after):
            found.add(Verdict.NARROWS, "exclusive", "true", "false")
        return
    if new.exclusive and not old.exclusive:
        kept_away = any(one.exclusive and _meets(new, streams_of(one)) for one in before.policies)
        found.add(Verdict.WIDENS if kept_away else Verdict.NARROWS, "exclusive", "false", "true")
        return
    compare_kept(found, old, new, after)


def compare_kept(found: Comparison, old: AccessPolicy, new: AccessPolicy | None, bundle: Bundle) -> bool:
    """Add each part of its streams from which a policy kept others that may now make offers; say whether there is one.

    Args:
        found: where the differences go.
        old: the policy as it was.
        new: what is exclusive of it now; None if nothing.
        bundle: the new one.
    """
    if not old.exclusive:
        return False
    kept = streams_of(new) if new is not None else ()
    opened = False
    for source, selector in streams_of(old):
        if any(source == other and wider.contains(selector) for other, wider in kept):
            continue
        freed = [
            one.id
            for one in bundle.policies
            if not one.exclusive and one.id != old.id and _meets(one, [(source, selector)])
        ]
        if freed:
            opened = True
            what = f"{selector_text(selector)} on {source}"
            found.add(Verdict.WIDENS, "exclusive", what, None, f"now left to {', '.join(freed)}")
    return opened


def _meets(policy: AccessPolicy, streams: Iterable[tuple[str, Selector]]) -> bool:
    return any(
        source == other and selector.overlaps(theirs)
        for other, theirs in streams
        for source, selector in streams_of(policy)
    )
