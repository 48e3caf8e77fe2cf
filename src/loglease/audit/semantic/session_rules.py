"""Rules about sessions: S14 to S19."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Final

from loglease.audit.canon import canonical_value
from loglease.audit.interface import EntryInvalid
from loglease.audit.semantic.facts import Data
from loglease.audit.semantic.objects import Cut, Grant, Session
from loglease.audit.semantic.report import BreachKind
from loglease.audit.semantic.scopes import scopes_fault
from loglease.audit.semantic.state import LateClose, Outage, State
from loglease.model.instant import MICROSECONDS

MAX_RESERVED_LINES: Final = 256
MAX_RESERVED_BYTES: Final = 65_536
SILENCE_S: Final = 30
SOON_S: Final = 1
AT_LAST_S: Final = 3
LINE: Final = "line"
_SERVED_KEYS: Final = frozenset({"content_sha256", "pseudonyms", "streams"})


def is_its_holders(state: State, grant: Grant, actor: str, data: Data) -> None:
    """S14: the session is the holder's, of the kind that the grant is for, and of the current epoch."""
    if actor != grant.holder:
        state.breach("S14", f"a session of {grant.id} is opened by somebody else than its holder", grant.index)
    if grant.activated is None:
        state.breach("S14", f"a session of {grant.id} is opened before that is active", grant.index)
    if (data["kind"] == "reveal") is (grant.data.get("reveal") is None):
        state.breach("S14", f"{grant.id} is not for a session of kind {data['kind']}", grant.index)
    epoch = state.machine.epoch
    if epoch is None:
        state.unchecked("S14", "which epoch it was before the first start that is there")
    elif data["epoch"] != epoch:
        state.breach("S14", f"a session of {grant.id} is opened under epoch {data['epoch']}, in epoch {epoch}")


def is_inside_the_grant(state: State, session: Session, scopes: list[Any]) -> None:
    """S15: what may be read lies inside of the grant."""
    fault = scopes_fault(scopes, session.grant.data["scopes"])
    if fault is not None:
        grant = session.grant
        state.breach("S15", f"a query of {session.id} reads outside of {grant.id}: {fault}", grant.index, session.index)


def account_goes_on(state: State, session: Session, data: Data) -> bool:
    """S16: what was settled goes on from the record before and stays below what was reserved; totals are sums."""
    total, settled = data["total"], data.get("settled")
    lines, size = total["lines"] - session.total_lines, total["bytes"] - session.total_bytes
    # What stands around items, such as the brackets of a document, has bytes and no lines.
    wanted = (0, size) if settled is None else (settled["lines"], settled["bytes"])
    text = None
    if (lines, size) != wanted or lines < 0 or size < 0:
        text = f"the total of {session.id} is not the sum of what it settled"
    elif total["lines"] > session.ceiling_lines or total["bytes"] > session.ceiling_bytes:
        text = f"{session.id} settles more than was reserved"
    elif settled is not None:
        text = _times_fault(session, settled)
    if text is None:
        return True
    state.breach("S16", text, session.index)
    return False


def widens_its_window(session: Session, data: Data) -> None:
    """Add the event times of a query to those that a session may read: inside of its interval and of its scopes."""
    scopes = data["scopes"]
    begins = _end_of((one.get("from_ns") for one in scopes), min)
    ends = _end_of((one.get("to_ns") for one in scopes), max)
    start = max((int(one) for one in (begins, data.get("start_ns")) if one is not None), default=None)
    end = min((int(one) for one in (ends, data.get("end_ns")) if one is not None), default=None)
    if not scopes:
        start = end = 0  # nothing at all
    if session.queries:
        start = None if start is None or session.start_ns is None else min(start, session.start_ns)
        end = None if end is None or session.end_ns is None else max(end, session.end_ns)
    session.start_ns, session.end_ns = start, end


def _end_of(times: Iterable[str | None], pick: Callable[[Iterable[int]], int]) -> int | None:
    """Return the outermost of some ends of windows; None if one of them is open, or there is none."""
    known = list(times)
    return pick(int(one) for one in known if one is not None) if known and None not in known else None


