"""Asking witnesses: each gets a head with the proof that it continues the last one it saw, and cosigns it.

A witness says what it knows, and that is enough to notice that this log was rolled back, or shows two histories. What
it says is checked before it counts: a cosignature that does not hold is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from loglease.audit.checkpoint import Checkpoint
from loglease.audit.merkle import consistency_proof
from loglease.audit.note import Signature, SignedNote, VerifierKey
from loglease.audit.tiles import Tile, hashes_from
from loglease.audit.trust_policy import KnownWitness, TrustPolicy, TrustPolicyInvalid
from loglease.audit.witness_protocol import (
    ADD,
    SIZE_TYPE,
    Submission,
    cosignature_in,
    head_of,
    size_in,
)
from loglease.model.clock import Clock
from loglease.model.errors import LogLeaseError

WAIT_S: Final = 2.0
"""How long the publication of a head waits for cosignatures."""
GRACE_S: Final = 0.1
"""How long it waits for the others once the quorum is there."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0

_TRIES: Final = 3
_SECOND_NS: Final = 1_000_000_000
_OK: Final = 200
_CONFLICT: Final = 409
_UNPROVEN: Final = 422


class NoReply(Exception):
    """A witness did not answer; the text says why."""


class WitnessRefused(LogLeaseError):
    """A witness gave no cosignature."""

    code = "log_invalid"


class WitnessAhead(WitnessRefused):
    """A witness has cosigned a larger head of this log than the one that it was shown: the log was rolled back."""

    def __init__(self, witness: str, known: int, size: int) -> None:
        super().__init__(
            f"The witness {witness} has seen {known} entries of this log, and it has {size}.",
            next_step="Put back a newer backup of the database, or the log directory as it was last published.",
        )
        self.known = known


class SplitSeen(WitnessRefused):
    """A witness has cosigned a head of this log that this one does not continue: there are two histories."""

    def __init__(self, witness: str, size: int) -> None:
        super().__init__(
            f"The witness {witness} has seen another history of this log than the one of size {size} here.",
            next_step="Find out what else signs with this log's key: a copy of this server, or a restored backup.",
        )


class Reply(NamedTuple):
    """What a witness answered over HTTP."""

    status: int
    content_type: str
    body: bytes


Post = Callable[[str, bytes], Awaitable[Reply]]
"""Send a body to an address, and return what comes back within some seconds; raises `NoReply`."""


