"""`revoke`, `suspend`, `resume`."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from loglease.cli.client import Body
from loglease.cli.errors import Exit, Usage
from loglease.cli.ids import chosen
from loglease.cli.run import Here, Run, flag
from loglease.cli.waiting import Waiting
from loglease.model.ids import GRANT, REQUEST

IDS = Annotated[tuple[str, ...], Parameter(name="ID", help="grants")]
Reason = Annotated[str | None, flag("why, for the people concerned and for the record")]
_SETTLED_WITHIN_S: Final = 3.0


def revoke(
    *ids: Annotated[str, Parameter(name="ID", help="grants, or a pending request")],
    person: Annotated[str | None, flag("all that this person has")] = None,
    group: Annotated[str | None, flag("all that the members of this group have")] = None,
    source: Annotated[str | None, flag("all grants on this source")] = None,
    policy: Annotated[str | None, flag("all grants of this policy")] = None,
    reason: Reason = None,
    dry_run: Annotated[bool, flag("show what it would end; take nothing away")] = False,
    run: Here,
) -> Exit:
    """Take access away: grants, or all that a person, group, source or policy has.

    Open sessions are cut within a second. What was confirmed and what is still ending is told, never more.
    """
    wide = [
        f"{kind}:{name}"
        for kind, name in (("person", person), ("group", group), ("source", source), ("policy", policy))
        if name is not None
    ]
    if bool(ids) is bool(wide) or len(wide) > 1:
        raise Usage(
            "Say what to revoke: identifiers, or one of --person, --group, --source, --policy.",
            next_step='loglease revoke grt_… --reason "incident over"',
        )
    targets = wide or [_target(run, text) for text in ids]
    if dry_run:
        return _dry(run, targets)
    why = reason or run.asked("--reason", "Why")
    if wide and not run.confirm(f"Revoke everything of {wide[0]}?"):
        run.out.notice("Nothing was revoked.")
        return Exit.NO
    done = [_settled(run, run.client.post("/revocations", {"on": on, "reason": why}, creates=True)) for on in targets]
    if run.out.json:
        run.out.resource(done[0] if len(done) == 1 else {"items": done})
        return Exit.DONE
    for one in done:
        _tell(run, one)
    return Exit.DONE


def suspend(*ids: Annotated[str, Parameter(name="ID", help="grants")], reason: Reason = None, run: Here) -> Exit:
    """Stop grants for now; their clocks run on.

    Open sessions are cut. Somebody other than the holder can resume them.
    """
    return _each(run, ids, "suspend", reason)


def resume(*ids: Annotated[str, Parameter(name="ID", help="grants")], reason: Reason = None, run: Here) -> Exit:
    """Lift the suspension of grants.

    Clients open new sessions; nothing goes on by itself.
    """
    return _each(run, ids, "resume", reason)


def _each(run: Run, ids: tuple[str, ...], verb: str, reason: str | None) -> Exit:
    if not ids:
        raise Usage(f"Which grants do you want to {verb}?", next_step=f"loglease {verb} grt_… --reason …")
    chosen_ids = [chosen(run, text, GRANT, live=True) for text in ids]
    why = reason or run.asked("--reason", "Why")
    done = [run.client.post(f"/grants/{grant}/{verb}", {"reason": why}) for grant in chosen_ids]
    if run.out.json:
        run.out.resource(done[0] if len(done) == 1 else {"items": done})
        return Exit.DONE
    for one in done:
        run.out.data(f"{one['id']} of {one['holder']['account']} is {one['state']}.")
    return Exit.DONE


def _target(run: Run, text: str) -> str:
    if text.startswith(f"{REQUEST}_"):
        return f"request:{chosen(run, text, REQUEST)}"
    return f"grant:{chosen(run, text, GRANT, live=True)}"


def _settled(run: Run, revocation: Body) -> Body:
    """Look again for a moment while sessions are still ending, so that the answer can say that they have."""
    wait = Waiting(run.out)
    while revocation["sessions_ending"] and revocation["durable"] and wait.elapsed_s < _SETTLED_WITHIN_S:
        wait.tell(f"{len(revocation['sessions_ending'])} sessions are still ending")
        wait.pause()
        revocation = run.client.get(f"/revocations/{revocation['id']}")
    wait.stop()
    return revocation


def _tell(run: Run, one: Body) -> None:
    grants = ", ".join(one["grants"]) or "no live grant"
    run.out.data(f"Revoked {one['on']} at {one['at'][11:19]} UTC: {grants}   ({one['id']})")
    run.out.data(f"Sessions ended {len(one['sessions_ended'])}, still ending {len(one['sessions_ending'])}.")
    if not one["durable"]:
        run.out.notice("Journalled on one machine only: the database did not answer. It takes effect there at once.")


def _dry(run: Run, targets: list[str]) -> Exit:
    """Show what the acts would end; the server refuses where it would refuse the act."""
    found = [run.client.get("/revocations/preview", on=on) for on in targets]
    if run.out.json:
        run.out.resource(found[0] if len(found) == 1 else {"items": found})
        return Exit.DONE
    grants = {one["id"]: one for preview in found for one in preview["grants"]}
    requests = sorted({one for preview in found for one in preview["requests"]})
    if grants or not requests:
        run.out.table(
            ["GRANT", "STATE", "HOLDER", "SESSIONS", "WHAT"],
            [
                [one["id"], one["state"], one["holder"]["account"], str(one["open_sessions"]), one["words"]]
                for one in grants.values()
            ],
            none="Nothing would end.",
        )
    if requests:
        run.out.data(f"Requests that would be cancelled: {', '.join(requests)}")
    return Exit.DONE
