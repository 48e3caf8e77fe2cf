"""Approval plans as the API answers them."""

from __future__ import annotations

from loglease.model.offer import Joint, Plan, Stage
from loglease.server.api.fields import Resource, Seconds


class SlotsShown(Resource):
    """So many people out of these."""

    approvers: list[str]
    need: int


class EscalationShown(Resource):
    """Who may approve besides, once the request has waited so long since it was submitted."""

    after_s: Seconds
    to: list[str]


class StageShown(Resource):
    """One step of an approval plan."""

    joint: Joint
    blocks: list[SlotsShown]
    escalate: EscalationShown | None = None


class PlanShown(Resource):
    """The approvals that one policy demands."""

    origin: str
    stages: list[StageShown]


def plan_shown(plan: Plan) -> PlanShown:
    """Return an approval plan."""
    stages = [
        StageShown(
            joint=stage.joint,
            blocks=[SlotsShown(approvers=list(block.approvers), need=block.need) for block in stage.blocks],
            escalate=_escalation_shown(stage),
        )
        for stage in plan.stages
    ]
    return PlanShown(origin=plan.origin, stages=stages)


def _escalation_shown(stage: Stage) -> EscalationShown | None:
    also = stage.escalate
    return None if also is None else EscalationShown(after_s=also.after_s, to=list(also.to))
