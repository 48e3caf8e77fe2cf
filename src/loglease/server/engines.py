"""The engines of redaction on this machine: which may serve, which vouches for itself, and what was withheld.

After an error an engine serves no new session until its self-test passes again; sessions that are open go on. Until
then the next engine serves, where the settings allow another.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Final

import structlog

from loglease.model.errors import LogLeaseError
from loglease.redaction import (
    ENGINES,
    EngineUnavailable,
    Keys,
    Library,
    RedactionError,
    Redactor,
    Withheld,
    builtin_library,
    prove_again,
    redactor_for,
)
from loglease.server.redaction_rules import LibraryHolder

SLOW: Final = "python"
"""The engine that needs no library, and is far slower than the others."""

_OF_THE_ENGINE: Final = frozenset({"engine_error", "canary_lost"})
_NO_PROOF: Final = "selftest_failed"
_log: Final = structlog.get_logger("loglease.engines")


class RedactorBroken(LogLeaseError):
    """A profile does not do what its own test says, so nothing is served."""

    code = "redaction_unavailable"


class Engines:
    """Builds redactors with the best engine that may serve.

    Args:
        choice: ``auto``; ``native``, which is any but `SLOW`; or the name of one.
        marker: as `Redactor.build`.
        library: packs and profiles; without it those that ship.
    """

    def __init__(self, choice: str, marker: bytes, library: LibraryHolder | None = None) -> None:
        self._choice = choice
        self._marker = marker
        self.library = library or LibraryHolder(builtin_library())
        self._lock = Lock()
        self._unproven: set[str] = set()
        self._asked: tuple[str, Keys] | None = None
        self.proven: str | None = None
        """The engine of the last redactor asked for; None if there was none, or it has had an error since."""
        self.withheld: Counter[tuple[str, str, str, str]] = Counter()
        """Texts that were withheld, by reason, engine, profile and rule; empty where one is not known."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """The engines that the settings allow, the best first."""
        if self._choice == "native":
            return tuple(name for name in ENGINES if name != SLOW)
        return tuple(ENGINES) if self._choice == "auto" else (self._choice,)

    def serves(self, redactor: Redactor) -> bool:
        """Tell whether new sessions may use a redactor."""
        return redactor.engine not in self._unproven

    def note(self, fault: Withheld) -> None:
        """Count a text that was withheld; an error of an engine asks for its self-test."""
        with self._lock:
            self.withheld[fault.reason, fault.engine or "", fault.profile or "", fault.rule or ""] += 1
            if fault.reason in _OF_THE_ENGINE and fault.engine is not None:
                self._unproven.add(fault.engine)
                self.proven = None

    def redactor(self, pin: str, keys: Keys, library: Library | None = None) -> Redactor:
        """Build a redactor for a profile; blocks for a while.

        Args:
            pin: its name and version.
            keys: as `Redactor.build`.
            library: a set that is not in force yet.

        Raises:
            ProfileUnknown: there is no such profile.
            EngineUnavailable: no engine that may serve works here.
            Withheld: ``selftest_failed``, where one of them works and fails it; else as `Redactor.build`.
        """
        if library is None or library is self.library.current:
            self._asked = pin, keys
        known = library or self.library.current
        failures: list[EngineUnavailable | Withheld] = []
        for name in self.candidates:
            was_unproven = name in self._unproven
            if was_unproven:
                prove_again()
            try:
                found = redactor_for(
                    [pin], keys=keys, marker=self._marker, engine=name, profiles=known.profiles, packs=known.packs
                )
            except EngineUnavailable as error:
                failures.append(error)
            except Withheld as error:
                if error.reason != _NO_PROOF:
                    raise
                self._unproven.add(name)
                failures.append(error)
            else:
                if was_unproven:
                    self._unproven.discard(name)
                self.proven = name
                return found
        self.proven = None
        if any(isinstance(one, Withheld) for one in failures):
            raise Withheld(_NO_PROOF)
        raise EngineUnavailable("; ".join(map(str, failures)))

    def prove(self) -> str | None:
        """Return the engine that serves, after its self-test where it has to pass that again; None if there is none."""
        if self.proven is None and self._asked is not None:
            with suppress(RedactionError):
                self.redactor(*self._asked)
        return self.proven


def prove(engines: Engines, library: Library, keys: Keys) -> None:
    """Run the self-test for every profile of a library, so that a broken engine is seen before anybody reads.

    Raises:
        RedactorBroken: a profile fails it, or no engine that the settings allow works here.
    """
    # The native engine compiles without the interpreter's lock.
    with ThreadPoolExecutor(thread_name_prefix="self-test") as threads:
        proofs = [threads.submit(engines.redactor, one.pin, keys, library) for one in library.profiles]
    for profile, proof in zip(library.profiles, proofs, strict=True):
        try:
            proof.result()
        except EngineUnavailable as error:
            raise RedactorBroken(
                f"The redaction engine that the settings name cannot be used: {error}.",
                next_step="Install its library, or set redaction.engine to auto.",
            ) from error
        except RedactionError as error:
            raise RedactorBroken(
                f"The profile {profile.pin} fails its self-test: {error}.",
                next_step="Install loglease anew; loglease doctor tests it without starting.",
            ) from error
    if engines.proven == SLOW:
        _log.warning("redaction_engine_slow", engine=SLOW)
