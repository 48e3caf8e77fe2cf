"""`logs` and `tail`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Timer
from typing import Annotated, Any, Final

from loglease.cli.client import Body
from loglease.cli.commands.grants import active_words, budget_words, ended_words, hold_words, left_s
from loglease.cli.endings import CUT, FINE, ending_of
from loglease.cli.errors import Exit, GrantHeld, NotFoundHere, SeveralGrants, Usage
from loglease.cli.extensions import going_on
from loglease.cli.ids import chosen
from loglease.cli.lines import Tally, jsonl, line_text, masked_words
from loglease.cli.numbers import Numbers
from loglease.cli.output import size_text
from loglease.cli.run import Here, Run, flag
from loglease.cli.streams import Ended, followed_lines, read_lines
from loglease.model.ids import GRANT
from loglease.model.instant import duration_text, parse_duration, parse_event_time

Query = Annotated[str, flag('LogQL inside the scope, such as \'|= "timeout"\' or \'{pod="a"} |= "timeout"\'')]
Since = Annotated[str | None, flag("events of the last 15m or so")]
Grant = Annotated[str | None, flag("the grant; not needed if you have only one that can be used")]
Jsonl = Annotated[bool, flag("one JSON object a line, for programs")]
NoEscape = Annotated[bool, flag("do not escape control characters; refused on a terminal", name="--no-escape")]

_WARNED_MINUTES: Final = (5, 1)
_AFTER_THE_END_S: Final = 15.0
_NAMED: Final = 5
_USABLE: Final = ("active", "scheduled")


def logs(
    query: Query = "",
    /,
    *,
    since: Since = None,
    from_: Annotated[str | None, flag("first event time, RFC 3339", name="--from")] = None,
    to: Annotated[str | None, flag("event time to stop before, RFC 3339")] = None,
    limit: Annotated[int, flag("at most so many lines; default 1000")] = 1_000,
    forward: Annotated[bool, flag("oldest first; else newest first")] = False,
    step: Annotated[str | None, flag("of a query for numbers: one each 1m or so; else one at the end")] = None,
    jsonl: Jsonl = False,
    no_escape: NoEscape = False,
    grant: Grant = None,
    run: Here,
) -> Exit:
    """Read lines or numbers under a grant.

    Naming a grant activates it. Without times its whole event window is read. A metric query gives numbers. On a
    terminal a long query says each few seconds that it still runs; Ctrl-C ends it, on the server, too.
    """
    _may_print(run, no_escape)
    if since is not None and from_ is not None:
        raise Usage("--since and --from are two starts.", next_step="Give one of them.")
    held = _grant(run, grant)
    asked = {
        "query": whole_query(query),
        "since": None if since is None else f"{parse_duration(since)}s",
        "start": _start(held, since, from_),
        "end": None if to is None else parse_event_time(to),
        "limit": limit,
        "direction": "forward" if forward else "backward",
        "step": None if step is None else f"{parse_duration(step)}s",
        "progress": True if run.out.stderr.isatty() else None,
    }
    tally = Tally()
    ended = Ended("client")
    try:
        for record in read_lines(run.client, held["id"], asked):
            if isinstance(record, Ended):
                ended = record
            elif isinstance(record, Numbers):
                _print_numbers(run, record, tally, as_lines=jsonl)
            else:
                _print(run, record, tally, as_json=jsonl or run.out.json, escape=not no_escape)
    finally:
        if tally.lines or ended.reason != "client":
            _summary(run, held["id"], tally, limit)
    return _exit(run, held["id"], tally, ended)


def tail(
    query: Query = "",
    /,
    *,
    since: Annotated[str, flag("begin with events of so long ago; default 1m")] = "1m",
    limit: Annotated[int | None, flag("end after so many lines")] = None,
    jsonl: Jsonl = False,
    no_escape: NoEscape = False,
    grant: Grant = None,
    run: Here,
) -> Exit:
    """Follow lines under a grant until it ends, or until Ctrl-C.

    Naming a grant activates it. Ends with exit code 9 when the grant ends, is revoked or has used its budget.
    """
    _may_print(run, no_escape)
    held = _grant(run, grant)
    asked = {
        "query": whole_query(query),
        "since": f"{parse_duration(since)}s",
        "limit": limit,
        "follow": True,
    }
    tally = Tally()
    ended = Ended("client")
    try:
        with ExitStack() as stack:
            for record in followed_lines(
                run.client, held["id"], asked, silence_s=_longest_s(run, held), on_wait=run.out.notice
            ):
                if isinstance(record, Ended):
                    ended = record
                elif record is None:
                    active = run.client.get(f"/grants/{held['id']}")
                    run.out.notice(active_words(run, active))
                    stack.enter_context(_warned(run, active))
                else:
                    _print(run, record, tally, as_json=jsonl or run.out.json, escape=not no_escape)
    except KeyboardInterrupt:
        run.out.notice(f"stopped; {tally.lines:,} lines received")
        raise
    return _exit(run, held["id"], tally, ended)


def whole_query(text: str) -> str:
    """Return LogQL: a query that begins with a filter stands for all streams of the scope."""
    stripped = text.strip()
    if not stripped:
        return "{}"
    return stripped if stripped[0] not in "|!" else "{} " + stripped


def _may_print(run: Run, no_escape: bool) -> None:  # noqa: FBT001 - the flag as it is
    if no_escape and run.out.stdout.isatty():
        raise Usage(
            "--no-escape is refused on a terminal: log lines could take it over.",
            next_step="Send the output to a file.",
        )


def _grant(run: Run, text: str | None) -> Body:
    if text is not None:
        held = run.client.get(f"/grants/{chosen(run, text, GRANT, mine=True)}")
        if held["state"] == "suspended":
            raise _held([held])
        return held
    live = [one for one in run.client.items("/grants", most=None, mine=True, live=True) if not one.get("reveal")]
    usable = [one for one in live if one["state"] in _USABLE]
    if not usable and live:
        raise _held(live)
    if not usable:
        raise _none_left(next(run.client.items("/grants", most=1, mine=True), None))
    if len(usable) > 1:
        named = ", ".join(one["id"] for one in usable[:_NAMED])
        raise SeveralGrants(f"{len(usable)} grants would do: {named}.", next_step="Name one with --grant.")
    return usable[0]


def _none_left(newest: Body | None) -> NotFoundHere:
    """Say that there is no grant to use, and how to ask for what the newest one allowed."""
    if newest is None:
        step = "loglease request '{service=\"…\"}' --reason …"
        return NotFoundHere("You have no grant that can be used.", next_step=step)
    return NotFoundHere(
        f"You have no grant that can be used; your newest {ended_words(newest)}.",
        next_step=f"loglease request --like {newest['request']}",
    )


def _held(live: list[Body]) -> GrantHeld:
    """Say that grants are there but suspended, by whom and why, and who can change that."""
    said = "; ".join(f"{one['id']} is suspended{hold_words(one)}" for one in live[:_NAMED])
    return GrantHeld(f"{said}.", next_step=_to_go_on(live))


def _to_go_on(held: list[Body]) -> str:
    """Say who can lift what suspends these grants."""
    kinds = {hold["kind"] for one in held for hold in one["holds"]}
    whom = "an administrator to lift the lock" if kinds == {"lock"} else "one of its approvers to resume it"
    return f"Ask {whom}; its clock runs on meanwhile. See: loglease grants {held[0]['id']}"


def _start(held: Body, since: str | None, from_: str | None) -> str | int | None:
    if from_ is not None:
        return parse_event_time(from_)
    return None if since is not None else str(min(int(scope["window"]["from_ns"]) for scope in held["scopes"]))


def _print(run: Run, record: Body, tally: Tally, *, as_json: bool, escape: bool) -> None:
    if record["type"] == "progress":
        run.out.notice(f"still reading, {duration_text(record['elapsed_s'])} …")
        return
    if record["type"] == "gap":
        if "lines" not in record:
            run.out.notice("(the source lost lines here)")
            return
        tally.left_out += int(record["lines"])
        run.out.notice(f"({record['lines']:,} lines left out: this reader did not keep up)")
        return
    masked = tally.add(record)
    if as_json:
        run.out.raw(jsonl(record, masked) + "\n")
    else:
        run.out.raw(line_text(record, escape=escape) + "\n")


def _print_numbers(run: Run, numbers: Numbers, tally: Tally, *, as_lines: bool) -> None:
    tally.numbers = len(numbers.samples)
    for text in numbers.warnings:
        run.out.notice(text)
    if as_lines:
        for line in numbers.jsonl():
            run.out.raw(line + "\n")
    elif run.out.json:
        run.out.resource(numbers.data)
    else:
        run.out.table(*numbers.table(), none="There is no number: the grant covers no line that fits.")


def _longest_s(run: Run, grant: Body) -> float:
    """Return for how long the grant can still be read, and a little more."""
    own = left_s(run, grant) if grant.get("valid_until") else float(grant["duration_s"])
    return own + _AFTER_THE_END_S


@contextmanager
def _warned(run: Run, grant: Body) -> Iterator[None]:
    """Say five minutes and one minute before a grant ends that it will, and how to go on."""
    left = left_s(run, grant)
    timers = []
    for minutes in _WARNED_MINUTES:
        if left > minutes * 60:
            text = f"{grant['id']} ends in {minutes} min. {going_on(grant)}"
            timer = Timer(left - minutes * 60, run.out.notice, (text,))
            timer.daemon = True
            timer.start()
            timers.append(timer)
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def _summary(run: Run, grant_id: str, tally: Tally, limit: int) -> None:
    grant = run.client.get(f"/grants/{grant_id}")
    lines = f"{tally.lines:,} lines, {size_text(tally.size)}"
    parts = [lines if tally.numbers is None else f"{tally.numbers:,} numbers"]
    if tally.masked:
        parts.append(f"masked: {masked_words(tally.masked)}")
    if left := budget_words(grant):
        parts.append(f"budget left {left}")
    if grant["state"] == "active":
        run.out.notice(active_words(run, grant))
    run.out.notice(" · ".join(parts))
    if tally.lines >= limit:
        run.out.notice(f"The limit of {limit:,} lines was reached; ask for more with --limit, or for less time.")


def _exit(run: Run, grant_id: str, tally: Tally, ended: Ended) -> Exit:
    if ended.reason in FINE:
        return Exit.DONE
    if ended.reason not in CUT:
        what, step = ending_of(ended.reason)
        run.out.notice(f"{what} [{ended.reason}]; {tally.lines:,} lines received{_session(run, grant_id, ended)}")
        run.out.notice(f"next: {step}")
        return Exit.COULD_NOT
    grant = run.client.get(f"/grants/{grant_id}")
    run.out.notice(f"{_cut_words(grant, ended)}; {tally.lines:,} lines received{_session(run, grant_id, ended)}")
    follows = (grant.get("extension") or {}).get("grant")
    again = f"loglease tail --grant {follows}" if follows else f"loglease request --like {grant['request']}"
    run.out.notice(f"next: {_to_go_on([grant]) if grant['state'] == 'suspended' else again}")
    return Exit.CUT


def _cut_words(grant: Body, ended: Ended) -> str:
    by = (grant.get("ended_by") or {}).get("account")
    at = f" at {grant['ended_at'][11:19]} UTC" if grant.get("ended_at") else ""
    if grant["state"] == "revoked":
        reason = f': "{grant["reason"]}"' if grant.get("reason") else ""
        return f"revoked{f' by {by}' if by else ''}{at}{reason}"
    if grant["state"] == "ended":
        return f"ended ({grant.get('ended_why', 'expired')}){at}"
    return f"{ended.reason}{hold_words(grant)}"


def _session(run: Run, grant_id: str, ended: Ended) -> str:
    """Name the session that was cut: the newest of this grant that ended for that reason."""
    sessions: list[dict[str, Any]] = run.client.get(f"/grants/{grant_id}/usage")["sessions"]
    fitting = [one["id"] for one in sessions if one.get("why") == ended.reason] or [one["id"] for one in sessions]
    return f" in {max(fitting)}" if fitting else ""
