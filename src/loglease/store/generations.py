"""The next generation of the audit log: the rows of the one before leave the database, in one transaction.

What they said stays in a copy of the database and in the published directory; whoever calls has made both.
"""

from __future__ import annotations

from sqlalchemy import Connection, case, delete, update

from loglease.store import guards
from loglease.store.audit_schema import checkpoints, entries, entry_index, private, seq_head, served, sink_state


def begin(connection: Connection, *, epoch: int) -> None:
    """Empty the log and raise its generation; triggers stand aside inside this transaction alone.

    Args:
        epoch: a history generation that was known elsewhere; the database's never falls below it.
    """
    guards.take_down_log(connection)
    for table in (private, served, entry_index, checkpoints, entries, sink_state):
        connection.execute(delete(table))
    # Time goes on: no entry of the new generation is older than the last one of the old.
    connection.execute(
        update(seq_head).values(
            next=0,
            min_index=0,
            generation=seq_head.c.generation + 1,
            epoch=case((seq_head.c.epoch > epoch, seq_head.c.epoch), else_=epoch),
        )
    )
    guards.put_up(connection)
