"""Whether a policy lets people ask for one masked value."""

from __future__ import annotations

from loglease.model.reveal import Reveal, is_class_among
from loglease.policy.documents import AccessPolicy
from loglease.policy.plan import Refusal
from loglease.policy.trace import Fix, Step, StepName


def reveal_step(policy: AccessPolicy, reveal: Reveal) -> Step:
    """Say whether the policy lets people ask for the value that is asked for."""
    rule = policy.grant.reveal
    if policy.id != reveal.policy:
        return Step(StepName.REVEAL, ok=False, text="the grant is from another policy")
    if rule is None:
        return _no(policy, "The policy of this grant reveals no single values.")
    if not is_class_among(reveal.cls, rule.classes):
        named = ", ".join(rule.classes)
        return _no(policy, f"The policy of this grant reveals values of class {named}, none of {reveal.cls}.")
    return Step(StepName.REVEAL, ok=True, text=reveal.cls)


def _no(policy: AccessPolicy, message: str) -> Step:
    next_step = f"Ask {policy.owner}, who own the policy." if policy.owner else "Ask the owner of the logs."
    refusal = Refusal(code="policy_denied", message=message, next_step=next_step, rule=policy.id)
    return Step(StepName.REVEAL, ok=False, text=message.lower().rstrip("."), fix=Fix.ASK_OWNER, refusal=refusal)
