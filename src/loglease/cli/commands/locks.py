"""`lock add`, `lock list`, `lock lift`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from loglease.cli.client import Body
from loglease.cli.errors import Exit, Usage
from loglease.cli.ids import chosen
from loglease.cli.output import moment
from loglease.cli.run import Here, Run, flag
from loglease.model.hold import LockKind, parse_lock_on
from loglease.model.ids import LOCK
from loglease.model.instant import after, instant_text, parse_duration, parse_instant

_DOOR: Final = "loglease.server.local_door"

Reason = Annotated[str | None, flag("why, for the people concerned and for the record")]


def add(
    on: Annotated[str, Parameter(name="ON", help="kind:name, such as person:dave@example.com, or everything")],
    /,
    *,
    reason: Reason = None,
    revoke: Annotated[bool, flag("end the grants that it matches for good")] = False,
    until: Annotated[str | None, flag("lift it by itself: a time, or a duration from now")] = None,
    local: Annotated[bool, flag("ask the server of this machine over its socket; needs no sign-in")] = False,
    data_dir: Annotated[Path | None, flag("with --local: where that server keeps its data")] = None,
    run: Here,
) -> Exit:
    """Lock a person, group, grant or other thing; with --revoke its grants end.

    What a lock matches cannot be used, signed in with or asked for, and open sessions are cut within a second.
    With --local the server's own user locks even while the database is away and nobody can sign in.
    """
    target = parse_lock_on(on)
    if local:
        if revoke or until is not None:
            raise Usage("--local only locks.", next_step=f"loglease lock add {target} --local --reason …")
        why = reason or run.asked("--reason", "Why")
        return _told(run, import_module(_DOOR).lock_add(on=str(target), reason=why, data_dir=data_dir))
    body: Body = {"on": str(target), "reason": reason or run.asked("--reason", "Why"), "revoke": revoke}
    if until is not None:
        body["until"] = _until(run, until)
    if target.kind is LockKind.EVERYTHING and not run.confirm("Lock everything, for everybody?"):
        run.out.notice("Nothing was locked.")
        return Exit.NO
    lock = run.client.post("/locks", body, creates=True)
    if run.out.json:
        run.out.resource(lock)
        return Exit.DONE
    run.out.data(f"Locked {lock['on']} at {lock['added_at'][11:19]} UTC   ({lock['id']})")
    run.out.data(f"Sessions ended {len(lock['sessions_ended'])}, still ending {len(lock['sessions_ending'])}.")
    run.out.notice("It is lifted by an administrator: loglease lock lift " + lock["id"])
    return Exit.DONE


def _told(run: Run, lock: Body) -> Exit:
    if run.out.json:
        run.out.resource(lock)
        return Exit.DONE
    run.out.data(f"Locked {lock['on']} at {lock['added_at'][11:19]} UTC   ({lock['id']})")
    if not lock["durable"]:
        run.out.notice("Journalled on this machine; it is recorded when the database is back.")
    run.out.notice("It is lifted by an administrator: loglease lock lift " + lock["id"])
    return Exit.DONE


def list_(*, run: Here) -> None:
    """List locks."""
    found = run.client.every("/locks")
    if run.out.json:
        run.out.resource({"items": found})
        return
    run.out.table(
        ["LOCK", "ON", "STATE", "BY", "ADDED", "UNTIL", "REASON"],
        [
            [
                one["id"],
                one["on"],
                "in force" if one["in_force"] else "over",
                one["added_by"]["account"],
                moment(one["added_at"]),
                moment(one.get("lifted_at") or one.get("until")),
                one["reason"],
            ]
            for one in found
        ],
        none="No lock.",
    )


def lift(
    id_: Annotated[str, Parameter(name="ID", help="the lock")],
    /,
    *,
    reason: Reason = None,
    run: Here,
) -> None:
    """Lift a lock; never one that is aimed at you.

    Grants that it suspended can be used again, as far as their clocks still run. A lock on everything is lifted by
    another administrator than the one who added it.
    """
    lock_id = chosen(run, id_, LOCK)
    lock = run.client.post(f"/locks/{lock_id}/lift", {"reason": reason or run.asked("--reason", "Why")})
    if run.out.json:
        run.out.resource(lock)
    else:
        run.out.data(f"Lifted the lock on {lock['on']}   ({lock['id']})")


def _until(run: Run, text: str) -> str:
    if "T" in text or "-" in text:
        return instant_text(parse_instant(text))
    return instant_text(after(run.client.now(), parse_duration(text)))
