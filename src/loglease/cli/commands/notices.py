"""`admin notify`: who was told, who could not be, and whether a channel works."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from loglease.cli.client import Body
from loglease.cli.errors import Exit, Usage
from loglease.cli.output import moment
from loglease.cli.run import Here, flag


def list_(
    *,
    dead: Annotated[bool, flag("only what was given up")] = False,
    waiting: Annotated[bool, flag("only what is still to be sent")] = False,
    run: Here,
) -> None:
    """List notices, newest first: to whom, on which channel, and what became of them."""
    if dead and waiting:
        raise Usage("A notice that was given up does not wait.", next_step="Give --dead or --waiting.")
    state = "dead" if dead else "waiting" if waiting else None
    found = run.client.get("/notices" if state is None else f"/notices?state={state}")
    if run.out.json:
        run.out.resource(found)
        return
    run.out.table(
        ["NOTICE", "AT", "EVENT", "ABOUT", "TO", "CHANNEL", "STATE", "ERROR"],
        [
            [
                one["id"],
                moment(one["at"]),
                one["event"],
                one["about"],
                one["recipient"],
                one["channel"],
                one["state"],
                one.get("error", ""),
            ]
            for one in found["items"]
        ],
        none="No notice.",
    )


def test(
    channel: Annotated[str, Parameter(name="CHANNEL", help="a channel of the server, or email: to your own address")],
    /,
    *,
    run: Here,
) -> Exit:
    """Send a test message on a channel, now."""
    found = run.client.post("/notices/test", {"channel": channel})
    if run.out.json:
        run.out.resource(found)
    else:
        run.out.data(f"{found['channel']}: taken." if found["taken"] else f"{found['channel']}: {found['error']}")
    return Exit.DONE if found["taken"] else Exit.NO


def retry(
    notice: Annotated[str | None, Parameter(name="NOTICE", help="its identifier, ntc_…; else all of them")] = None,
    /,
    *,
    run: Here,
) -> None:
    """Try again what was given up: it has another day."""
    body: Body = {} if notice is None else {"id": notice}
    found = run.client.post("/notices/retry", body)
    if run.out.json:
        run.out.resource(found)
    else:
        run.out.data(f"{found['retried']} notices are tried again.")
