"""The documents of bundles: kept once, by their hash, as they were."""

from __future__ import annotations

from pathlib import Path

from tests.store.fixtures import change, opened

from loglease.model.instant import Instant
from loglease.store.bundle_documents_interface import KeptBundle
from loglease.store.interface import Transaction

ONE, OTHER = "ab" * 32, "cd" * 32
FILES = {"b/policy.yaml": "kind: Catalog\r\n", "a.test.yaml": "⟦ü⟧"}


async def test_documents_are_kept_once_and_found_by_their_hash(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def work(tx: Transaction) -> None:
        tx.bundle_documents.keep(OTHER, FILES, Instant(7))
        tx.bundle_documents.keep(ONE, {}, Instant(5))
        tx.bundle_documents.keep(OTHER, {"another.yaml": "x"}, Instant(9))

    await change(store, work)
    found = await store.read(lambda tx: (tx.bundle_documents.kept(), tx.bundle_documents.find(OTHER)))
    assert found == ([KeptBundle(ONE, Instant(5)), KeptBundle(OTHER, Instant(7))], FILES)
    assert await store.read(lambda tx: tx.bundle_documents.find(ONE)) == {}
    assert await store.read(lambda tx: tx.bundle_documents.find("0" * 64)) is None
    store.close()
