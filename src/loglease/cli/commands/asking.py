"""`request` and `cancel`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from loglease.cli.afterwards import accepted, after_words
from loglease.cli.asked import asked_of
from loglease.cli.client import Body
from loglease.cli.errors import Exit, Usage
from loglease.cli.extensions import begins_words, extension_draft
from loglease.cli.ids import chosen
from loglease.cli.narrowing import size_of
from loglease.cli.offers import covering_grant, draft_of, show_offers
from loglease.cli.output import moment
from loglease.cli.questions import asked_selector, filled_in, may_be_asked
from loglease.cli.reveals import RevealAsked, reveal_draft
from loglease.cli.run import Here, Run, flag
from loglease.cli.terminal import one_line
from loglease.cli.waiting import Patience, clock_text, waiting
from loglease.model.errors import LogLeaseError
from loglease.model.ids import REQUEST
from loglease.model.instant import parse_duration
from loglease.policy.explanation_text import text_of

_AFTER = {"denied": Exit.NO, "cancelled": Exit.NO, "expired": Exit.NO, "approved": Exit.DONE}


def request(
    selector: Annotated[str | None, flag('which streams, such as \'{service="pay-api",env="prod"}\'')] = None,
    /,
    *,
    reason: Annotated[str | None, flag("why, for the people who decide and for the record")] = None,
    ticket: Annotated[str | None, flag("the ticket that it is about")] = None,
    input_: Annotated[
        tuple[str, ...], flag("what a policy asks for in a field of its own: NAME=VALUE; repeatable", name="--input")
    ] = (),
    source: Annotated[str | None, flag("where the logs are; not needed if there is only one")] = None,
    window: Annotated[str | None, flag("events of so long until now, such as 2h; default: 1h and live")] = None,
    from_: Annotated[str | None, flag("first event time, RFC 3339", name="--from")] = None,
    to: Annotated[str | None, flag("event time to stop before, RFC 3339")] = None,
    live: Annotated[bool, flag("also events to come, until the grant ends")] = False,
    level: Annotated[str | None, flag("this level and above, such as warn")] = None,
    contains: Annotated[tuple[str, ...], flag("only lines with this text; repeatable")] = (),
    profile: Annotated[str | None, flag("redaction profile, such as pii-default")] = None,
    for_: Annotated[str | None, flag("how long you want to read, from first use on, such as 30m", name="--for")] = None,
    limit_lines: Annotated[int | None, flag("read at most so many lines")] = None,
    limit_bytes: Annotated[str | None, flag("read at most so much, such as 256MiB")] = None,
    offer: Annotated[int | None, flag("take the offer of this number instead of the first")] = None,
    like: Annotated[str | None, flag("start from an earlier request; flags change it")] = None,
    extend: Annotated[str | None, flag("go on with a grant of yours where it ends; flags ask for less")] = None,
    all_streams: Annotated[bool, flag("ask for every stream of the source; no selector then")] = False,
    reveal: Annotated[str | None, flag("ask for one masked value: GRANT:TOKEN, read under that grant")] = None,
    line: Annotated[
        str | None, flag("with --reveal: the line's record of logs --output json, or -", stdin=True)
    ] = None,
    span: Annotated[int | None, flag("with --reveal: which of the line's tokens, from 1")] = None,
    class_: Annotated[str | None, flag("with --reveal: class of the value, such as pii.email", name="--class")] = None,
    break_glass: Annotated[bool, flag("an emergency: access at once, for a price that is told before")] = False,
    new: Annotated[bool, flag("ask even if a grant of yours covers it already")] = False,
    dry_run: Annotated[bool, flag("show the offers, or why there is none; ask for nothing")] = False,
    wait: Annotated[str | None, flag("wait so long for the decision; 0 does not wait")] = None,
    run: Here,
) -> Exit:
    """Ask for access to one slice of the logs, and wait for the decision.

    Without further flags the last hour plus live is asked for; duration, limits and masking come from the best offer.
    On a terminal what is missing, such as the reason, is asked for, and nothing is sent before you have seen the offer.
    Ctrl-C leaves the request pending.
    """
    wait_s = _wait_s(wait)
    if reveal is not None:
        scope = (selector, source, window, from_, to, live, level, contains, profile, all_streams)
        _require_no_others(*scope, for_, limit_lines, limit_bytes, like, extend, break_glass)
        asked_value = RevealAsked(reveal=reveal, line=line, span=span, cls=class_, reason=reason, ticket=ticket)
        return _ask_for(run, reveal_draft(run, asked_value), offer, wait_s, dry_run=dry_run)
    if extend is not None:
        _require_no_more(source, profile, like, all_streams, break_glass)
    unsaid = selector is None and like is None and extend is None and not all_streams
    if unsaid and may_be_asked(run):
        selector = asked_selector(run)
    asked = asked_of(
        selector=selector,
        all_streams=all_streams,
        source=source,
        window=window,
        from_=from_,
        to=to,
        live=live,
        level=level,
        contains=contains,
        profile=profile,
        for_=for_,
        reason=reason,
        ticket=ticket,
        inputs=input_,
        lines=_lines(limit_lines),
        size=None if limit_bytes is None else size_of(limit_bytes, "--limit-bytes"),
    )
    if extend is not None:
        return _ask_for(run, extension_draft(run, extend, asked), offer, wait_s, dry_run=dry_run)
    earlier = None if like is None else run.client.get(f"/requests/{chosen(run, like, REQUEST)}")
    draft = draft_of(run, asked, earlier) | ({"break_glass": True} if break_glass else {})
    offers = run.client.post("/offers", draft)
    if dry_run:
        return _offers_only(run, draft, offers, offer)
    if not new and (grant := covering_grant(run, draft, offers)) is not None:
        return _covered(run, grant)
    whole, offers = filled_in(run, draft, offers)
    if not run.out.json:
        show_offers(run, offers, offer)
    if break_glass and offers["offers"] and not accepted(run, whole):
        return Exit.NO
    if (whole != draft or (unsaid and selector)) and offers["offers"] and not run.confirm("Send this request?"):
        run.out.notice("Nothing was sent.")
        return Exit.NO
    sent = run.client.post("/requests", whole if offer is None else {**whole, "offer": offer}, creates=True)
    return _follow(run, sent, wait_s)


def _require_no_others(*flags: object) -> None:
    if any(flags):
        raise Usage("A reveal is about one line, and nothing else.", next_step="Leave out what narrows lines.")


def _require_no_more(*flags: object) -> None:
    if any(flags):
        raise Usage(
            "An extension has the source and the masking of its grant, and no more streams.",
            next_step="Leave out --source, --profile, --like, --all-streams and --break-glass.",
        )


def _ask_for(run: Run, draft: Body, offer: int | None, wait_s: int | None, *, dry_run: bool) -> Exit:
    offers = run.client.post("/offers", draft)
    if dry_run:
        return _offers_only(run, draft, offers, offer)
    draft, offers = filled_in(run, draft, offers)
    if not run.out.json:
        show_offers(run, offers, offer)
    sent = run.client.post("/requests", draft if offer is None else {**draft, "offer": offer}, creates=True)
    return _follow(run, sent, wait_s)


def cancel(
    id_: Annotated[str, Parameter(name="ID", help="the request")],
    /,
    *,
    run: Here,
) -> None:
    """Withdraw a pending request of yours."""
    request_id = chosen(run, id_, REQUEST, mine=True)
    shown = run.client.post(f"/requests/{request_id}/cancel")
    if run.out.json:
        run.out.resource(shown)
    else:
        run.out.data(f"{shown['id']} is {shown['state']}.")


def _wait_s(text: str | None) -> int | None:
    if text is None:
        return None
    return 0 if text == "0" else parse_duration(text)


def _lines(count: int | None) -> int | None:
    if count is not None and count < 1:
        raise Usage(f"--limit-lines is {count}.", next_step="Give 1 or more.")
    return count


def _offers_only(run: Run, draft: Body, offers: Body, number: int | None) -> Exit:
    """Show what is offered, or why nothing is."""
    if run.out.json:
        run.out.resource(offers)
    elif not offers["offers"] and "reveal" not in draft:
        for line in text_of(run.client.post("/policies/explain", draft)).splitlines():
            run.out.data(one_line(line))
    else:
        show_offers(run, offers, number)
        for line in offers["explanation"]:
            run.out.notice(line)
    return Exit.DONE if offers["offers"] else Exit.REFUSED


def _covered(run: Run, grant: Body) -> Exit:
    if run.out.json:
        run.out.resource(grant)
    else:
        run.out.data(f"You have that already: {grant['id']} is {grant['state']}. Nobody was asked.")
        run.out.data(f"Next      loglease logs --grant {grant['id']}   (ask anyway: --new)")
    return Exit.DONE


def _follow(run: Run, sent: Body, wait_s: int | None) -> Exit:
    if not run.out.json:
        told = len(sent["eligible"])
        people = "person" if told == 1 else "people"
        what = "look at it afterwards" if sent.get("after_review") else "decide"
        digest = f"{sent['digest'][:4]}…{sent['digest'][-4:]}"
        run.out.facts([("Sent", f"{sent['id']}   digest {digest}   {told} {people} may {what}")])
    shown = sent if sent["state"] != "pending" else _decided(run, sent, wait_s)
    if run.out.json:
        run.out.resource(shown)
    elif shown["state"] != "pending":
        _tell_verdict(run, shown)
    else:
        run.out.notice(f"{shown['id']} is still pending. See: loglease requests {shown['id']}")
    return _AFTER.get(shown["state"], Exit.PENDING)


def _decided(run: Run, sent: Body, wait_s: int | None) -> Body:
    """Ask again and again until the request has its verdict, or for so long; Ctrl-C leaves it pending."""
    shown: Body = sent
    found: Body | None = sent
    patience = Patience()
    with waiting(run.out) as wait:
        try:
            while shown["state"] == "pending" and (wait_s is None or wait.elapsed_s < wait_s):
                left = run.client.left_s(sent["expires_at"], since=sent["submitted_at"])
                stands = _progress(shown) if found else "the server does not answer"
                wait.tell(f"{stands} · {clock_text(left)} left          Ctrl-C leaves it pending")
                wait.pause(None if wait_s is None else wait_s - wait.elapsed_s)
                found = patience.ask(lambda: run.client.get(f"/requests/{sent['id']}"))
                shown = found or shown
        except (KeyboardInterrupt, LogLeaseError):
            wait.stop()
            run.out.notice(f"{sent['id']} stays pending. Withdraw it: loglease cancel {sent['id']}")
            raise
    return shown


def _progress(shown: Body) -> str:
    stages = max((len(plan["stages"]) for plan in shown["plans"]), default=0)
    need, given = shown["need"], shown["approvals"]
    return f"{given} of {need} approvals" + (f" in {stages} stages" if stages > 1 else "")


def _tell_verdict(run: Run, shown: Body) -> None:
    by = (shown.get("decided_by") or {}).get("account")
    reviews = shown["reviews"]
    if shown["state"] != "approved":
        comments = "; ".join(one["comment"] for one in reviews if one["verdict"] == "deny" and one["comment"])
        said = f": {comments}" if comments else ""
        run.out.facts([(shown["state"].capitalize(), f"{f'by {by}' if by else 'nobody decided in time'}{said}")])
        return
    grant = run.client.get(f"/grants/{shown['grant']}")
    narrowed = any(one.get("narrowed") or one.get("narrowed_duration_s") for one in reviews)
    run.out.facts(
        [
            ("Approved", (f"by {by}" if by else "by policy") + (", narrowed (proven subset)" if narrowed else "")),
            ("You may", grant["words"]),
            ("Grant", _clock_words(grant)),
            ("Afterwards", after_words(shown)),
            ("Next", _next_words(grant)),
        ]
    )


def _clock_words(grant: Body) -> str:
    if begins := begins_words(grant):
        return f"{grant['id']} {begins}"
    if grant["state"] == "active":
        return f"{grant['id']} active, until {moment(grant['valid_until'])} UTC"
    return f"{grant['id']} {grant['state']}, use it before {moment(grant['activate_by'])} UTC"


def _next_words(grant: Body) -> str:
    if grant.get("reveal"):
        return f"loglease use {grant['id']}   (shows the value, once)"
    return f"loglease logs --grant {grant['id']}   ·   loglease tail --grant {grant['id']}"
