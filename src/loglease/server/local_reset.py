"""`loglease admin reset-admin`: a new password for the account `admin`, on the machine of a server that is stopped."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TextIO

from loglease.model.errors import LogLeaseError
from loglease.server.clock import SystemNewId, system_random
from loglease.server.identity.accounts import ADMIN_ACCOUNT, Accounts
from loglease.server.identity.passwords import Passwords
from loglease.server.local import FAILED, OK, print_error
from loglease.server.settings import Settings, load_settings
from loglease.server.stopped import stopped_server


def reset_admin(*, config: Path | None = None, data_dir: Path | None = None, out: TextIO | None = None) -> int:
    """Give the account `admin` a new password and print it; return the exit code."""
    overrides = {} if data_dir is None else {"data_dir": str(data_dir)}
    try:
        password = asyncio.run(new_admin_password(load_settings(config=config, overrides=overrides)))
    except LogLeaseError as error:
        print_error(error, sys.stderr)
        return FAILED
    print(f"New password of {ADMIN_ACCOUNT}, shown this once:", file=sys.stderr)  # noqa: T201 - a command
    print(password, file=out or sys.stdout)
    return OK


async def new_admin_password(settings: Settings) -> str:
    """Set and return a generated password of the first account; that it was done is on the record.

    Raises:
        SettingsInvalid: there is no database.
        StoreUnavailable: it does not open, perhaps because the server runs.
        NotFound: it has no account `admin`.
    """
    async with stopped_server(settings) as server:
        passwords = Passwords(settings.identity, system_random)
        accounts = Accounts(log=server.log, passwords=passwords, new_id=SystemNewId(), random=system_random)
        return await accounts.recover_admin()
