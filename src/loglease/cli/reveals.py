"""One masked value: the draft of a request for it from a line as `logs` printed it, and showing it, once."""

from __future__ import annotations

import json
from dataclasses import dataclass

from loglease.cli.client import Body
from loglease.cli.errors import Usage
from loglease.cli.ids import chosen
from loglease.cli.run import Run
from loglease.model.ids import GRANT

_EXAMPLE = "loglease request --reveal grt_…:TOKEN --line '{\"ts\":…}' --reason …"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealAsked:
    """The flags of `request` that are about a reveal; None was not given."""

    reveal: str
    line: str | None
    span: int | None
    cls: str | None
    reason: str | None
    ticket: str | None


def reveal_draft(run: Run, asked: RevealAsked) -> Body:
    """Return the body of a draft.

    Raises:
        Usage: `--reveal` or `--line` is not of its form.
    """
    grant, colon, token = asked.reveal.partition(":")
    if not colon or not token:
        raise Usage("--reveal names a grant and a token of a line.", next_step=_EXAMPLE)
    reveal: Body = {"grant": chosen(run, grant, GRANT, mine=True), "token": token, "line": _record(run, asked.line)}
    if asked.span is not None:
        reveal["span"] = asked.span
    if asked.cls is not None:
        reveal["class"] = asked.cls
    draft: Body = {"reveal": reveal, "reason": asked.reason or ""}
    return draft if asked.ticket is None else {**draft, "ticket": asked.ticket}


def _record(run: Run, text: str | None) -> Body:
    """Return the three fields of a line record that say which line it is."""
    if text is None:
        raise Usage("The line is not named.", next_step="Give --line: a record of loglease logs --output json, or -.")
    if text == "-":
        lines = [line for line in run.stdin.read().splitlines() if line.strip()]
        if len(lines) != 1:
            raise Usage(f"Standard input has {len(lines)} lines.", next_step="Send the record of one line.")
        text = lines[0]
    try:
        record = json.loads(text)
        return {"ts": str(record["ts"]), "labels": dict(record["labels"]), "line": str(record["line"])}
    except (ValueError, TypeError, KeyError) as error:
        raise Usage(
            "--line is no record of a line.", next_step="Copy it as loglease logs --output json printed it."
        ) from error


def show_value(run: Run, grant: Body) -> None:
    """Print the value of a grant that reveals one. There is no second time."""
    value = run.client.reveal(grant["id"])
    if run.out.json:
        run.out.resource(value)
    else:
        run.out.data(str(value["value"]))
        run.out.notice("It was shown once; the reveal is on the record and used up.")
