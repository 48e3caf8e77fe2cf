"""Batches about which no rule has anything to say, told in a few comparisons: nearly all entries of a log are such.

Each condition here is one of a rule that `session_steps.served` asks, or is stricter. Where one does not hold, the
batch is left to that, which finds out which rule it is and whether it is broken; so nothing is judged here but that all
is well.
"""

from __future__ import annotations

from typing import Final

from loglease.audit.semantic import session_rules
from loglease.audit.semantic.extracts import Row, Settled
from loglease.audit.semantic.objects import Grant, Session
from loglease.audit.semantic.state import State

_LINE: Final = session_rules.LINE.encode()


def served_plainly(state: State, batch: Row) -> bool:
    """Take in a batch, a `Batch` as a plain tuple, if all rules hold for it; say whether they do."""
    _, _, _, (grant_id, session_id, request_id), seq, total_lines, total_bytes, lines, size, settled = batch
    session = state.sessions.get(session_id)
    if session is None or session_id in state.orphans:
        return False
    grant = session.grant
    ceiling_lines, ceiling_bytes = total_lines + lines, total_bytes + size
    more_lines, more_bytes = ceiling_lines - session.ceiling_lines, ceiling_bytes - session.ceiling_bytes
    if not (
        grant.id == grant_id
        and (request_id is None or request_id == grant.request.id)
        and seq == session.seq + 1
        and more_lines >= 0 <= more_bytes
        and lines <= session_rules.MAX_RESERVED_LINES
        and size <= session_rules.MAX_RESERVED_BYTES
        and session.queries
        and _goes_on(session, total_lines, total_bytes, settled)
        and _may_reserve(state, grant)
        and _is_within_limits(grant, more_lines, more_bytes)
    ):
        return False
    if settled is not None:
        if state.inputs.served is not None:
            return False
        state.unlisted += 1
    if lines > 0 or size > 0:
        grant.reserved = state.index, state.at
    session.seq = seq
    session.total_lines, session.total_bytes = total_lines, total_bytes
    session.ceiling_lines, session.ceiling_bytes = ceiling_lines, ceiling_bytes
    grant.lines += more_lines
    grant.bytes += more_bytes
    state.machine.heard[session.replica] = state.at
    return True


def _goes_on(session: Session, total_lines: int, total_bytes: int, settled: Settled | None) -> bool:
    """S16: totals are sums, below what was reserved, of lines whose times are inside of the query."""
    new_lines, new_bytes = total_lines - session.total_lines, total_bytes - session.total_bytes
    if total_lines > session.ceiling_lines or total_bytes > session.ceiling_bytes:
        return False
    if settled is None:
        return new_lines == 0 <= new_bytes
    unit, lines, size, first, last, _ = settled
    if new_lines != lines or new_bytes != size or lines < 0 or size < 0:
        return False
    if unit != _LINE or lines == 0:
        return True
    start, end = session.start_ns, session.end_ns
    return (
        first is not None
        and last is not None
        and first <= last
        and (start is None or first >= start)
        and (end is None or last < end)
    )


def _may_reserve(state: State, grant: Grant) -> bool:
    """S13, S24 and S27: nothing holds the grant or its holder, and it is active."""
    before, parent, people = grant.request.extends, grant.request.reveals, state.people
    return (
        grant.over is None
        and not grant.suspended
        and grant.restored is None
        and grant.activated is not None
        and state.at < grant.until
        and (before is None or not before.suspended)
        and (parent is None or parent.over is None)
        and (not state.things or state.lock_on(grant) is None)
        and (not (people.disabled or people.locks) or people.held(grant.holder, state.at) is None)
    )


def _is_within_limits(grant: Grant, more_lines: int, more_bytes: int) -> bool:
    """S17, once these are charged."""
    limits = grant.data["limits"]
    return not limits or (
        grant.lines + more_lines <= limits.get("lines", grant.lines + more_lines)
        and grant.bytes + more_bytes <= limits.get("bytes", grant.bytes + more_bytes)
    )
