"""The witnesses of this server's log: read from the policy file, asked at the start and with each head."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog

from loglease.audit.interface import AuditUnavailable
from loglease.audit.note import VerifierKey
from loglease.audit.tiles import Tile, TileInvalid
from loglease.audit.trust_policy import TrustPolicy, TrustPolicyInvalid
from loglease.audit.witnessing import NoReply, Post, Reply, Witnesses
from loglease.model.clock import Clock
from loglease.model.errors import LogLeaseError
from loglease.server.outgoing import Call, NoAnswer, Outgoing
from loglease.server.publishing import Publishing
from loglease.server.settings import Settings, SettingsInvalid

_ANSWER_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.05
_NOT_JSON: Final = "text/plain; charset=utf-8"
_log: Final = structlog.get_logger("loglease.witnesses")


@dataclass(frozen=True, slots=True)
class Witnessing:
    """Who is asked, how, and for which log."""

    witnesses: Witnesses
    publishing: Publishing
    outgoing: Outgoing = field(repr=False)

    async def require_continued(self) -> None:
        """Publish the newest signed head, and find out whether it continues what witnesses have seen; for a start.

        If it does not, nothing stays open.

        Raises:
            WitnessAhead: the log was longer.
            SplitSeen: the log was another one.
            LogUnwritable, StoreUnavailable, Tampered: as `Publisher.run`.
        """
        try:
            if self.publishing.head is None:
                await self.publishing.integrator.step()
            await self.publishing.publisher.publish()
            head = self.publishing.publisher.head
            if head is not None:
                await self.witnesses.require_continued(head.note)
        except BaseException:
            await self.aclose()
            raise

    async def covered(self, size: int) -> None:
        """Return once the quorum has cosigned a head that covers so many entries; it is for the caller to give up.

        Raises:
            AuditUnavailable: nothing is signed or published at the moment.
        """
        await self.publishing.integrator.covered(size)
        while self.witnesses.witnessed < size:
            try:
                await self.publishing.publisher.publish()
            except LogLeaseError as error:
                raise AuditUnavailable(
                    "It is recorded, and not witnessed yet.", next_step="Look before you repeat it."
                ) from error
            if self.witnesses.witnessed < size:
                await asyncio.sleep(_LOOK_EVERY_S)

    async def aclose(self) -> None:
        """Let go of everything."""
        await self.witnesses.aclose()
        await self.outgoing.aclose()


def open_witnessing(settings: Settings, publishing: Publishing, clock: Clock) -> Witnessing | None:
    """Return the witnesses that the settings name, and have the publisher ask them; None if they name none.

    Raises:
        SettingsInvalid: the policy cannot be read, is wrong, or its witnesses cannot be asked.
    """
    if settings.audit.witness_policy is None:
        return None
    path = settings.data_dir / settings.audit.witness_policy
    try:
        policy = TrustPolicy.parse(path.read_bytes())
    except OSError as error:
        raise SettingsInvalid(
            f"The witness policy {path} cannot be read: {error.strerror}.", next_step="Check audit.witness_policy."
        ) from error
    except TrustPolicyInvalid as error:
        raise SettingsInvalid(f"{path}: {error.message}", next_step=error.next_step) from error
    _require_addresses(policy)
    outgoing = Outgoing(private=settings.audit.witness_private_network, within_s=_ANSWER_WITHIN_S)
    try:
        witnesses = Witnesses(
            policy, log=_log_of(policy, publishing), post=_posting(outgoing), read=_reading(publishing), clock=clock
        )
    except TrustPolicyInvalid as error:
        raise SettingsInvalid(f"{path}: {error.message}", next_step=error.next_step) from error
    publishing.publisher.cosign = witnesses.cosigned
    return Witnessing(witnesses, publishing, outgoing)


def _log_of(policy: TrustPolicy, publishing: Publishing) -> VerifierKey:
    """Return the key under which the policy knows this log: while two of them sign, that may be the older one."""
    signing = [one.verifier for one in publishing.signers]
    found = next((one for one in signing if one in policy.log_keys), publishing.key)
    if policy.logs and found != publishing.key:
        _log.warning("witness_policy_outdated", next=f"add the line: log {publishing.key}")
    return found


def _require_addresses(policy: TrustPolicy) -> None:
    for one in policy.witnesses.values():
        parts = urlsplit(one.url or "https://witness.example.com")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise SettingsInvalid(
                f"The address of the witness {one.name!r} is none such as https://witness.example.com.",
                next_step="Correct it in the witness policy.",
            )


def _posting(outgoing: Outgoing) -> Post:
    async def post(url: str, body: bytes) -> Reply:
        try:
            answer = await outgoing.answer(Call(url=url, body=body, content_type=_NOT_JSON))
        except NoAnswer as error:
            raise NoReply(str(error)) from error
        return Reply(answer.status, answer.content_type, answer.body)

    return post


def _reading(publishing: Publishing) -> Callable[[Tile], bytes]:
    def read(tile: Tile) -> bytes:
        content = publishing.files.read(tile.path)
        if content is None:
            raise TileInvalid(f"The tile {tile.path} is not in the log directory.")
        return content

    return read
