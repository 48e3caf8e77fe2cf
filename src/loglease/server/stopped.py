"""The database and the log of a server that is stopped, for commands that are run on its machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from loglease.access.private_texts import require_master_key
from loglease.access.restore import HeadFile
from loglease.audit.checking import check_log
from loglease.audit.files import LogFiles
from loglease.audit.lost import LogBehind
from loglease.audit.note import VerifierKey
from loglease.audit.privacy import Vault
from loglease.audit.sequencer import Sequencer
from loglease.audit.walk import published_head
from loglease.model.clock import Clock
from loglease.server.clock import SystemClock, system_random
from loglease.server.databases import FILE, Database, open_database
from loglease.server.lifecycle import has_signed, require_known
from loglease.server.publishing import LOG_FOLDER
from loglease.server.secret_file import PRIVATE_KEY, secret_file
from loglease.server.settings import Settings, SettingsInvalid
from loglease.server.wiring import HEAD
from loglease.store.database_clock import DatabaseClock
from loglease.store.durability import end_process
from loglease.store.interface import Transaction

_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a command has of a stopped server. Nothing else uses the database meanwhile."""

    settings: Settings
    store: Database
    log: Sequencer[Transaction]
    files: LogFiles
    head: HeadFile
    clock: Clock


@asynccontextmanager
async def stopped_server(settings: Settings) -> AsyncIterator[Stopped]:
    """Open the database of a server that is stopped.

    Raises:
        SettingsInvalid: there is no database, or its master key is not there.
        StoreUnavailable: it does not open, perhaps because the server runs.
        LogDamaged: its audit log is not what was recorded.
    """
    place = settings.data_dir
    in_a_file = settings.database.url is None
    wanted = [*([(place / FILE, "database")] if in_a_file else []), (settings.keys_at / PRIVATE_KEY, PRIVATE_KEY)]
    for path, what in wanted:
        if not path.is_file():
            raise SettingsInvalid(
                f"There is no {what} in {path.parent}.", next_step="Name the directory of the server: --data-dir."
            )
    os.umask(_OTHERS)
    told = None if in_a_file else DatabaseClock(SystemClock())
    clock: Clock = told or SystemClock()
    store = await asyncio.to_thread(partial(open_database, settings, clock, told, alone=True))
    vault = Vault(secret_file(settings.keys_at / PRIVATE_KEY, system_random), system_random)
    log: Sequencer[Transaction] = Sequencer(store, clock, vault)
    files = LogFiles(place / LOG_FOLDER, flush_failed=end_process)
    try:
        await store.read(lambda tx: require_master_key(tx, vault))
        await check_log(store)
        yield Stopped(settings, store, log, files, HeadFile(place / HEAD), clock)
    finally:
        await log.aclose()
        await asyncio.to_thread(store.close)


async def require_all_signed(server: Stopped, keys: list[VerifierKey]) -> None:
    """Check that the database has all that was signed, so that what is recorded now contradicts nothing.

    Raises:
        LogBehind: it is older than that.
        Tampered: none of the keys has signed the head in the log directory.
    """
    published = await asyncio.to_thread(published_head, server.files, keys)
    if published is not None and not await server.store.read(lambda tx: has_signed(tx, published)):
        raise LogBehind(
            f"The database lacks entries that were signed: the log directory has {published.checkpoint.size}.",
            next_step="Start the server, which puts them back, and stop it again.",
        )
    await require_known(server.store, await asyncio.to_thread(server.head.known))
