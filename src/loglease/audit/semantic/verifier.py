"""One pass over a log in the order of its indices; what it remembers grows with what is open, and with ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from loglease.audit.entry import Entry
from loglease.audit.forms import check_form
from loglease.audit.interface import EntryInvalid
from loglease.audit.semantic import (
    elevation_rules,
    grant_steps,
    log_rules,
    log_steps,
    request_steps,
    review_rules,
    session_rules,
    session_steps,
)
from loglease.audit.semantic.extracts import BATCH, BATCH_PARTS, Batch, rows_of
from loglease.audit.semantic.facts import Fact, fact_of, read_fact
from loglease.audit.semantic.inputs import NOTHING, Inputs
from loglease.audit.semantic.plain_batches import served_plainly
from loglease.audit.semantic.report import Open, OpenSession, Report, Unchecked
from loglease.audit.semantic.state import State
from loglease.audit.semantic.table import RULES
from loglease.model.instant import Instant

_STEPS: Final[Mapping[str, Callable[[State, Fact], None]]] = MappingProxyType(
    {**request_steps.STEPS, **grant_steps.STEPS, **session_steps.STEPS, **log_steps.STEPS}
)


class Verifier:
    """Takes the entries of a log one after the other, and says at the end what does not hold.

    For whoever reads entries anyway; `check` is the same over an iterable. A verifier of hashes in other processes has
    `extract` called there and hands over what that returned, which is several times as fast.
    """

    def __init__(self, inputs: Inputs = NOTHING) -> None:
        self._state = State(inputs=inputs)
        self._count = 0

    def take(self, index: int, entry: Entry | bytes) -> None:
        """Look at the next entry.

        Args:
            index: its place.
            entry: read already, or its bytes.

        Raises:
            ValueError: it is not the one after the last.
        """
        self._go_to(index)
        if not isinstance(entry, bytes):
            self._take(fact_of(entry))
            return
        try:
            check_form(entry)
        except EntryInvalid as error:
            self._state.breach("S1", error.message)
        else:
            self._take(read_fact(entry))

    def take_extract(self, first: int, content: bytes) -> None:
        """Look at the next entries, whose form was checked, as `take` does at each.

        Args:
            first: place of the first of them.
            content: what `extract` made of them.

        Raises:
            ValueError: it is not the one after the last.
        """
        state = self._state
        rows = rows_of(content)
        self._go_to(first, len(rows))
        for index, row in enumerate(rows, first):
            state.index = index
            if len(row) != BATCH_PARTS:
                self._take(Fact(*row))
                continue
            self._record(row[0], BATCH, row[2])
            if not served_plainly(state, row):
                session_steps.served(state, Batch(*row).fact())

    def _go_to(self, index: int, count: int = 1) -> None:
        """Go on with so many entries from an index on."""
        state = self._state
        if self._count == 0:
            state.partial, state.first = index > 0, index
        elif index != state.index + 1:
            raise ValueError(f"entry {index} does not follow entry {state.index}")
        self._count += count
        state.index = index

    def _take(self, entry: Fact) -> None:
        self._record(entry.id, entry.type, entry.at)
        step = _STEPS.get(entry.type)
        if step is not None:
            step(self._state, entry)

    def _record(self, one: str, kind: str, at: Instant) -> None:
        """Ask what is asked of every entry."""
        state = self._state
        index, machine = state.index, state.machine
        if not state.entries.add(one):
            state.breach("S1", f"{one} occurs a second time")
        if at < state.at:
            state.breach("S1", "its time is before that of the entry before it", index - 1)
        else:
            state.at = at
        if index % log_rules.BUNDLE == log_rules.BUNDLE - 1:
            machine.bundle_times[index // log_rules.BUNDLE] = state.at
        if state.at >= machine.next_end:
            state.end_keys()
        if index == 0:
            log_rules.begins_with_a_start(state, kind)

    def finish(self) -> Report:
        """Return what was found, with what is open at the end."""
        state = self._state
        log_rules.checkpoints_are_signed(state)
        session_rules.lists_were_given(state)
        session_rules.closed_late_without_an_outage(state)
        for after in state.after_reviews.values():
            if after.state == "open":
                review_rules.after_review_is_in_time(state, after)
        for elevation in state.elevations.values():
            elevation_rules.is_still_open(state, elevation)
        for session in state.sessions.values():
            session_rules.was_closed(state, session)
        if state.partial and not state.machine.carried:
            state.unchecked("S2", "entry 0, which is not there")
            log_rules.what_is_missing_was_pruned(state)
        return Report(
            entries=self._count,
            rules=len(RULES),
            breaches=tuple(sorted(state.breaches, key=lambda one: one.index)),
            not_kept=dict(state.not_kept),
            unchecked=tuple(Unchecked(rule, text, times) for (rule, text), times in sorted(state.passed.items())),
            open=_open(state),
        )


def _open(state: State) -> Open:
    return Open(
        requests=len(state.requests),
        grants=sum(1 for grant in state.grants.values() if grant.over is None),
        sessions=tuple(
            OpenSession(one.id, one.grant.id, one.replica, one.index)
            for one in sorted(state.sessions.values(), key=lambda one: one.index)
        ),
        after_reviews=len(state.after_reviews),
        elevations=len(state.elevations),
        proposals=len(state.proposals),
    )


def check(entries: Iterable[tuple[int, Entry | bytes]], inputs: Inputs = NOTHING) -> Report:
    """Check all rules over a log, or over the part of it that is there.

    Args:
        entries: index and entry, in order and without a gap.
        inputs: what else there is to check with.

    Raises:
        ValueError: an index is missing, or out of order.
    """
    verifier = Verifier(inputs)
    for index, entry in entries:
        verifier.take(index, entry)
    return verifier.finish()
