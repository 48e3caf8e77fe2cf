"""This server among those that use the database: its name, its keys, and what it does about those that are gone."""

from __future__ import annotations

import hmac
import os
from pathlib import Path
from typing import Final

import structlog

from loglease.access.commitments import Random
from loglease.access.recover_sessions import are_left, recover_sessions
from loglease.access.replicas import give_up_silent
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.instant import Instant
from loglease.model.replica import Run
from loglease.server.secret_file import PSEUDONYM_KEY
from loglease.server.services import Services
from loglease.server.settings import SettingsInvalid
from loglease.store.durability import flush
from loglease.store.interface import Transaction

NAME: Final = "replica.name"
"""The file in the data directory that holds the name of the server, which stays the same for all its runs."""

_KEY_ID: Final = "pseudonym_key_id"
_MOST_OF_A_NAME: Final = 64
_log: Final = structlog.get_logger("loglease.membership")


def replica_name(data_dir: Path, random: Random) -> str:
    """Return the name of the server of a data directory, made at its first start.

    Raises:
        SettingsInvalid: the file does not hold a name.
    """
    path = data_dir / NAME
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        name = path.read_text(encoding="utf-8", errors="replace").strip()
        if not (0 < len(name) <= _MOST_OF_A_NAME and name.isascii() and name.isprintable()):
            raise SettingsInvalid(f"{path} holds no name.", next_step="Remove it: the next start makes one.") from None
        return name
    name = f"node-{random(4).hex()}"
    try:
        os.write(descriptor, f"{name}\n".encode())
        flush(descriptor, str(path))
    finally:
        os.close(descriptor)
    return name


def new_run(replica: str, random: Random) -> Run:
    """Return a run that never was."""
    return Run(replica, random(8).hex())


async def require_same_pseudonyms(log: EntryLog[Transaction], key: bytes) -> None:
    """Refuse a master key of pseudonyms that is not this database's: one person would get several.

    Raises:
        SettingsInvalid: it is another one.
    """
    ours = hmac.digest(key, b"loglease/pseudonym-key-id/1", "sha256").hex()

    def work(tx: Transaction, _now: Instant) -> Recorded[bool]:
        known = tx.values.find(_KEY_ID)
        if known is None:
            tx.values.put(_KEY_ID, ours)
        return Recorded(known in (None, ours))

    if not await log.commit(work, urgent=True):
        raise SettingsInvalid(
            f"{PSEUDONYM_KEY} is another key than the one that this database was used with.",
            next_step=f"Put that one back. All servers on one database share {PSEUDONYM_KEY}: database.keys_dir.",
        )


class Membership:
    """What a server does about the others while it runs."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def step(self) -> None:
        """Give up replicas that are gone, and close the sessions that they left.

        Raises:
            AuditUnavailable, StoreUnavailable: it cannot be recorded yet.
        """
        services = self._services
        if await give_up_silent(log=services.log, store=services.store, watch=services.watch, new_id=services.new_id):
            _log.warning("replica_lost", next="Look after the server that is gone.")
        while await services.store.read(are_left, urgent=True):
            await recover_sessions(log=services.log, new_id=services.new_id)
