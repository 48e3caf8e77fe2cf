"""Emergencies and after-reviews in the terminal: the price before, and exactly what was read afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from loglease.cli.client import Body
from loglease.cli.errors import AlreadyDecided, Exit, NotFoundHere
from loglease.cli.output import moment
from loglease.cli.run import Run
from loglease.cli.terminal import one_line
from loglease.model.instant import duration_text, event_time_text

_PRICE: Final = (
    "This breaks the glass:",
    " - people are told at once, and it is on the record under your name;",
    " - it is short, masked as always, and never raw;",
    " - somebody else looks at every query of yours afterwards and says whether it was justified;",
    " - it works only so often. A late or bad after-review closes it, and automatic routes, to you.",
)
_VERDICTS: Final = {"justified": "Justified", "not_justified": "Not justified", "follow_up": "Follow-up"}


def accepted(run: Run, draft: Body) -> bool:
    """State the price and have it accepted: the person types what it is about; `--yes` does it for scripts."""
    for line in _PRICE:
        run.out.notice(line)
    if run.settings.yes:
        return True
    source = draft["scopes"][0]["source"]
    typed = run.asked("--yes", f"Type the name of the source, {source}, to break the glass")
    if typed != source:
        run.out.notice("That is another name. Nothing was sent.")
    return bool(typed == source)


def after_words(shown: Body) -> str:
    """Say where the after-review of a request stands; empty where there is none."""
    review = shown.get("after_review")
    if review is None:
        return ""
    if review["state"] != "open":
        return str(review["state"]).replace("_", " ")
    return f"{'LATE since' if review['late'] else 'due'} {moment(review['due_at'])} UTC"


def exposure_facts(found: Body) -> Iterator[tuple[str, str]]:
    """Yield what was read, for people: sums, queries, streams, masks."""
    yield "Read", f"{found['lines']:,} lines, {found['bytes']:,} bytes in {found['sessions']} sessions"
    if found["uncertain_lines"]:
        yield "Uncertain", f"{found['uncertain_lines']:,} more lines may have left when a process died"
    for one in found["queries"]:
        text = one_line(one["text"]) or "(all)"
        yield "Query", f"{moment(one['at'])}  {text}  {_span(one.get('from_ns'), one.get('to_ns'), live=one['live'])}"
    for one in found["streams"]:
        labels = ", ".join(f"{name}={one_line(value)}" for name, value in sorted(one["labels"].items()))
        yield "Stream", f"{labels}: {one['lines']:,} lines, {_span(one['first_ns'], one['last_ns'], live=False)}"
    if found["masked"]:
        yield "Masked", ", ".join(f"{rule} {count:,}" for rule, count in found["masked"].items())
    if not found["complete"]:
        yield "Note", "more was read than is listed here"


def _span(first_ns: str | None, last_ns: str | None, *, live: bool) -> str:
    first, last = (event_time_text(int(one))[:19] if one else "" for one in (first_ns, last_ns))
    return f"{first} to {'now on' if live else last}".strip()


def review_afterwards(run: Run, request_id: str, verdict: str, comment: str | None) -> Exit:
    """Show who did what, exactly what was read, ask, and send the verdict.

    Raises:
        NotFoundHere: the request has no after-review.
        AlreadyDecided: it was found justified.
    """
    shown = run.client.get(f"/requests/{request_id}")
    review = shown.get("after_review")
    look = f"loglease requests {request_id}"
    if review is None:
        raise NotFoundHere(f"{request_id} has no after-review.", next_step=look)
    if review["state"] == "justified":
        raise AlreadyDecided(f"{request_id} was found justified.", next_step=look)
    found = run.client.get(f"/requests/{request_id}/exposure")
    if not (run.out.json and run.settings.yes):
        _show(run, shown, found)
    said = comment if comment or verdict == "justified" else run.asked("--comment", "Why")
    if not run.confirm(f"{_VERDICTS[verdict]}?"):
        run.out.notice("Nothing was decided.")
        return Exit.NO
    body = {"verdict": verdict, "comment": said or ""}
    done = run.client.post(f"/requests/{request_id}/after-review", body, creates=True)
    if run.out.json:
        run.out.resource(done)
    else:
        run.out.facts(
            [(_VERDICTS[verdict], f"{request_id} by you"), ("Afterwards", after_words({"after_review": done}))]
        )
    return Exit.DONE


def _show(run: Run, shown: Body, found: Body) -> None:
    who, review = shown["requester"], shown["after_review"]
    said = "; ".join(
        f"{one['verdict'].replace('_', ' ')} by {one['by']}: {one['comment']}" for one in review["opinions"]
    )
    facts = [
        ("Request", f"{shown['id']} {shown['state']}"),
        ("Who", f"{who['name']} <{who['account']}>, {who['kind']}"),
        ("Basis", "broke the glass" if review["basis"] == "break_glass" else "took an automatic route"),
        ("Got", shown["words"]),
        ("For", duration_text(shown["offer"]["duration_s"])),
        ("Reason", shown["reason"] or "(none)"),
        ("Ticket", shown.get("ticket", "")),
        ("Afterwards", after_words(shown)),
        ("Said", said),
        *exposure_facts(found),
    ]
    if run.out.json:  # stdout is for the answer then
        for name, value in facts:
            run.out.notice(f"{name:<10} {value}")
    else:
        run.out.facts(facts)
