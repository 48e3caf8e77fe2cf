"""One masked value of one line in clear, for the reveal alone: whatever else reads lines gets them redacted."""

from __future__ import annotations

from dataclasses import dataclass, field

from loglease.redaction.blocks import BlockState
from loglease.redaction.confirm import Find
from loglease.redaction.controls import control_edits
from loglease.redaction.edits import CONTROL_RULE, Edit, spliced
from loglease.redaction.plan import LIMIT_LINE, Plan
from loglease.redaction.result import Counters
from loglease.redaction.scanning import MAX_LINE, edits_of
from loglease.redaction.tokens import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """One masked value.

    Attributes:
        line: the whole line, redacted, for comparison with what was served.
        token: what stands for the value in it, with the quotes that a masked JSON number gets.
        rule: id of the rule that names the mask.
        cls: class of that rule.
        classes: of all finds that the mask covers, so also of those that it is not named by.
        value: as it stands in the line, control characters neutralised.
    """

    line: bytes
    token: bytes
    rule: str
    cls: str
    classes: frozenset[str]
    value: str = field(repr=False)


def revealed(line: bytes, number: int, *, plan: Plan, keys: Keys | None) -> Revealed | None:
    """Return the mask of this number, from 1, in a line without its line end; None if there is nothing to reveal.

    That is so where no mask has this number, and where a mask stands for a line, not for a value in it. The line is
    redacted by itself: one that is masked as part of a block of several comes out otherwise than it was served.

    Raises:
        Withheld: as `edits_of`.
    """
    text = line + b"\n"
    if len(text) > MAX_LINE:
        return None
    seen: list[Find] = []
    edits = edits_of(text, plan=plan, keys=keys, state=BlockState(), keep_tokens=False, counters=Counters(), seen=seen)
    masks = [edit for edit in edits if edit.kind == "mask"]
    if not 1 <= number <= len(masks):
        return None
    mask = masks[number - 1]
    if mask.cls == LIMIT_LINE.cls:
        return None
    covered = {find.rule.cls for find in seen if find.start < mask.end and mask.start < find.end}
    return Revealed(
        line=spliced(text, edits, None)[0][:-1],
        token=mask.text,
        rule=mask.rule,
        cls=mask.cls,
        classes=frozenset({mask.cls, *covered}),
        value=_shown(text[mask.start : mask.end]),
    )


def _shown(value: bytes) -> str:
    """Return a value as text without the characters that no profile lets pass."""
    edits = [
        Edit(start, end, text, "control", CONTROL_RULE, CONTROL_RULE, "neutralise")
        for start, end, text in control_edits(value)
    ]
    return spliced(value, edits, None)[0].decode()
