"""`policy decisions` and `policy simulate`: recorded decisions, and what other documents would make of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import orjson
from cyclopts import Parameter

from loglease.cli.errors import Exit, Usage
from loglease.cli.policy_files import bundle_in, clock_now
from loglease.cli.run import Here, Run, flag
from loglease.cli.terminal import one_line
from loglease.model.instant import Instant, after, instant_text, parse_duration
from loglease.policy.decision_records import RecordedDecision, read_decision
from loglease.policy.simulation import Change, Simulation, Summary

DEFAULT_SINCE: Final = "30d"


def decisions(
    *,
    since: Annotated[str, flag("decisions of so long until now, such as 30d")] = DEFAULT_SINCE,
    run: Here,
) -> Exit:
    """Print the decisions on requests that the server has kept, one JSON object a line.

    Each holds all that it rests on: who asked for what, the facts that were known, the documents in force, what came of
    it. Refused requests are among them. It takes the role policy_admin, auditor or admin.
    """
    start = after(clock_now(), -parse_duration(since))
    for item in run.client.items("/policies/decisions", most=None, since=instant_text(start)):
        run.out.data(orjson.dumps(item["decision"], option=orjson.OPT_SORT_KEYS).decode())
    return Exit.DONE


def simulate(
    new: Annotated[Path, Parameter(name="NEW", help="directory with the documents as they would be")],
    /,
    *,
    decisions: Annotated[Path, flag("file with recorded decisions: what `loglease policy decisions` prints")],
    since: Annotated[str | None, flag("only decisions of so long until now, such as 30d")] = None,
    fail_on: Annotated[str, flag("end with 5 if there is one of these kinds, with commas between")] = "",
    run: Here,
) -> Exit:
    """Decide recorded requests again by other documents, and say who would gain or lose what.

    Kinds are newly-allowed, newly-denied, fewer-reviews, more-reviews, longer, shorter, less-redaction, more-redaction
    and other-policy. What was not recorded makes a case undecided; nothing is guessed. Approvers are taken to be there.

    Exits with 3 if documents have errors, with 5 if there is a kind that --fail-on names, else with 0.
    """
    gates = _gates(fail_on)
    bundle = bundle_in(run, new)
    if bundle is None:
        return Exit.CHECK_FAILED
    start = None if since is None else after(clock_now(), -parse_duration(since))
    summary = Summary()
    for one in Simulation(bundle).replay(_recorded(decisions, start)):
        summary.add(one)
    _show(run, summary)
    return Exit.GATE if any(summary.kinds.get(change) for change in gates) else Exit.DONE


def _gates(text: str) -> frozenset[Change]:
    names = [one.strip() for one in text.split(",") if one.strip()]
    unknown = [one for one in names if one not in set(Change)]
    if unknown:
        raise Usage(f"There is no kind {unknown[0][:40]!r}.", next_step=f"Kinds: {', '.join(Change)}.")
    return frozenset(map(Change, names))


def _recorded(path: Path, start: Instant | None) -> Iterator[RecordedDecision]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    record = read_decision(line, number)
                    if start is None or record.at >= start:
                        yield record
    except OSError as error:
        raise Usage(f"{path}: {error.strerror}.", next_step="Check path and mode.") from error


def _show(run: Run, summary: Summary) -> None:
    if run.out.json:
        run.out.resource(summary.data())
        return
    for line in summary.lines():
        run.out.data(one_line(line))
