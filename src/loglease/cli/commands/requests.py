"""`requests`: list them, show one with its timeline, follow them."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from loglease.cli.afterwards import after_words, exposure_facts
from loglease.cli.client import Body
from loglease.cli.following import followed, recent
from loglease.cli.ids import chosen
from loglease.cli.offers import bound_words, linkable_words, more_words, recorded_words
from loglease.cli.output import moment
from loglease.cli.run import Here, Run, flag
from loglease.model.ids import REQUEST
from loglease.model.instant import duration_text

State = Literal["pending", "approved", "denied", "cancelled", "expired"]


def requests(
    id_: Annotated[str | None, Parameter(name="ID", help="show this one with its timeline")] = None,
    /,
    *,
    mine: Annotated[bool, flag("only your own")] = False,
    needs_me: Annotated[bool, flag("only those that wait for your review")] = False,
    after_review: Annotated[bool, flag("only those whose after-review nobody has done; late ones first")] = False,
    state: Annotated[State | None, flag("only those that are so")] = None,
    source: Annotated[str | None, flag("only those about this source")] = None,
    since: Annotated[str | None, flag("only those of the last 2h or so")] = None,
    limit: Annotated[int, flag("list at most so many; default 50")] = 50,
    all_: Annotated[bool, flag("list all", name="--all")] = False,
    watch: Annotated[bool, flag("follow: one object for each change, until Ctrl-C")] = False,
    run: Here,
) -> None:
    """List access requests, or show one with its timeline."""
    if id_ is not None:
        _show(run, chosen(run, id_, REQUEST))
        return
    if after_review:
        _list_after_reviews(run, needs_me=needs_me, most=None if all_ else limit)
        return
    filters = {"mine": mine or None, "needs": "my-review" if needs_me else None, "state": state, "source": source}
    found = recent(run, "/requests", most=None if all_ else limit, since=since, at="submitted_at", **filters)
    if watch:
        followed(run, "/requests", found, line=_line, **filters)
        return
    if run.out.json:
        run.out.resource({"items": found})
        return
    run.out.table(
        ["REQUEST", "STATE", "BY", "FOR", "ASKED", "WHAT"],
        [
            [
                one["id"],
                one["state"],
                one["requester"]["account"],
                duration_text(one["duration_s"]),
                moment(one["submitted_at"]),
                one["words"],
            ]
            for one in found
        ],
        none="No request. Ask with: loglease request '{service=\"…\"}' --reason …",
    )


def _list_after_reviews(run: Run, *, needs_me: bool, most: int | None) -> None:
    needs = "my-review" if needs_me else None
    found = list(run.client.items("/after-reviews", most=most, undone=True, needs=needs))
    found.sort(key=lambda one: one["after_review"]["due_at"])
    if run.out.json:
        run.out.resource({"items": found})
        return
    run.out.table(
        ["REQUEST", "DUE", "BY", "BASIS", "YOURS", "WHAT"],
        [
            [
                one["id"],
                f"{moment(one['after_review']['due_at'])}{' LATE' if one['after_review']['late'] else ''}",
                one["requester"]["account"],
                one["after_review"]["basis"].replace("_", "-"),
                "yes" if one["after_review"]["may_review"] else "",
                one["words"],
            ]
            for one in found
        ],
        none="No after-review waits.",
    )


def _line(one: Body) -> str:
    return f"{one['id']}  {one['state']}  {one['requester']['account']}  {one['words']}"


def _show(run: Run, request_id: str) -> None:
    shown = run.client.get(f"/requests/{request_id}")
    steps = run.client.get(f"/requests/{request_id}/timeline")["items"]
    if run.out.json:
        run.out.resource({**shown, "timeline": steps})
        return
    requester = shown["requester"]
    run.out.facts(
        [
            ("Request", f"{shown['id']} {shown['state']}"),
            ("By", f"{requester['name']} <{requester['account']}> ({requester['kind']})"),
            ("Asks", shown["words"]),
            ("Usable", bound_words(shown["offer"])),
            ("Linkable", linkable_words(shown["offer"])),
            ("Recorded", recorded_words(shown["offer"])),
            ("Reason", shown["reason"]),
            ("Ticket", shown.get("ticket", "")),
            ("Policy", f"{shown['offer']['policy']}: {shown['offer']['rule']}"),
            ("Approvals", f"{shown['approvals']} of {shown['need']}"),
            ("By now", more_words(shown)),
            ("Until", f"{moment(shown['expires_at'])} UTC" if shown["state"] == "pending" else ""),
            ("Grant", shown.get("grant", "")),
            ("Afterwards", after_words(shown)),
            ("Digest", shown["digest"]),
        ]
    )
    for one in shown["reviews"]:
        narrowed = ", narrowed" if one.get("narrowed") or one.get("narrowed_duration_s") else ""
        comment = f": {one['comment']}" if one["comment"] else ""
        run.out.facts([("Review", f"{one['verdict']}{narrowed} by {_reviewer(one)}{comment}")])
    if shown.get("after_review"):
        run.out.facts(exposure_facts(run.client.get(f"/requests/{request_id}/exposure")))
    for step in steps:
        run.out.facts([(moment(step["at"])[11:], step["text"])])
    if shown["state"] == "pending" and shown["may_review"]:
        run.out.notice(f"next: loglease approve {shown['id']}")
    if shown.get("after_review", {}).get("may_review"):
        run.out.notice(f"next: loglease approve {shown['id']} --after")


def _reviewer(review: Body) -> str:
    account = str(review["reviewer"]["account"])
    return f"{account} for {review['stands_for']['account']}" if review.get("stands_for") else account
