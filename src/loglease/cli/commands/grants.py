"""`grants`, `use`, `return`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from loglease.cli.client import Body
from loglease.cli.extensions import begins_words, going_on
from loglease.cli.following import followed, recent
from loglease.cli.ids import chosen
from loglease.cli.offers import bound_words, linkable_words, recorded_words
from loglease.cli.output import moment, size_text
from loglease.cli.reveals import show_value
from loglease.cli.run import Here, Run, flag
from loglease.cli.waiting import clock_text
from loglease.model.ids import GRANT
from loglease.model.instant import duration_text

ID = Annotated[str, Parameter(name="ID", help="the grant; @last is your newest")]


def grants(
    id_: Annotated[str | None, Parameter(name="ID", help="show this one with its sessions")] = None,
    /,
    *,
    mine: Annotated[bool, flag("only your own")] = False,
    live: Annotated[bool, flag("only those that have not ended")] = False,
    since: Annotated[str | None, flag("only those of the last 2h or so")] = None,
    limit: Annotated[int, flag("list at most so many; default 50")] = 50,
    all_: Annotated[bool, flag("list all", name="--all")] = False,
    watch: Annotated[bool, flag("follow: one object for each change, until Ctrl-C")] = False,
    run: Here,
) -> None:
    """List grants, or show one: both clocks, budgets, sessions."""
    if id_ is not None:
        _show(run, chosen(run, id_, GRANT))
        return
    filters = {"mine": mine or None, "live": live or None}
    found = recent(run, "/grants", most=None if all_ else limit, since=since, at="scheduled_at", **filters)
    if watch:
        followed(run, "/grants", found, line=lambda one: _line(run, one), **filters)
    elif run.out.json:
        run.out.resource({"items": found})
    else:
        run.out.table(
            ["GRANT", "STATE", "HOLDER", "UNTIL", "LEFT", "LINES LEFT", "SESSIONS", "WHAT"],
            [_row(run, one) for one in found],
            none="No grant. Ask with: loglease request '{service=\"…\"}' --reason …",
        )


def use(id_: ID, /, *, run: Here) -> None:
    """Activate a grant: its clock starts now.

    Reading with `logs` or `tail` activates it, too. A grant that reveals a value prints it here, once.
    """
    grant_id = chosen(run, id_, GRANT, mine=True)
    grant = run.client.get(f"/grants/{grant_id}")
    if grant.get("reveal"):
        show_value(run, grant)
        return
    grant = run.client.post(f"/grants/{grant_id}/activate")
    if run.out.json:
        run.out.resource(grant)
    else:
        run.out.data(active_words(run, grant))


def return_(id_: ID, /, *, run: Here) -> None:
    """Give a grant back: its sessions end, nobody can use it any more."""
    grant = run.client.post(f"/grants/{chosen(run, id_, GRANT, mine=True)}/return")
    if run.out.json:
        run.out.resource(grant)
    else:
        run.out.data(f"{grant['id']} {ended_words(grant)}; {grant['spent']['lines']:,} lines were read.")


def active_words(run: Run, grant: Body) -> str:
    """Say that a grant is active and until when one may read."""
    until = grant.get("valid_until")
    if until is None:
        return f"grant {grant['id']} is {grant['state']}"
    left = clock_text(left_s(run, grant))
    return f"grant {grant['id']} is {grant['state']}: you may read until {until[11:19]} UTC ({left})"


def ended_words(grant: Body) -> str:
    """Say how a grant ended and by whom, or that it has not."""
    if grant["state"] not in ("ended", "revoked"):
        return f"is {grant['state']}"
    by = (grant.get("ended_by") or {}).get("account")
    how = "was revoked" if grant["state"] == "revoked" else f"ended ({grant.get('ended_why', 'expired')})"
    reason = f': "{grant["reason"]}"' if grant.get("reason") else ""
    return f"{how}{f' by {by}' if by else ''} at {moment(grant.get('ended_at'))} UTC{reason}"


def hold_words(grant: Body) -> str:
    """Say who suspended a grant and why, as the end of a sentence; empty if nothing holds it."""
    said = []
    for hold in grant["holds"]:
        by = (hold.get("by") or {}).get("account")
        who = f"by {by}" if by else f"by a lock on its {hold['cause']}" if hold["kind"] == "lock" else hold["cause"]
        said.append(f" {who}" + (f': "{hold["reason"]}"' if hold["reason"] else ""))
    return ";".join(said)


def left_s(run: Run, grant: Body) -> float:
    """Return the seconds until the clock ends a grant, by the server's time."""
    if grant.get("valid_until") is None:
        return run.client.left_s(grant["activate_by"], since=grant["scheduled_at"])
    return run.client.left_s(grant["valid_until"], since=grant["valid_from"])


