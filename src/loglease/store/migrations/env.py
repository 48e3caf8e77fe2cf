"""How Alembic runs here: on the connection that `store.migration` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from loglease.store.columns import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
