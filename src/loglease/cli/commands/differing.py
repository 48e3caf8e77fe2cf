"""`policy diff`: what separates two directories of documents, and whether it gives people more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from loglease.cli.errors import Exit, Usage
from loglease.cli.policy_files import bundle_in
from loglease.cli.run import Here, flag
from loglease.cli.terminal import one_line
from loglease.policy.bundle import Bundle
from loglease.policy.difference import Difference, Verdict, differences, overall

_GATES: Final = {str(one).lower(): one for one in Verdict if one is not Verdict.SAME}


def diff(
    old: Annotated[Path, Parameter(name="OLD", help="directory with the documents as they were")],
    new: Annotated[Path, Parameter(name="NEW", help="directory with the documents as they would be")],
    /,
    *,
    fail_on: Annotated[
        str, flag("end with 5 if there is one of these: widens, cheaper, undecided, narrows; with commas between")
    ] = "",
    run: Here,
) -> Exit:
    """Say what separates two directories of policy documents, and whom it helps.

    One line for each change of a policy, guardrail or approver set: WIDENS where somebody may get more, or more easily;
    NARROWS where it is certain that nobody does; UNDECIDED where neither is proved, such as for a condition that was
    rewritten. CHEAPER names a policy that asks for fewer approvals than another one for what both cover. Titles, help,
    owners, comments, layout and tests are no changes. Exits with 3 if documents have errors, with 5 if a change is
    among --fail-on, else with 0.
    """
    gates = _gates(fail_on)
    before, after = bundle_in(run, old, name=f"OLD, {old}"), bundle_in(run, new, name=f"NEW, {new}")
    if before is None or after is None:
        return Exit.CHECK_FAILED
    found = differences(before, after)
    if run.out.json:
        run.out.resource(_body(before, after, found))
    else:
        width = max((len(one.verdict) for one in found), default=0)
        for one in found:
            run.out.data(one_line(f"{one.verdict:<{width}}  {one.document}  {one.text}"))
        run.out.notice(_summary(before, after, found))
    return Exit.GATE if any(one.verdict in gates for one in found) else Exit.DONE


def _gates(text: str) -> frozenset[Verdict]:
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in _GATES]
    if unknown:
        raise Usage(f"--fail-on does not know {unknown[0]!r}.", next_step=f"Choose among {', '.join(_GATES)}.")
    return frozenset(_GATES[word] for word in words)


def _body(before: Bundle, after: Bundle, found: Sequence[Difference]) -> dict[str, object]:
    return {
        "verdict": str(overall(found)),
        "old": {"hash": before.hash},
        "new": {"hash": after.hash},
        "differences": [one.as_json() for one in found],
    }


def _summary(before: Bundle, after: Bundle, found: Sequence[Difference]) -> str:
    if not found:
        same = "the hashes are equal" if before.hash == after.hash else "nothing that decides has changed"
        return f"{Verdict.SAME}: {same}."
    counts = {verdict: sum(one.verdict is verdict for one in found) for verdict in Verdict}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) + "."
