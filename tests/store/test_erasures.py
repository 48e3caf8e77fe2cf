"""Erasing in the database: every table that holds a copy, through triggers that stand aside for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.store import values
from tests.store.fixtures import change, opened, raw

from loglease.model.ids import PrincipalId, SubjectId, subject_of
from loglease.model.offer import Terms
from loglease.store.erasures import WIPE_DUE
from loglease.store.interface import Transaction
from loglease.store.scrubbing import ERASED
from loglease.store.sqlite import SqliteStore

INSTEAD = subject_of(bytes(17))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    found = opened(tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE requests SET document = replace(document, 'a', 'b')",
        "UPDATE grants SET document = replace(document, 'a', 'b')",
        "UPDATE reviews SET document = replace(document, 'a', 'b')",
        "UPDATE proposals SET document = replace(document, 'a', 'b')",
        "UPDATE proposal_reviews SET document = replace(document, 'a', 'b')",
    ],
)
async def test_documents_change_while_texts_are_erased_and_never_else(store: SqliteStore, statement: str) -> None:
    def work(tx: Transaction) -> None:
        tx.requests.insert(values.request())
        tx.reviews.insert(values.review())
        tx.grants.insert(values.grant())
        tx.proposals.insert(values.proposal())
        tx.proposals.insert_review(values.proposal_review())

    await change(store, work)
    with pytest.raises(store.library.module.IntegrityError):
        raw(store, statement)


async def test_no_committed_state_shows_the_open_door(store: SqliteStore) -> None:
    principal = values.principal()

    def work(tx: Transaction) -> int:
        tx.principals.insert(principal)
        return tx.erasures.erase_subject(principal.subject, [principal.id], instead=INSTEAD)

    assert await change(store, work) == 0
    with pytest.raises(store.library.module.IntegrityError):
        raw(store, "INSERT INTO erasing VALUES (2)")
    connection = store.library.module.connect(store.path)
    assert connection.execute("SELECT count(*) FROM erasing").fetchone() == (0,)
    connection.close()


async def test_a_login_is_nobody_afterwards_and_its_account_can_be_given_anew(store: SqliteStore) -> None:
    principal = values.principal()
    token = replace(values.token(), principal=principal.id)

    def work(tx: Transaction) -> None:
        tx.principals.insert(principal)
        tx.tokens.insert(token)
        tx.erasures.erase_subject(principal.subject, [principal.id], instead=INSTEAD)

    await change(store, work)

    def seen(tx: Transaction) -> None:
        found = tx.principals.find(principal.id)
        assert found is not None
        assert (found.name, found.subject, found.enabled) == (ERASED, INSTEAD, False)
        assert not tx.erasures.is_known(principal.id)
        assert tx.tokens.find(token.id) is None
        assert list(tx.erasures.principals_of(principal.subject)) == []
        assert tx.principals.by_account(principal.issuer, principal.account) is None

    await store.read(seen)
    again = replace(principal, id=PrincipalId("prn_again"), subject=SubjectId("sub_again"))
    await change(store, lambda tx: tx.principals.insert(again))


async def test_the_file_is_written_anew_at_the_next_start_where_that_was_left_to_it(tmp_path: Path) -> None:
    store = opened(tmp_path)
    principal = values.principal()

    def work(tx: Transaction) -> None:
        tx.principals.insert(principal)
        tx.erasures.erase_subject(principal.subject, [principal.id], instead=INSTEAD)

    await change(store, work)
    assert await store.read(lambda tx: tx.values.find(WIPE_DUE)) == "1"
    store.close()
    store = opened(tmp_path)
    assert await store.read(lambda tx: tx.values.find(WIPE_DUE)) is None
    store.close()


async def test_a_large_file_is_left_to_the_next_start(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.store.sqlite.WIPED_AT_ONCE", 1)
    await change(store, lambda tx: tx.values.put(WIPE_DUE, "1"))
    assert await store.wipe() is False
    assert await store.read(lambda tx: tx.values.find(WIPE_DUE)) == "1"


async def test_a_literal_that_a_reviewer_added_goes_with_the_reviewer(store: SqliteStore) -> None:
    bob = replace(values.principal(), id=values.review().reviewer, account="bob", subject=SubjectId("sub_bob"))
    offered = values.request().terms
    narrowed = replace(offered, scopes=tuple(replace(one, contains=("mine",)) for one in offered.scopes))
    ended = values.grant()

    def terms_of(tx: Transaction) -> Terms:
        grant = tx.grants.find(ended.id)
        assert grant is not None
        return grant.terms

    def work(tx: Transaction) -> None:
        tx.principals.insert(bob)
        tx.requests.insert(values.request())
        tx.reviews.insert(replace(values.review(), narrowed=narrowed))
        tx.grants.insert(replace(ended, terms=narrowed))
        assert all(scope.contains == ("mine",) for scope in terms_of(tx).scopes)
        tx.erasures.erase_subject(bob.subject, [bob.id], instead=INSTEAD)

    await change(store, work)
    left = await store.read(terms_of)
    assert all(scope.contains == (ERASED,) for scope in left.scopes)
    (review,) = await store.read(lambda tx: tx.reviews.of_request(values.request().id))
    assert review.comment in ("", ERASED)
    assert review.narrowed is not None
    assert all(scope.contains == (ERASED,) for scope in review.narrowed.scopes)


async def test_reasons_of_locks_suspensions_and_after_reviews_go(store: SqliteStore) -> None:
    lock = values.lock()
    erin = replace(values.principal(), id=lock.added_by, account="erin", subject=SubjectId("sub_erin"))

    def work(tx: Transaction) -> None:
        tx.principals.insert(erin)
        tx.holds.insert_lock(replace(lock, reason="mine"))
        tx.erasures.erase_subject(erin.subject, [erin.id], instead=INSTEAD)

    await change(store, work)
    found = await store.read(lambda tx: tx.holds.find_lock(lock.id))
    assert found == replace(lock, reason=ERASED)
