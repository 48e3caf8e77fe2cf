"""`audit who-saw`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final

from loglease.cli.client import Body
from loglease.cli.errors import InputNeeded, Usage
from loglease.cli.ids import chosen
from loglease.cli.run import Here, Run, flag
from loglease.model.errors import LogLeaseError
from loglease.model.ids import GRANT
from loglease.model.instant import NANOSECONDS, event_time_text, parse_duration, parse_event_time

A_TIME: Final = 1_000
A_TIME_OF_ALL: Final = 10_000
_SHOWN: Final = 5
_DATE: Final = len("2026-11-22")
_SECOND: Final = len("2026-11-22T10:02:11")
_BOUNDED: Final = frozenset({"crash", "overflow", "list_lost"})
_WHY: Final = {
    "samples": "numbers",
    "names": "names of labels and streams",
    "crash": "session ended by a crash",
    "overflow": "too many pseudonyms for a list",
    "list_lost": "the list is gone",
    "masked_label": "a mask hides the label",
    "no_pseudonym": "a value of the class was revealed",
}
_UNSEARCHABLE: Final = {
    "profile_raw": "with profile {}",
    "class_absent": "whose profile {} has no rule for the class",
    "class_masked": "whose profile {} masks the class without equality",
    "class_partly_masked": "whose profile {} masks some of the class without equality",
    "profile_unknown": "whose profile {} is not known any more",
    "key_destroyed": "whose key was destroyed ({})",
}


def who_saw(
    *,
    selector: Annotated[str | None, flag("streams, such as '{app=\"pay\"}'")] = None,
    since: Annotated[str | None, flag("event times from this one on: a time, or so long ago as 2h")] = None,
    until: Annotated[str | None, flag("event times before this one")] = None,
    class_: Annotated[
        str | None, flag("class of a value, or the label of its masks, such as email", name="--class")
    ] = None,
    value_stdin: Annotated[bool, flag("take the value from the first line of standard input")] = False,
    pseudonym: Annotated[str | None, flag("a pseudonym, such as email:k3v9tq2m7x; with --grant")] = None,
    grant: Annotated[str | None, flag("a grant under which the pseudonym was shown")] = None,
    certain: Annotated[bool, flag("only what is certain: no numbers, names, crashes")] = False,
    limit: Annotated[int, flag("take so many records into account at most; default 1000")] = A_TIME,
    all_: Annotated[bool, flag("take all records into account, in several questions", name="--all")] = False,
    run: Here,
) -> None:
    """Say who was shown lines of some streams, event times, a pseudonym or a value.

    All that is given has to fit. The value is sent in the body of the call and kept nowhere; that you asked is on the
    record before you see the answer. Each row names the audit entries that say so. It takes the role auditor or admin.

    `served` is in a record of what was handed over; `derived` are numbers or names made of lines that the query could
    read; `possible` cannot be ruled out.
    """
    question = {
        **_about(run, selector, since, until),
        **_wanted(run, class_, pseudonym, grant, value_stdin=value_stdin),
        **({"hows": ["served", "revealed"]} if certain else {}),
    }
    if not question.keys() & {"selector", "since_ns", "until_ns", "value", "pseudonym"}:
        raise Usage("Who saw what?", next_step="Give --selector, --since, --until, --class or --pseudonym.")
    answers = list(_answers(run, question, A_TIME_OF_ALL if all_ else limit, all_=all_))
    if run.out.json:
        run.out.resource({"answers": answers})
        return
    _show(run, [one["answer"] for one in answers])
    run.out.notice(f"recorded as {', '.join(one['entry'] for one in answers)}")


def _about(run: Run, selector: str | None, since: str | None, until: str | None) -> Body:
    times = (("since_ns", since), ("until_ns", until))
    found: Body = {name: str(_time(run, text)) for name, text in times if text is not None}
    return found if selector is None else {"selector": selector, **found}


def _time(run: Run, text: str) -> int:
    try:
        return parse_event_time(text)
    except LogLeaseError:
        try:
            return run.client.now() * 1_000 - parse_duration(text) * NANOSECONDS
        except LogLeaseError:
            raise Usage(
                f"{text[:40]!r} is neither a time nor so long ago.", next_step="Write 2026-11-22T00:00:00Z or 2h."
            ) from None


def _wanted(run: Run, cls: str | None, pseudonym: str | None, grant: str | None, *, value_stdin: bool) -> Body:
    if cls is not None and pseudonym is not None:
        raise Usage("A value and a pseudonym are two questions.", next_step="Give --class or --pseudonym.")
    if (pseudonym is None) != (grant is None):
        raise Usage("A pseudonym means nothing without its grant.", next_step="Give --pseudonym and --grant.")
    if value_stdin and cls is None:
        raise Usage("Of which class is the value?", next_step="Give --class, such as --class email.")
    if cls is not None:
        return {"value": {"class": cls, "text": _value(run, from_stdin=value_stdin)}}
    if pseudonym is not None and grant is not None:
        return {"pseudonym": {"grant": chosen(run, grant, GRANT), "pseudonym": pseudonym}}
    return {}


def _value(run: Run, *, from_stdin: bool) -> str:
    """Take the value where no list of processes and no history of a shell shows it."""
    if not from_stdin:
        if not run.may_ask:
            raise InputNeeded("The value is missing.", next_step="Use --value-stdin.")
        return run.secret("Value", from_stdin=False)
    line = run.stdin.readline().rstrip("\r\n")
    if not line:
        raise InputNeeded("Standard input holds no value.", next_step="Send it as one line.")
    return line


def _answers(run: Run, question: Body, limit: int, *, all_: bool) -> Iterator[Body]:
    first: int | None = 0
    while first is not None:
        found = run.client.post("/audit/who-saw", {**question, "first_index": first, "limit": limit})
        yield found
        first = found["answer"].get("next_index") if all_ else None


def _show(run: Run, answers: Sequence[Body]) -> None:
    rows = list(_rows(answers))
    run.out.table(
        ["GRANT", "WHO", "HOW", "BATCHES", "LINES", "EVENTS", "PROFILE", "APPROVED BY", "ENTRIES"],
        rows,
        none="Nobody, as far as the records of what was served tell.",
    )
    for one in answers[0]["unsearchable"]:
        many = len(one["grants"])
        run.out.data(f"unsearchable: {_counted(many, 'grant')} {_UNSEARCHABLE[one['why']].format(one['profile'])}")
    run.out.notice(answers[0]["not_indexed"])
    if answers[0]["min_index"]:
        run.out.notice(f"Entries below #{answers[0]['min_index']} were pruned.")
    if (following := answers[-1].get("next_index")) is not None:
        run.out.notice(f"There may be more from entry #{following} on: add --all, or ask for less.")


def _rows(answers: Iterable[Body]) -> Iterator[list[str]]:
    grants: dict[str, Body] = {}
    found: dict[tuple[str, str, str], list[Body]] = {}
    for answer in answers:
        for grant in answer["grants"]:
            grants[grant["grant"]] = grant
            for one in grant["found"]:
                found.setdefault((grant["grant"], one["how"], one.get("why", "")), []).append(one)
    for (grant_id, how, why), parts in found.items():
        grant = grants[grant_id]
        lines = sum(one["lines"] for one in parts)
        yield [
            grant_id,
            _name(grant["principal"]),
            f"{how}: {_WHY.get(why, why)}" if why else how,
            _counted(sum(one["records"] for one in parts), "batch", "batches"),
            f"{'≤' if why in _BOUNDED else ''}{_counted(lines, _unit(why))}",
            _events(parts),
            " ".join(grant["profiles"]),
            ", ".join(map(_name, grant["approvers"])) or grant["basis"],
            _entries([index for one in parts for index in one["indices"]]),
        ]


def _name(person: Body) -> str:
    return str(person.get("account", person["principal"]))


def _unit(why: str) -> str:
    return {"samples": "number", "names": "name"}.get(why, "line")


def _counted(number: int, word: str, words: str | None = None) -> str:
    return f"{number:,} {word if number == 1 else words or word + 's'}"


def _events(parts: Sequence[Body]) -> str:
    first = min((int(one["first_ns"]) for one in parts if "first_ns" in one), default=None)
    start = "" if first is None else _moment(first)
    if any("last_ns" not in one for one in parts):
        return f"from {start} on"
    end = _moment(max(int(one["last_ns"]) for one in parts))
    return start if start == end else f"{start}–{end[_DATE + 1 :] if end[:_DATE] == start[:_DATE] else end}"


def _moment(ns: int) -> str:
    return event_time_text(ns)[:_SECOND].replace("T", " ")


def _entries(indices: Sequence[int]) -> str:
    shown = " ".join(f"#{index}" for index in indices[:_SHOWN])
    more = len(indices) - _SHOWN
    return shown if more <= 0 else f"{shown} and {more:,} more"
