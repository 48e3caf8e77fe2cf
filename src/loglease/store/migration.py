"""Brings a database to the schema of this version, in one transaction, and refuses one that is ahead of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from loglease.store import guards
from loglease.store.errors import StoreTooNew

_SCRIPTS: Final = Path(__file__).with_name("migrations")


def migrate(connection: Connection, *, guarded: bool = True) -> None:
    """Apply the revisions that are missing, inside the transaction that is open on `connection`.

    Args:
        guarded: whether triggers are put up, too; else that is the caller's business.

    Raises:
        StoreTooNew: the database has a revision that this version does not know.
    """
    scripts = _scripts()
    known = {script.revision for script in scripts.walk_revisions()}
    current = MigrationContext.configure(connection).get_current_heads()
    for revision in current:
        if revision not in known:
            raise StoreTooNew(
                f"The database has schema {revision!r}, which this version of LogLease does not know.",
                next_step=f"Start the version that wrote it, or newer; this one knows {scripts.get_current_head()!r}.",
            )
    if set(current) != set(scripts.get_heads()):
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    if guarded:
        guards.put_up(connection)


@cache
def _scripts() -> ScriptDirectory:
    """Return the revisions of this version, read once."""
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
