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
from loglease.audit.semantic.facts import Fact, fact_of, read_fact
from loglease.audit.semantic.inputs import NOTHING, Inputs
from loglease.audit.semantic.report import Open, OpenSession, Report, Unchecked
from loglease.audit.semantic.state import State
from loglease.audit.semantic.table import RULES

_STEPS: Final[Mapping[str, Callable[[State, Fact], None]]] = MappingProxyType(
    {**request_steps.STEPS, **grant_steps.STEPS, **session_steps.STEPS, **log_steps.STEPS}
)


class Verifier:
    """Takes the entries of a log one after the other, and says at the end what does not hold.

    For whoever reads entries anyway, such as a verifier of hashes; `check` is the same over an iterable.
    """

    def __init__(self, inputs: Inputs = NOTHING) -> None:
        self._state = State(inputs=inputs)
        self._count = 0

    def take(self, index: int, entry: Entry | bytes, *, formed: bool = False) -> None:
        """Look at the next entry.

        Args:
            index: its place.
            entry: read already, or its bytes.
            formed: the form of the bytes was checked already, by `audit.forms.check_form`.

        Raises:
            ValueError: it is not the one after the last.
        """
        state = self._state
        if self._count == 0:
            state.partial, state.first = index > 0, index
        elif index != state.index + 1:
            raise ValueError(f"entry {index} does not follow entry {state.index}")
        self._count += 1
        state.index = index
        if not isinstance(entry, bytes):
            self._take(fact_of(entry))
            return
        try:
            if not formed:
                check_form(entry)
        except EntryInvalid as error:
            state.breach("S1", error.message)
        else:
            self._take(read_fact(entry))

    def _take(self, entry: Fact) -> None:
        state = self._state
        if not state.entries.add(entry.id):
            state.breach("S1", f"{entry.id} occurs a second time")
        if entry.at < state.at:
            state.breach("S1", "its time is before that of the entry before it", state.index - 1)
        else:
            state.at = entry.at
        if (state.index + 1) % log_rules.BUNDLE == 0:
            state.machine.bundle_times[state.index // log_rules.BUNDLE] = state.at
        if state.at >= state.machine.next_end:
            state.end_keys()
        if state.index == 0:
            log_rules.begins_with_a_start(state, entry.type)
        step = _STEPS.get(entry.type)
        if step is not None:
            step(state, entry)

    def finish(self) -> Report:
        """Return what was found, with what is open at the end."""
        state = self._state
        log_rules.checkpoints_are_signed(state)
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


def check(entries: Iterable[tuple[int, Entry | bytes]], inputs: Inputs = NOTHING, *, formed: bool = False) -> Report:
    """Check all rules over a log, or over the part of it that is there.

    Args:
        entries: index and entry, in order and without a gap.
        inputs: what else there is to check with.
        formed: as for `Verifier.take`.

    Raises:
        ValueError: an index is missing, or out of order.
    """
    verifier = Verifier(inputs)
    for index, entry in entries:
        verifier.take(index, entry, formed=formed)
    return verifier.finish()
