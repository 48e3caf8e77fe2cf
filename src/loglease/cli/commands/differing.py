"""`policy diff`: what separates two directories of documents, and whether it gives people more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from loglease.cli.errors import Exit, Usage
from loglease.cli.policy_files import bundle_in, content_of
from loglease.cli.run import Here, flag
from loglease.cli.terminal import one_line
from loglease.policy.bundle import Bundle
from loglease.policy.difference import Difference, Verdict, differences, overall
from loglease.policy.difference.markdown import markdown
from loglease.policy.live import Affected, affected, read_live
from loglease.policy.snapshot import read_snapshot

_LIVE: Final = "live"
_GATES: Final = {str(one).lower(): one for one in Verdict if one is not Verdict.SAME}


def diff(
    old: Annotated[Path, Parameter(name="OLD", help="directory with the documents as they were")],
    new: Annotated[Path, Parameter(name="NEW", help="directory with the documents as they would be")],
    /,
    *,
    fail_on: Annotated[
        str, flag("end with 5 if there is one of these: widens, cheaper, undecided, narrows, live; with commas between")
    ] = "",
    live: Annotated[
        Path | None, flag("grants to hold against NEW: what `loglease grants --live --all --output json` prints")
    ] = None,
    people: Annotated[
        Path | None,
        flag("with --live, who works here: what `loglease admin user list --output json` prints", name="--directory"),
    ] = None,
    run: Here,
) -> Exit:
    """Say what separates two directories of policy documents, and whom it helps.

    One line for each change of a policy, guardrail or approver set: WIDENS where somebody may get more, or more easily;
    NARROWS where it is certain that nobody does; UNDECIDED where neither is proved, such as for a condition that was
    rewritten. CHEAPER names a policy that asks for fewer approvals than another one for what both cover. Titles, help,
    owners, comments, layout and tests are no changes. --output markdown suits a comment on a pull request.

    --live names grants that NEW would not give any more, or with less. Whether their holders are still among those whom
    a policy is for is asked with --directory only; conditions of policies and the number of reviews never are.

    Exits with 3 if documents have errors, with 5 if a change is among --fail-on, or a grant could not be issued and
    `live` is, else with 0.
    """
    gates, on_live = _gates(fail_on)
    if live is None and (on_live or people is not None):
        raise Usage("Which grants live is not said.", next_step="Name a file with --live.")
    grants = () if live is None else read_live(content_of(live))
    known = None if people is None else read_snapshot(content_of(people))
    before, after = bundle_in(run, old, name=f"OLD, {old}"), bundle_in(run, new, name=f"NEW, {new}")
    if before is None or after is None:
        return Exit.CHECK_FAILED
    found, hit = differences(before, after), affected(after, grants, known)
    if run.out.json:
        body = _body(before, after, found)
        run.out.resource(body if live is None else body | {"live": [one.as_json() for one in hit]})
    elif run.out.markdown:
        run.out.data(markdown(before, after, found, hit))
    else:
        width = max((len(one.verdict) for one in found), default=0)
        for one in found:
            run.out.data(one_line(f"{one.verdict:<{width}}  {one.document}  {one.text}"))
        for grant in hit:
            word = "REFUSED" if grant.refused else "LESS"
            run.out.data(one_line(f"{word:<7}  {grant.grant}  {grant.holder}  {grant.policy}: {grant.why}"))
        run.out.notice(_summary(before, after, found))
        if live is not None:
            run.out.notice(_live_summary(len(grants), hit))
    stops = any(one.verdict in gates for one in found) or (on_live and any(one.refused for one in hit))
    return Exit.GATE if stops else Exit.DONE


def _gates(text: str) -> tuple[frozenset[Verdict], bool]:
    """Return the verdicts that stop, and whether a live grant that could not be issued does."""
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in _GATES and word != _LIVE]
    if unknown:
        known = ", ".join((*_GATES, _LIVE))
        raise Usage(f"--fail-on does not know {unknown[0]!r}.", next_step=f"Choose among {known}.")
    return frozenset(_GATES[word] for word in words if word != _LIVE), _LIVE in words


def _live_summary(count: int, hit: Sequence[Affected]) -> str:
    refused = sum(one.refused for one in hit)
    return f"Of {count:,} live grants {refused:,} could not be issued now, {len(hit) - refused:,} with less."


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