def _times_fault(session: Session, settled: Data) -> str | None:
    if settled["unit"] != LINE or settled["lines"] == 0:
        return None
    if "first_ns" not in settled or "last_ns" not in settled:
        return f"{session.id} serves lines without their event times"
    first, last = int(settled["first_ns"]), int(settled["last_ns"])
    early = session.start_ns is not None and first < session.start_ns
    late = session.end_ns is not None and last >= session.end_ns
    return f"{session.id} serves event times outside of its query" if early or late or last < first else None


def is_numbered(state: State, session: Session, data: Data) -> None:
    """S16: batches are numbered, reserve no more than they may, and take nothing reserved back."""
    if data["seq"] != session.seq + 1:
        state.breach("S16", f"batch {data['seq']} of {session.id} follows batch {session.seq}", session.index)
    total, reserved = data["total"], data["reserved"]
    lines, size = total["lines"] + reserved["lines"], total["bytes"] + reserved["bytes"]
    more_lines, more_bytes = lines - session.ceiling_lines, size - session.ceiling_bytes
    if more_lines < 0 or more_bytes < 0:
        state.breach("S16", f"batch {data['seq']} of {session.id} reserves less than before", session.index)
    elif reserved["lines"] > MAX_RESERVED_LINES:
        state.breach("S16", f"batch {data['seq']} of {session.id} reserves {reserved['lines']} lines", session.index)
    elif reserved["bytes"] > MAX_RESERVED_BYTES and more_bytes > 0 and more_lines != 1:
        state.breach("S16", f"batch {data['seq']} of {session.id} reserves {reserved['bytes']} bytes", session.index)


def served_list_is_true(state: State, session: Session, entry: str, settled: Data | None) -> None:
    """S16, with served lists: the list is the one that was committed to, and counts what was settled."""
    if settled is None:
        return
    if state.inputs.served is None:
        state.unlisted += 1
        return
    found = state.inputs.served(entry)
    if found is None:
        state.unchecked("S16", "a served list that is not there")
        return
    salt, content = found
    if hashlib.sha256(salt + content).hexdigest() != settled["served_c"]:
        state.breach("S16", f"the served list of {entry} is not the one that was recorded", session.index)
        return
    streams = _streams_of(content)
    if streams is None:
        state.breach("S16", f"the served list of {entry} is none", session.index)
        return
    times = [one for _, first, last in streams for one in (first, last)]
    counted = sum(lines for lines, _, _ in streams) == settled["lines"]
    named = [int(settled[name]) for name in ("first_ns", "last_ns") if name in settled]
    if not counted or (times and named and [min(times), max(times)] != named):
        state.breach("S16", f"the served list of {entry} does not count what was settled", session.index)


def _streams_of(content: bytes) -> list[tuple[int, int, int]] | None:
    """Return lines, first and last time of each stream of a served list; None for what is no such list."""
    try:
        listed = canonical_value(content)
        if not isinstance(listed, dict) or listed.keys() != _SERVED_KEYS:
            return None
        streams = [(lines, int(first), int(last)) for _, first, last, lines in listed["streams"]]
    except (EntryInvalid, TypeError, ValueError):
        return None
    whole = all(type(lines) is int and lines > 0 and first <= last for lines, first, last in streams)
    return streams if whole else None


def grant_total_is_the_sum(state: State, grant: Grant, total: Data) -> None:
    """S16, when a grant ends: its total is what its sessions settled and reserved."""
    if (total["lines"], total["bytes"]) != (grant.lines, grant.bytes):
        state.breach("S16", f"the total of {grant.id} is not the sum over its sessions", grant.index)


def is_within_limits(state: State, grant: Grant, session: Session) -> None:
    """S17: settled and reserved over all sessions is within the limits."""
    limits = grant.data["limits"]
    for name, spent in (("lines", grant.lines), ("bytes", grant.bytes)):
        if name in limits and spent > limits[name]:
            state.breach("S17", f"{grant.id} has spent {spent} of {limits[name]} {name}", grant.index, session.index)
            return


