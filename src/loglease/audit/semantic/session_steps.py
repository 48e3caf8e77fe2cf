"""What entries about sessions do, and the rules that are asked on them."""

from __future__ import annotations

from typing import Final

from loglease.audit.semantic import (
    elevation_rules,
    grant_rules,
    log_rules,
    people_rules,
    session_rules,
)
from loglease.audit.semantic.facts import Fact
from loglease.audit.semantic.objects import Elevation, Grant, Session
from loglease.audit.semantic.state import State


def opened(state: State, entry: Fact) -> None:
    """A session opens."""
    ref, data, actor = entry.ref, entry.data, entry.actor
    one = ref["session"]
    state.introduce("session", one)
    grant = _grant(state, entry, f"{one} is opened")
    if grant is None:
        log_rules.was_affirmed(state, ref["grant"], f"{one} is opened")
        state.orphans.add(one)
        return
    grant_rules.may_be_used(state, grant, f"{one} is opened")
    log_rules.clock_is_trusted(state, f"{one} is opened")
    session_rules.is_its_holders(state, grant, actor, data)
    session_rules.none_are_left(state, data["replica"])
    people_rules.may_act(state, actor, "a session")
    log_rules.has_started(state, data["replica"], one)
    session = Session(one, state.index, grant, actor, data["replica"])
    state.sessions[one] = grant.sessions[one] = session
    _heard(state, session)
    grant.reserved = state.index, state.at


def _grant(state: State, entry: Fact, what: str) -> Grant | None:
    """Return the grant of something that is used, also one that is over; S13 if it is forgotten, S3 if it never was."""
    one = entry.ref["grant"]
    found = state.grants.get(one)
    if found is not None:
        return found if state.is_of(entry, found) else None
    if one in state.seen["grant"] and one not in state.lost:
        state.breach("S13", f"{what} under {one}, which is over")
    else:
        state.unknown("grant", one)
    return None


def _session(state: State, entry: Fact) -> Session | None:
    """Return the session of an entry; None also for one that had no grant when it opened, which was said then."""
    return None if entry.ref["session"] in state.orphans else state.session(entry)


def _heard(state: State, session: Session) -> None:
    state.machine.heard[session.replica] = state.at


def queried(state: State, entry: Fact) -> None:
    """A session asks a query."""
    session, data = _session(state, entry), entry.data
    if session is None:
        return
    grant_rules.may_be_used(state, session.grant, f"{session.id} asks a query")
    if entry.actor != session.actor:
        state.breach("S14", f"a query of {session.id} is by somebody else", session.index)
    session_rules.is_inside_the_grant(state, session, data["scopes"])
    session_rules.widens_its_window(session, data)
    session.queries += 1


def served(state: State, entry: Fact) -> None:
    """A session settles what it handed over, and reserves what may follow."""
    session, data = _session(state, entry), entry.data
    if session is None:
        return
    grant, reserved = session.grant, data["reserved"]
    if reserved["lines"] > 0 or reserved["bytes"] > 0:
        grant_rules.may_be_used(state, grant, f"{session.id} reserves")
        people_rules.may_act(state, grant.holder, "a reservation")
        grant.reserved = state.index, state.at
    if not session.queries:
        state.breach("S15", f"{session.id} serves before it asked a query", session.index)
    session_rules.account_goes_on(state, session, data)
    session_rules.is_numbered(state, session, data)
    session_rules.served_list_is_true(state, session, entry.id, data.get("settled"))
    total = data["total"]
    session.seq = data["seq"]
    _charge(session, total["lines"] + reserved["lines"], total["bytes"] + reserved["bytes"])
    session.total_lines, session.total_bytes = total["lines"], total["bytes"]
    session_rules.is_within_limits(state, grant, session)
    _heard(state, session)


def _charge(session: Session, lines: int, size: int) -> None:
    """Charge what a session may have handed over to its grant, in place of what it could before."""
    session.grant.lines += lines - session.ceiling_lines
    session.grant.bytes += size - session.ceiling_bytes
    session.ceiling_lines, session.ceiling_bytes = lines, size


def closed(state: State, entry: Fact) -> None:
    """A session ends, and gives back what it did not use."""
    session, data = _closing(state, entry), entry.data
    if session is None:
        return
    grant = session.grant
    session_rules.account_goes_on(state, session, data)
    session_rules.served_list_is_true(state, session, entry.id, data.get("settled"))
    total, uncertain = data["total"], data["uncertain"]
    session.total_lines, session.total_bytes = total["lines"], total["bytes"]
    session_rules.remainder_is_uncertain(state, session, data)
    if data["why"] == "crash":
        session_rules.may_end_by_crash(state, session)
    else:
        _heard(state, session)
    session_rules.closes_soon(state, session, data["why"])
    _charge(session, total["lines"] + uncertain["lines"], total["bytes"] + uncertain["bytes"])
    del state.sessions[session.id], grant.sessions[session.id]
    state.forget(grant)


def _closing(state: State, entry: Fact) -> Session | None:
    """Return the session that closes; S18 if it is closed already."""
    one = entry.ref["session"]
    if one in state.orphans:
        state.orphans.discard(one)
        return None
    if one not in state.sessions and one in state.seen["session"]:
        state.breach("S18", f"{one} is closed a second time")
        return None
    return state.session(entry)


def revealed(state: State, entry: Fact) -> None:
    """A masked value is shown."""
    session, data = _session(state, entry), entry.data
    if session is None:
        return
    grant_rules.may_be_used(state, session.grant, f"{session.id} reveals a value")
    grant_rules.reveals_what_was_approved(state, session.grant, data)
    session.grant.revealed = state.index


def pending(state: State, entry: Fact) -> None:
    """A level is about to be raised."""
    one, data = entry.ref["elevation"], entry.data
    state.introduce("elevation", one)
    grant = _grant(state, entry, f"{one} is to be raised")
    if grant is None:
        state.lost.add(one)
        return
    grant_rules.may_be_used(state, grant, f"{one} is to be raised")
    log_rules.clock_is_trusted(state, f"{one} is to be raised")
    elevation_rules.is_inside_the_grant(state, grant, data, one, state.at)
    state.elevations[one] = Elevation(one, state.index, state.at, grant, data, data["baseline"])


def levelled(state: State, entry: Fact) -> None:
    """Something happens to a raised level."""
    one, data = entry.ref["elevation"], entry.data
    found = state.elevations.get(one)
    if found is None:
        if one in state.seen["elevation"] and one not in state.lost:
            state.breach("S21", f"{one} ends a second time, or goes on after its end")
        else:
            state.unknown("elevation", one)
        return
    match entry.type:
        case "elevation.raised":
            elevation_rules.is_inside_the_grant(state, found.grant, data, one, found.at)
            found.raised, found.baseline = state.index, data["baseline"]
        case "elevation.overdue":
            state.finding("S21", f"{one} is overdue", found.index)
        case "elevation.reverted":
            elevation_rules.is_back_at_baseline(state, found, data)
            del state.elevations[one]
        case "elevation.failed":
            del state.elevations[one]
        case _:
            pass


STEPS: Final = {
    "session.opened": opened,
    "query.recorded": queried,
    "batch.served": served,
    "session.closed": closed,
    "reveal.served": revealed,
    "elevation.pending": pending,
    **{
        f"elevation.{word}": levelled
        for word in ("armed", "raised", "cut", "yielded", "lost", "paused", "overdue", "reverted", "failed")
    },
}
