"""`audit list`."""

from __future__ import annotations

from typing import Annotated

from loglease.cli.client import Body
from loglease.cli.following import recent
from loglease.cli.ids import chosen
from loglease.cli.output import moment
from loglease.cli.run import Here, flag
from loglease.cli.terminal import json_text
from loglease.model.ids import GRANT, REQUEST


def list_(
    *,
    type_: Annotated[str | None, flag("only entries of this type, such as grant.revoked", name="--type")] = None,
    actor: Annotated[str | None, flag("only what this subject did")] = None,
    request: Annotated[str | None, flag("only what is about this request")] = None,
    grant: Annotated[str | None, flag("only what is about this grant")] = None,
    session: Annotated[str | None, flag("only what is about this session")] = None,
    since: Annotated[str | None, flag("only entries of the last 2h or so")] = None,
    limit: Annotated[int, flag("list at most so many; default 50")] = 50,
    all_: Annotated[bool, flag("list all", name="--all")] = False,
    run: Here,
) -> None:
    """List audit entries.

    Auditors see all; others what is about a request or grant of theirs.
    """
    found = recent(
        run,
        "/audit/entries",
        most=None if all_ else limit,
        since=since,
        at="at",
        type=type_,
        actor=actor,
        request=None if request is None else chosen(run, request, REQUEST),
        grant=None if grant is None else chosen(run, grant, GRANT),
        session=session,
    )
    if run.out.json:
        run.out.resource({"items": found})
        return
    run.out.table(
        ["ENTRY", "AT", "TYPE", "ACTOR", "ABOUT", "DATA"],
        [
            [f"{one['index']}", moment(one["at"]), one["type"], one["actor"], _about(one), json_text(one["data"])]
            for one in found
        ],
        none="No entry.",
    )


def _about(one: Body) -> str:
    return " ".join(one["ref"].values())