def may_end_by_crash(state: State, session: Session) -> None:
    """S18: a crash is only said of a replica that restarted, is over, was restored or was silent."""
    machine = state.machine
    replica = machine.replicas.get(session.replica)
    if (machine.restored or 0) > session.index:
        return
    if replica is not None and (replica.over is not None or replica.started > session.index):
        return
    heard = machine.heard.get(session.replica)
    if heard is None or state.at - heard < SILENCE_S * MICROSECONDS:
        state.breach("S18", f"{session.id} is closed by a crash that its replica did not have", session.index)


def none_are_left(state: State, replica: str) -> None:
    """S18, when a session opens: those of the same replica that were open when it started were closed first."""
    for one in state.machine.left.pop(replica, frozenset()):
        session = state.sessions.get(one)
        if session is not None:
            text = f"{one} is still open, and its replica {session.replica} has started again"
            lost = one in state.machine.forgotten
            kind = BreachKind.FINDING if lost else BreachKind.VIOLATION
            state.breach("S18", text, session.index, state.machine.replicas[replica].started, kind=kind)


def remainder_is_uncertain(state: State, session: Session, data: Data) -> None:
    """S16, at the end of a session: what a crash leaves uncertain is what was reserved; else nothing is."""
    uncertain = data["uncertain"]
    left = (0, 0)
    if data["why"] == "crash":
        left = session.ceiling_lines - session.total_lines, session.ceiling_bytes - session.total_bytes
    if (uncertain["lines"], uncertain["bytes"]) != left:
        state.breach("S16", f"what is uncertain of {session.id} is not what was reserved", session.index)


def closes_soon(state: State, session: Session, why: str) -> None:
    """S19: it ends soon after its grant."""
    cut = cut_of(state, session)
    if cut is None or why == "crash":
        return
    late = state.at - cut.at
    if late <= SOON_S * MICROSECONDS:
        return
    seconds = late / MICROSECONDS
    text = f"{session.id} closed {seconds:.1f} s after {session.grant.id} {cut.word}"
    if late > AT_LAST_S * MICROSECONDS:
        entries = (session.index, cut.index)
        state.late.append(LateClose(session.replica, state.index, entries, cut.at, state.at, text))
    else:
        state.finding("S19", text, cut.index)


def closed_late_without_an_outage(state: State) -> None:
    """S19, at the end of the log: a close that came late is a finding where its replica could record nothing before."""
    for one in state.late:
        kind = BreachKind.FINDING if any(_explains(outage, one) for outage in state.outages) else BreachKind.VIOLATION
        state.breach("S19", one.text, *one.entries, kind=kind, index=one.index)


def _explains(outage: Outage, one: LateClose) -> bool:
    """Say whether an outage began before a session was late, and its close came soon after."""
    most = AT_LAST_S * MICROSECONDS
    return outage.replica == one.replica and outage.begin <= one.cut_at + most and one.closed_at <= outage.end + most


def was_closed(state: State, session: Session) -> None:
    """S19, at the end of the log: no session is open that its replica had to close, and did not though it lived."""
    cut = cut_of(state, session)
    heard = state.machine.heard.get(session.replica)
    if cut is not None and heard is not None and heard - cut.at > AT_LAST_S * MICROSECONDS:
        text = f"{session.id} is still open {(heard - cut.at) / MICROSECONDS:.1f} s after {session.grant.id} {cut.word}"
        state.breach("S19", text, session.index, cut.index)


def cut_of(state: State, session: Session) -> Cut | None:
    """Return what was the first to end a session; None if nothing has."""
    grant = session.grant
    if (
        grant.activated is not None
        and state.at >= grant.until
        and (session.cut is None or session.cut.at > grant.until)
    ):
        return Cut(grant.until, grant.activated, "had its end")
    return session.cut


def lists_were_given(state: State) -> None:
    """S16, at the end of the log: without served lists, what they hold was not looked at."""
    if state.unlisted:
        state.passed["S16", "what served lists hold: none were given"] = state.unlisted
