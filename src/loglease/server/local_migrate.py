"""`loglease migrate-store`: from the file of a stopped server into the PostgreSQL that its configuration names.

Everything is copied in one transaction, read back and compared, and the log in it is hashed again. Then the file is set
aside under another name, so that no server goes on with it: one log would have two continuations, both signed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO, cast

from loglease.audit.checking import check_log
from loglease.model.errors import LogLeaseError
from loglease.server.clock import SystemClock
from loglease.server.database_settings import DatabaseSettings
from loglease.server.databases import FILE
from loglease.server.local import FAILED, OK, print_error
from loglease.server.log_key import named_keys
from loglease.server.settings import Settings, SettingsInvalid, load_settings
from loglease.server.stopped import require_all_signed, stopped_server
from loglease.store.copying import copy_all
from loglease.store.postgres import PostgresStore

if TYPE_CHECKING:
    from loglease.store.sqlite import SqliteStore

MOVED: Final = f"{FILE}.moved"


def migrate_store(
    *, config: Path | None = None, data_dir: Path | None = None, as_json: bool = False, out: TextIO | None = None
) -> int:
    """Move the database and print how many rows each table has; return the exit code."""
    overrides = {} if data_dir is None else {"data_dir": str(data_dir)}
    try:
        settings = load_settings(config=config, overrides=overrides)
        counts = asyncio.run(moved(settings))
    except LogLeaseError as error:
        print_error(error, sys.stderr)
        return FAILED
    _print(counts, settings.data_dir / MOVED, out or sys.stdout, as_json=as_json)
    return OK


async def moved(settings: Settings) -> Mapping[str, int]:
    """Move the database of a stopped server into PostgreSQL, and return how many rows each table has.

    Raises:
        SettingsInvalid: no PostgreSQL is configured, there is no file, or one was moved already.
        StoreUnavailable: one of the two does not open, perhaps because a server runs, or PostgreSQL is not empty.
        LogBehind, LogDamaged, Tampered: the log is not as it was signed.
    """
    if settings.database.url is None:
        raise SettingsInvalid(
            "No PostgreSQL database is configured to move to.", next_step="Set database.url, then repeat this."
        )
    path, aside = settings.data_dir / FILE, settings.data_dir / MOVED
    if aside.exists():
        raise SettingsInvalid(f"{aside} is there: a database was moved already.", next_step="Start the server.")
    target = PostgresStore(settings.database.url.get_secret_value(), clock=SystemClock())
    try:
        from_file = settings.model_copy(update={"database": DatabaseSettings(keys_dir=settings.database.keys_dir)})
        async with stopped_server(from_file) as server:
            named = await server.store.read(named_keys)
            await require_all_signed(server, [one.key for one in named])
            source = cast("SqliteStore", server.store)  # no URL is in these settings
            counts = await asyncio.to_thread(copy_all, source, target)
        await check_log(target)
    finally:
        await asyncio.to_thread(target.close)
    path.rename(aside)
    return counts


def _print(counts: Mapping[str, int], aside: Path, out: TextIO, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"rows": dict(counts), "moved_to": str(aside)}), file=out)
        return
    for table, count in counts.items():
        if count:
            print(f"{count:>10,}  {table}", file=out)
    print(f"Everything is in PostgreSQL and was read back. The file is kept as {aside}.", file=out)
    print("Next      start the server; remove the file once you have a backup of PostgreSQL.", file=out)