def budget_words(grant: Body) -> str:
    """Say what is left of the budgets; empty if there is none."""
    spent = grant["spent"]
    left = []
    if "lines_left" in spent:
        left.append(f"{spent['lines_left']:,} lines")
    if "bytes_left" in spent:
        left.append(size_text(spent["bytes_left"]))
    if "subjects_left" in spent:
        count = spent["subjects_left"]
        left.append(f"{count:,} more data subject{'' if count == 1 else 's'}")
    return ", ".join(left)


def _row(run: Run, one: Body) -> list[str]:
    live = one["state"] in ("active", "scheduled", "suspended")
    until = one.get("valid_until") or one["activate_by"]
    lines = one["spent"].get("lines_left")
    return [
        one["id"],
        one["state"],
        one["holder"]["account"],
        moment(until if live else one.get("ended_at")),
        clock_text(left_s(run, one)) if live else "",
        "" if lines is None else f"{lines:,}",
        str(one["open_sessions"]),
        one["words"],
    ]


def _line(run: Run, one: Body) -> str:
    return "  ".join(cell for cell in _row(run, one) if cell)


def _show(run: Run, grant_id: str) -> None:
    grant = run.client.get(f"/grants/{grant_id}")
    sessions = run.client.get(f"/grants/{grant_id}/usage")["sessions"]
    if run.out.json:
        run.out.resource({**grant, "sessions": sessions})
        return
    live = grant["state"] in ("active", "scheduled", "suspended")
    run.out.facts(
        [
            ("Grant", f"{grant['id']} {grant['state']}"),
            ("Holder", f"{grant['holder']['name']} <{grant['holder']['account']}>"),
            ("Allows", grant["words"]),
            ("Usable", bound_words(grant)),
            ("Linkable", linkable_words(grant)),
            ("Recorded", recorded_words(grant)),
            ("Ended", "" if live else ended_words(grant)),
            ("Validity", _validity(run, grant) if live else ""),
            ("Read", f"{grant['spent']['lines']:,} lines, {size_text(grant['spent']['bytes'])}"),
            ("Left", budget_words(grant) if live else ""),
            ("Held", "\n".join(f"{hold['kind']} ({hold['cause']}): {hold['reason']}" for hold in grant["holds"])),
            ("Extends", grant.get("extends", "")),
            ("Goes on", going_on(grant) if grant["state"] == "active" or grant.get("extension") else ""),
            ("Request", grant["request"]),
            ("Policy", grant["policy"]),
            ("Digest", grant["digest"]),
        ]
    )
    run.out.table(
        ["SESSION", "KIND", "BY", "OPENED", "ENDED", "WHY", "LINES"],
        [
            [
                one["id"],
                f"{one['kind']} ({one['front']})",
                one["principal"]["account"],
                moment(one["opened_at"]),
                moment(one.get("closed_at")),
                one.get("why", "open"),
                f"{one['account']['lines']:,}",
            ]
            for one in sessions
        ],
        none="No session yet.",
    )


def _validity(run: Run, grant: Body) -> str:
    left = clock_text(left_s(run, grant))
    if begins := begins_words(grant):
        return f"{begins}, for {duration_text(grant['duration_s'])}"
    if grant.get("valid_until") is None:
        return (
            f"{duration_text(grant['duration_s'])} from first use on; use it before "
            f"{moment(grant['activate_by'])} UTC ({left} left)"
        )
    return f"you may read until {moment(grant['valid_until'])} UTC ({left} left)"
