"""The documents of every bundle that was in force, as rows: what decisions can be made again by."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Final

import orjson
from sqlalchemy import Connection, bindparam, exists, insert, select

from loglease.model.instant import Instant
from loglease.store.bundle_documents_interface import KeptBundle
from loglease.store.schema import bundle_documents

_KNOWN: Final = select(exists().where(bundle_documents.c.bundle_sha256 == bindparam("key")))
_FIND: Final = select(bundle_documents.c.files).where(bundle_documents.c.bundle_sha256 == bindparam("key"))
_ALL: Final = select(bundle_documents.c.bundle_sha256, bundle_documents.c.kept_at).order_by(
    bundle_documents.c.kept_at, bundle_documents.c.bundle_sha256
)


class SqlBundleDocuments:
    """`BundleDocuments` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, bundle_sha256: str, files: Mapping[str, str], now: Instant) -> None:
        """Keep the documents of a bundle; the first ones that had its hash stay."""
        if self._connection.execute(_KNOWN, {"key": bundle_sha256}).scalar_one():
            return
        # Quickly, since the log is locked meanwhile.
        packed = zlib.compress(orjson.dumps(dict(files), option=orjson.OPT_SORT_KEYS), level=1)
        row = {"bundle_sha256": bundle_sha256, "kept_at": now, "files": packed}
        self._connection.execute(insert(bundle_documents), row)

    def find(self, bundle_sha256: str) -> Mapping[str, str] | None:
        """Return the documents of a bundle by path; None where they are not kept."""
        packed = self._connection.execute(_FIND, {"key": bundle_sha256}).scalar_one_or_none()
        return None if packed is None else dict(orjson.loads(zlib.decompress(packed)))

    def kept(self) -> Sequence[KeptBundle]:
        """Return all of which documents are kept, the first ones first."""
        return [KeptBundle(row.bundle_sha256, Instant(row.kept_at)) for row in self._connection.execute(_ALL)]
