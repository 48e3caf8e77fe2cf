"""What a policy says of extensions: how often, by how much, and which part of a grant's scope it still reaches."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.extension import ExtendRule
from loglease.model.instant import NANOSECONDS, EventWindow, Instant
from loglease.model.scope import Scope
from loglease.policy.bundle import Bundle
from loglease.policy.documents import AccessPolicy, Route
from loglease.policy.plan import Refusal
from loglease.policy.profiles import Profiles, is_as_strict, known_profile
from loglease.policy.trace import Fix, Step, StepName

NOT_ALLOWED: Final = "extension_not_allowed"
"""The code of a grant that cannot be extended, or not once more."""


def extend_rule(policy: AccessPolicy, route: Route) -> ExtendRule | None:
    """Return how a grant of a policy may be extended by a request that takes this route; None is not at all."""
    rule = policy.grant.extend
    return None if rule is None else rule.tightest(route.grant.extend)


def extend_steps(policy: AccessPolicy, route: Route, wish: Wish) -> list[Step]:
    """Say whether the policy lets people ask for the extension that is asked for; nothing where none is."""
    extends, rule = wish.extends, extend_rule(policy, route)
    if extends is None:
        return []
    if policy.id != extends.policy:
        return [Step(StepName.EXTEND, ok=False, text="the grant is from another policy")]
    if rule is None:
        return [_no(policy, "The policy of this grant does not extend grants.")]
    if extends.number > rule.times:
        often = "once" if rule.times == 1 else f"{rule.times} times"
        return [_no(policy, f"The policy extends a grant {often}, and this one has been extended as often.")]
    return [Step(StepName.EXTEND, ok=True, text=f"extension {extends.number} of {rule.times}")]


def _no(policy: AccessPolicy, message: str) -> Step:
    refusal = Refusal(
        code=NOT_ALLOWED,
        message=message,
        next_step="Ask for access anew before you need it: loglease request --like, with the request of the grant.",
        rule=policy.id,
    )
    return Step(StepName.EXTEND, ok=False, text=message.lower().rstrip("."), fix=Fix.ASK_OWNER, refusal=refusal)


def reached(bundle: Bundle, policy_id: str, scope: Scope, profiles: Profiles, now: Instant) -> Scope:
    """Return the part of a grant's scope that an extension asks for if nobody says what.

    The event window is that of the grant as far as lookbacks reach that are counted from now, those of guardrails
    included. The profile is named if the policy gives it or a looser one; where the policy has become stricter, it
    says which. Nothing is added to the scope; where its policy is gone, or nothing is left, it stays as it is.
    """
    policy = next((one for one in bundle.policies if one.id == policy_id), None)
    if policy is None:
        return scope
    name = (scope.profile or "").partition("@")[0]
    given = known_profile(policy.grant.redaction, profiles)
    keeps = given is not None and name in profiles and is_as_strict(name, given.name, profiles)
    return replace(scope, window=_reached_window(bundle, policy, scope, now), profile=name if keeps else None)


def _reached_window(bundle: Bundle, policy: AccessPolicy, scope: Scope, now: Instant) -> EventWindow:
    rules = [one for one in policy.scopes if scope.source in one.sources and one.selector.contains(scope.selector)]
    caps = [
        one.caps.lookback_s
        for one in bundle.guardrails
        if one.enforced
        and one.caps.lookback_s is not None
        and (one.applies.sources is None or scope.source in one.applies.sources)
        and one.applies.selector.overlaps(scope.selector)
    ]
    if not rules:
        return scope.window
    lookback_s = min([max(one.lookback_s for one in rules), *caps])
    start_ns = max(scope.window.start_ns, now * 1_000 - lookback_s * NANOSECONDS)
    end_ns = scope.window.end_ns
    return scope.window if end_ns is not None and end_ns <= start_ns else EventWindow(start_ns, end_ns)
