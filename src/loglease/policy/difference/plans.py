"""Is one plan of approvals harder to satisfy than another?

It is where whoever satisfies it satisfies the other one, too: each slot of the other has a slot of its own here that
takes nobody else, stage by stage in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from loglease.model.instant import duration_text
from loglease.model.offer import Escalation, Joint, Slots, Stage
from loglease.policy.difference.found import OPPOSITE, Comparison, Verdict, unknown
from loglease.policy.difference.words import escalation_text, stage_text, stages_text
from loglease.policy.plan import matched

Ways = Sequence[Sequence[Slots]]
_STAGE: Final = ("blocks", "joint", "remind_s", "escalate")  # to be reminded decides nothing
_SLOTS: Final = ("approvers", "need")


def is_harder(new: Stage, old: Stage) -> bool:
    """Say whether the people who complete `new` always complete `old`; a stage is harder than itself."""
    return (
        _extras(new) == _extras(old)
        and _escalates_less(new.escalate, old.escalate)
        and all(any(_covers(way, other) for other in _ways(old)) for way in _ways(new))
    )


def _escalates_less(new: Escalation | None, old: Escalation | None) -> bool:
    """Say whether an escalation adds nobody, at no time, whom the other one does not add by then."""
    if new is None:
        return True
    return old is not None and new.after_s >= old.after_s and set(new.to) <= set(old.to)


def are_harder(new: Sequence[Stage], old: Sequence[Stage]) -> bool:
    """Say whether the people who complete the stages `new` always complete `old`, in this order."""
    rest: Iterator[Stage] = iter(new)
    return all(any(is_harder(candidate, stage) for candidate in rest) for stage in old)


def compare_stage(found: Comparison, place: str, old: Stage, new: Stage) -> None:
    """Compare one stage; of the simple form, people and number one by one."""
    if len(old.blocks) == len(new.blocks) == 1 and _extras(old) == _extras(new):
        before, after = old.blocks[0], new.blocks[0]
        found.names(f"{place}.from", before.approvers, after.approvers)
        found.ordered(f"{place}.need", before.need, after.need, more=Verdict.NARROWS)
        _compare_escalations(found, f"{place}.escalate", old.escalate, new.escalate)
    else:
        found.add(_verdict(harder=is_harder(new, old), easier=is_harder(old, new)), place, *map(stage_text, (old, new)))


def _compare_escalations(found: Comparison, place: str, old: Escalation | None, new: Escalation | None) -> None:
    """Compare who may approve later, besides: more people, or sooner, is more."""
    if old is not None and new is not None:
        found.ordered(f"{place}.after", old.after_s, new.after_s, text=duration_text, more=Verdict.NARROWS)
        found.names(f"{place}.to", old.to, new.to)
        found.inside(f"{place}.").rest(old, new, ("after_s", "to"))
    elif old is not new:
        before, after = (None if one is None else escalation_text(one) for one in (old, new))
        found.add(Verdict.NARROWS if new is None else Verdict.WIDENS, place, before, after)


def compare_stages(found: Comparison, place: str, old: Sequence[Stage], new: Sequence[Stage]) -> None:
    """Compare the stages of a plan; where there are as many as before, one by one."""
    if len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            compare_stage(found, f"{place}[{number}]", before, after)
    else:
        verdict = _verdict(harder=are_harder(new, old), easier=are_harder(old, new))
        found.add(verdict, place, stages_text(old), stages_text(new))


def compare_required(found: Comparison, place: str, old: Stage | None, new: Stage | None) -> None:
    """Compare a stage that may be missing: having one narrows."""
    if old is not None and new is not None:
        compare_stage(found, place, old, new)
    elif new is not None:
        found.add(Verdict.NARROWS, place, None, stage_text(new))
    elif old is not None:
        found.add(OPPOSITE[Verdict.NARROWS], place, stage_text(old), None)


def _verdict(*, harder: bool, easier: bool) -> Verdict:
    if harder and easier:
        return Verdict.SAME
    if harder:
        return Verdict.NARROWS
    return Verdict.WIDENS if easier else Verdict.UNDECIDED


def _ways(stage: Stage) -> Ways:
    """Return each way to complete a stage, as blocks that must all be filled."""
    return (stage.blocks,) if stage.joint is Joint.ALL else tuple((block,) for block in stage.blocks)


def _extras(stage: Stage) -> list[dict[str, str | None]]:
    """Return what a stage says besides people and numbers; only stages that say the same can be compared."""
    return [unknown(stage, _STAGE), *(unknown(block, _SLOTS) for block in stage.blocks if unknown(block, _SLOTS))]


def _covers(new: Sequence[Slots], old: Sequence[Slots]) -> bool:
    ours = [frozenset(block.approvers) for block in new for _ in range(block.need)]
    theirs = [frozenset(block.approvers) for block in old for _ in range(block.need)]
    seats = [frozenset(number for number, people in enumerate(ours) if people <= wanted) for wanted in theirs]
    return matched(seats) == len(seats)
