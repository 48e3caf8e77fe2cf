"""Why a database does not open. What fails once it is open is in `interface`."""

from __future__ import annotations

from loglease.model.errors import LogLeaseError
from loglease.store.interface import StoreUnavailable


class StoreInUse(StoreUnavailable):
    """Another process has the database open."""


class StorePlaceRefused(StoreUnavailable):
    """The database's directory or file system cannot keep it safe."""


class StoreDamaged(StoreUnavailable):
    """The database file is broken, or is no database."""


class StoreTooNew(StoreUnavailable):
    """A newer version of the product has changed the schema."""


class DocumentInvalid(LogLeaseError):
    """A stored row does not have the form that this version writes; a fault of ours or a foreign hand."""

    code = "internal"


class ReplicaGone(StoreUnavailable):
    """The others have given this server up for lost, or another run of it has begun."""


class StoreMoved(StoreUnavailable):
    """Another PostgreSQL answers than before: a standby that was promoted, or a copy."""