@dataclass(slots=True)
class Standing:
    """How one witness stands.

    Attributes:
        known: the size that it cosigned last, as far as is known here.
        cosigned: whether it has cosigned anything since this process started.
        fault: why it did not cosign when it was last asked; None if it did.
        failures: how often in a row it did not.
        due_ns: it is left alone until then, by the boot clock.
    """

    witness: KnownWitness
    known: int = 0
    cosigned: bool = False
    fault: WitnessRefused | None = None
    failures: int = 0
    due_ns: int = 0
    asking: asyncio.Task[Signature | None] | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """Its name for people."""
        return self.witness.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Witnesses:
    """Those of a trust policy that have an address. Used from one event loop.

    Args:
        log: the key of this log.
        read: returns the content of a tile of this log as it is on the disk; called in threads.

    Raises:
        TrustPolicyInvalid: the policy is for other logs, or those with an address are too few for its quorum.
    """

    def __init__(
        self,
        policy: TrustPolicy,
        *,
        log: VerifierKey,
        post: Post,
        read: Callable[[Tile], bytes],
        clock: Clock,
        wait_s: float = WAIT_S,
    ) -> None:
        if policy.logs and log not in policy.log_keys:
            raise TrustPolicyInvalid(
                f"The witness policy has no line for this log, {log}.", next_step=f"Add it: log {log}"
            )
        self.policy = policy
        self.all = [Standing(one) for one in policy.witnesses.values() if one.url is not None]
        if not policy.met_by(one.witness.name for one in self.all):
            raise TrustPolicyInvalid(
                f"The witness policy asks for {policy.demand()}, and too few of them have an address.",
                next_step="Add it behind the key: witness NAME VKEY https://witness.example.com",
            )
        self._post = post
        self._read = read
        self._clock = clock
        self._wait_s = wait_s
        self.witnessed = -1
        """The largest size that the quorum has cosigned; -1 if there is none."""

    async def cosigned(self, note: bytes) -> bytes:
        """Return a signed head with the cosignatures that it has already, and those that it gets in time.

        Who has cosigned it is not asked again, and who did not answer lately is left alone for a while. That nobody
        answers is no error.
        """
        signed = SignedNote.parse(note)
        head = head_of(signed.text)
        got = {name: line for name in self.policy.witnesses if (line := self._line_of(name, signed)) is not None}
        now = self._clock.boot_ns()
        tasks: dict[asyncio.Task[Signature | None], Standing] = {}
        for one in self.all:
            if one.witness.name not in got and one.asking is None and one.due_ns <= now:
                one.asking = asyncio.create_task(self._ask(one, head, note), name=f"witness {one.shown}")
                tasks[one.asking] = one
        await self._gather(tasks, got)
        if self.policy.met_by(got):
            self.witnessed = max(self.witnessed, head.size)
        lines = [got[name] for name in self.policy.witnesses if name in got]
        return SignedNote(signed.text, (*self._lines_of_others(signed), *lines)).encode()

    def is_complete(self, note: bytes) -> bool:
        """Say whether all witnesses that can be asked have cosigned a head."""
        signed = SignedNote.parse(note)
        return all(self._line_of(one.witness.name, signed) is not None for one in self.all)

    async def require_continued(self, note: bytes) -> None:
        """Ask all of them whether the newest signed head here continues what they have seen; for a start.

        Who has cosigned it is asked, too: they may have seen more since. Whoever does not answer says nothing.

        Raises:
            WitnessAhead: this log was longer.
            SplitSeen: this log was another one.
        """
        signed = SignedNote.parse(note)
        await self.cosigned(SignedNote(signed.text, self._lines_of_others(signed)).encode())
        for one in self.all:
            if isinstance(one.fault, WitnessAhead | SplitSeen):
                raise one.fault

    async def aclose(self) -> None:
        """Let go of those who have not answered."""
        tasks = [one.asking for one in self.all if one.asking is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _gather(self, tasks: dict[asyncio.Task[Signature | None], Standing], got: dict[str, Signature]) -> None:
        """Add what comes until the time is over, or, shortly after it, until there is a quorum."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._wait_s
        waiting = set(tasks)
        met = False
        while waiting and (left := end - loop.time()) > 0:
            done, waiting = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                signature = task.result()
                if signature is not None:
                    got[tasks[task].witness.name] = signature
            if not met and got and self.policy.met_by(got):
                met, end = True, min(end, loop.time() + GRACE_S)

    def _lines_of_others(self, signed: SignedNote) -> tuple[Signature, ...]:
        keys = {(one.key.name, one.key.key_id) for one in self.policy.witnesses.values()}
        return tuple(line for line in signed.signatures if (line.name, line.key_id) not in keys)

    def _line_of(self, name: str, signed: SignedNote) -> Signature | None:
        key = self.policy.witnesses[name].key
        mine = [one for one in signed.signatures if (one.name, one.key_id) == (key.name, key.key_id)]
        return next((one for one in mine if key.holds(signed.text, one.blob)), None)

    async def _ask(self, place: Standing, head: Checkpoint, note: bytes) -> Signature | None:
        try:
            signature = await self._told(place, head, note)
        except WitnessRefused as fault:
            place.fault = fault
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**place.failures)
            place.failures = min(place.failures + 1, 30)
            place.due_ns = self._clock.boot_ns() + int(pause * _SECOND_NS)
            return None
        finally:
            place.asking = None
        place.known, place.cosigned, place.fault, place.failures, place.due_ns = head.size, True, None, 0, 0
        return signature

    async def _told(self, place: Standing, head: Checkpoint, note: bytes) -> Signature:
        """Ask one witness, again from the size that it names.

        Raises:
            WitnessRefused: it gave no cosignature that holds.
        """
        witness = place.witness
        name, text, known = place.shown, head.text(), place.known
        for _ in range(_TRIES):
            if known > head.size:
                raise WitnessAhead(name, known, head.size)
            try:
                body = Submission(known, await asyncio.to_thread(self._proof, known, head.size), note).encode()
                reply = await self._post(f"{(witness.url or '').rstrip('/')}{ADD}", body)
                if reply.status == _OK:
                    return cosignature_in(reply.body, text, witness.key)
                if reply.status == _CONFLICT and reply.content_type.partition(";")[0].strip() == SIZE_TYPE:
                    known = size_in(reply.body)
                    continue
            except (NoReply, LogLeaseError) as error:
                raise WitnessRefused(f"The witness {name}: {error}") from error
            if reply.status in (_CONFLICT, _UNPROVEN):
                raise SplitSeen(name, head.size)
            raise WitnessRefused(f"The witness {name} answered with the status {reply.status}.")
        raise WitnessRefused(f"The witness {name} names another size with each answer.")

    def _proof(self, known: int, size: int) -> tuple[bytes, ...]:
        if known in (0, size):
            return ()
        return tuple(consistency_proof(known, size, hashes_from(self._read, size)))
