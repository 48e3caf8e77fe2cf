"""`stand-in name`, `stand-in list`, `stand-in end`: who reviews in whose place."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from loglease.cli.errors import NotFoundHere
from loglease.cli.output import moment
from loglease.cli.run import Here, flag
from loglease.cli.terminal import one_line
from loglease.model.instant import parse_duration


def name(
    user: Annotated[str, Parameter(name="USER", help="the account of who reviews in your place")],
    /,
    *,
    for_: Annotated[str, flag("for how long, such as 7d", name="--for")],
    run: Here,
) -> None:
    """Name who reviews in your place for a time.

    Approver sets say whom their members may name, and for how long at most. It counts for requests that are submitted
    from then on, and takes the place of whoever you named before. Reviews record both of you.
    """
    named = run.client.post("/stand-ins", {"stand_in": user, "for_s": parse_duration(for_)})
    if run.out.json:
        run.out.resource(named)
        return
    run.out.data(f"{named['stand_in']['account']} reviews in your place until {moment(named['until'])} UTC.")


def list_(*, run: Here) -> None:
    """List who stands in for you, and for whom you do."""
    found = run.client.every("/stand-ins")
    if run.out.json:
        run.out.resource({"items": found})
        return
    rows = [[one["member"]["account"], one["stand_in"]["account"], moment(one["until"])] for one in found]
    run.out.table(["MEMBER", "STAND-IN", "UNTIL"], rows, none="Nobody stands in.")


def end(
    member: Annotated[str | None, Parameter(name="MEMBER", help="for whom; default: for you")] = None,
    /,
    *,
    run: Here,
) -> None:
    """End that somebody stands in for you, or you for somebody."""
    account = str(run.client.get("/me")["principal"]["account"]) if member is None else member.casefold()
    for one in run.client.every("/stand-ins"):
        if account in (one["member"]["account"], one["person"]):
            run.client.call("DELETE", f"/stand-ins/{one['person']}")
            run.out.notice(f"{one['stand_in']['account']} stands in for {one['member']['account']} no longer.")
            return
    raise NotFoundHere(f"Nobody stands in for {one_line(account[:80])}.", next_step="loglease stand-in list")
