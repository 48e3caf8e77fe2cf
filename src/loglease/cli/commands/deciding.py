"""`approve` and `deny`: show exactly what is decided, ask, send the review with the digest of what was shown."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from loglease.cli.afterwards import review_afterwards
from loglease.cli.client import Body
from loglease.cli.errors import AlreadyDecided, Differs, Exit, NotFoundHere, Usage
from loglease.cli.ids import NEWEST, chosen
from loglease.cli.narrowing import narrowing
from loglease.cli.offers import more_words
from loglease.cli.output import moment
from loglease.cli.run import Here, Run, flag
from loglease.cli.terms import ShownTerms, checked_terms, digest_words
from loglease.cli.waiting import clock_text
from loglease.model.ids import REQUEST
from loglease.model.instant import parse_duration

Verdict = Literal["approve", "deny"]
ID = Annotated[str, Parameter(name="ID", help="the request; @last is the newest that waits for you")]
After = Annotated[bool, flag("do its after-review instead")]
Digest = Annotated[str | None, flag("the digest that you expect; another one is refused")]


def approve(
    id_: ID,
    /,
    *,
    comment: Annotated[str, flag("what the requester and the record should know")] = "",
    narrow: Annotated[
        str | None, flag("allow less: '{env=\"prod\"} level=error window=15m live=no for=10m lines=1000'")
    ] = None,
    for_: Annotated[str | None, flag("allow a shorter time, such as 10m", name="--for")] = None,
    digest: Digest = None,
    after: After = False,
    run: Here,
) -> Exit:
    """Look at a request and approve it, perhaps narrower than it was asked.

    The digest that goes with the review is computed here from the terms that are shown; --yes skips the question, not
    the check. With --after it is an after-review: you see exactly what was read, and say that it was justified.
    """
    if after:
        _require_no_others(narrow, for_, digest)
        return review_afterwards(run, _chosen_afterwards(run, id_), "justified", comment)
    request_id = _chosen(run, id_)
    shown = _pending(run, request_id)
    terms = _checked(run, request_id, digest)
    body: Body = {"verdict": "approve", "comment": comment}
    narrowed = _narrowed(narrow, for_, terms)
    if narrowed:
        body["narrow"] = narrowed
    _show(run, shown, terms)
    if narrowed:
        run.out.notice("You allow less than that; the server proves that it is less.")
    if not run.confirm("Approve exactly this?"):
        run.out.notice("Nothing was decided.")
        return Exit.NO
    return _sent(run, request_id, terms, body)


def deny(
    id_: ID,
    /,
    *,
    comment: Annotated[str | None, flag("why; the requester reads it")] = None,
    digest: Digest = None,
    after: After = False,
    follow_up: Annotated[bool, flag("with --after: more has to be found out")] = False,
    run: Here,
) -> Exit:
    """Look at a request and deny it, with a comment.

    One denial ends the request. The digest is checked as with `approve`. With --after it is an after-review: you see
    exactly what was read, and say that it was not justified.
    """
    if after:
        _require_no_others(digest)
        verdict = "follow_up" if follow_up else "not_justified"
        return review_afterwards(run, _chosen_afterwards(run, id_), verdict, comment)
    if follow_up:
        raise Usage("Only an after-review has a follow-up.", next_step="Give --after, too.")
    request_id = _chosen(run, id_)
    shown = _pending(run, request_id)
    terms = _checked(run, request_id, digest)
    _show(run, shown, terms)
    said = comment or run.asked("--comment", "Why")
    if not run.confirm("Deny this?"):
        run.out.notice("Nothing was decided.")
        return Exit.NO
    return _sent(run, request_id, terms, {"verdict": "deny", "comment": said})


def _require_no_others(*flags: object) -> None:
    if any(flags):
        raise Usage("An after-review narrows nothing and has no digest.", next_step="Leave those flags out.")


def _chosen_afterwards(run: Run, text: str) -> str:
    if text != NEWEST:
        return chosen(run, text, REQUEST)
    found = list(run.client.items("/after-reviews", most=1, undone=True, needs="my-review"))
    if not found:
        raise NotFoundHere("No after-review waits for you.", next_step="loglease requests --after-review")
    return str(found[0]["id"])


def _chosen(run: Run, text: str) -> str:
    if text == NEWEST:
        return chosen(run, text, REQUEST, needs="my-review")
    return chosen(run, text, REQUEST)


def _pending(run: Run, request_id: str) -> Body:
    """Return the request, or say who decided it when: a late decision is never a silent success."""
    shown = run.client.get(f"/requests/{request_id}")
    if shown["state"] != "pending":
        by = (shown.get("decided_by") or {}).get("account")
        at = f" at {moment(shown['decided_at'])} UTC" if shown.get("decided_at") else ""
        raise AlreadyDecided(
            f"{request_id} is already {shown['state']}{f' by {by}' if by else ''}{at}.",
            next_step=f"loglease requests {request_id}",
        )
    return shown


def _checked(run: Run, request_id: str, expected: str | None) -> ShownTerms:
    terms = checked_terms(run.client.get(f"/requests/{request_id}/terms"))
    if terms.request != request_id:
        raise Differs(f"The terms are those of {terms.request}.", next_step="Decide nothing. Tell the operators.")
    if expected is not None and expected.lower().replace(" ", "") != terms.digest:
        raise Differs(
            f"The request has the digest {terms.digest}, not the one you expect.",
            next_step=f"Look at it again: loglease requests {request_id}",
        )
    return terms


def _narrowed(narrow: str | None, for_: str | None, terms: ShownTerms) -> Body:
    body = {} if narrow is None else narrowing(narrow, terms.scopes[0].window)
    if for_ is not None:
        body["duration_s"] = parse_duration(for_)
    return body


def _show(run: Run, shown: Body, terms: ShownTerms) -> None:
    """Print what is decided, in the order of importance: who, what, how long, why, what it risks, by which rule."""
    if run.out.json and run.settings.yes:
        return
    who = shown["requester"]
    left = run.client.left_s(terms.expires_at, since=shown["submitted_at"])
    facts = [
        ("Request", f"{shown['id']} {shown['state']}"),
        ("Who", f"{who['name']} <{who['account']}>, {who['kind']}"),
        ("Would get", terms.words),
        ("Selector", terms.selectors),
        ("Usable", terms.bound),
        ("Linkable", terms.linkable),
        ("Asked for", terms.asked if terms.asked != terms.words else ""),
        ("Extends", f"{terms.extends}: more of the same, where it ends" if terms.extends else ""),
        ("Reason", terms.reason or "(none)"),
        ("Ticket", f"{terms.ticket} (not checked)" if terms.ticket else ""),
        ("Risks", "\n".join([*terms.risks(), *_asker_risks(who), "No exposure preview: volumes are unknown."])),
        ("Policy", f"{terms.policy}: {terms.rule}"),
        ("Needs", "\n".join(terms.plans)),
        ("By now", more_words(shown)),
        ("Given", f"{shown['approvals']} of {shown['need']}" + _earlier(shown)),
        ("May decide", ", ".join(one["account"] for one in shown["eligible"])),
        ("Until", f"{moment(terms.expires_at)} UTC ({clock_text(left)} left)"),
        ("Digest", digest_words(terms.digest)),
    ]
    if run.out.json:  # stdout is for the answer then
        for name, value in facts:
            run.out.notice(f"{name:<10} {value}")
    else:
        run.out.facts(facts)


def _asker_risks(who: Body) -> list[str]:
    return (
        [] if who["kind"] == "human" else [f"Asked by a program: {who['account']} is an account of kind {who['kind']}."]
    )


def _earlier(shown: Body) -> str:
    given = [f"{one['verdict']} by {one['reviewer']['account']}" for one in shown["reviews"]]
    return f" ({', '.join(given)})" if given else ""


def _sent(run: Run, request_id: str, terms: ShownTerms, body: Body) -> Exit:
    answer: dict[str, Any] = run.client.call(
        "POST",
        f"/requests/{request_id}/reviews",
        body=body,
        headers={"If-Match": f'"{terms.digest}"'},
        creates=True,
    ).body
    if run.out.json:
        run.out.resource(answer)
        return Exit.DONE
    request, review = answer["request"], answer["review"]
    done = {"approve": "Approved", "deny": "Denied"}[review["verdict"]]
    run.out.facts(
        [
            (done, f"{request_id} by you, digest {terms.digest[:4]}…{terms.digest[-4:]}"),
            ("Narrowed", review.get("words", "") if review.get("narrowed") else ""),
            ("State", f"{request['state']}, {request['approvals']} of {request['offer']['need']} approvals"),
            ("Grant", answer.get("grant", "")),
        ]
    )
    return Exit.DONE
