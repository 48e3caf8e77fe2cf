"""Private texts: sealed under the key of whoever wrote them, bound to their place, gone with the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.audit.drafts import draft
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.vault import MASTER, fake_vault
from tests.store.fixtures import opened

from loglease.audit.interface import Draft, PrivateField, Recorded, SealedField
from loglease.audit.privacy import PrivateUnreadable, Vault, clear_texts
from loglease.audit.sequencer import Sequencer
from loglease.model.digest import SALT_BYTES, commitment
from loglease.store.interface import StoreUnavailable, Transaction
from loglease.store.sqlite import SqliteStore

SUBJECT, OTHER = "sub_one", "sub_two"
ENTRY, SECOND = "ent_1", "ent_2"

fields = st.builds(
    PrivateField,
    path=st.text(min_size=1, max_size=40),
    salt=st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES),
    clear=st.binary(max_size=200),
)


class Keys(dict[str, bytes]):
    """Wrapped keys in memory."""

    def find(self, subject: str) -> bytes | None:
        return self.get(subject)

    def insert(self, subject: str, wrapped: bytes) -> None:
        assert subject not in self
        self[subject] = wrapped


def sealed(vault: Vault, keys: Keys, *texts: PrivateField, subject: str = SUBJECT) -> tuple[SealedField, ...]:
    return vault.sealing(keys).seal(ENTRY, subject, texts)


@given(st.lists(fields, unique_by=lambda one: one.path, max_size=4))
def test_what_is_sealed_opens_to_the_same(texts: list[PrivateField]) -> None:
    vault, keys = fake_vault(), Keys()
    kept = sealed(vault, keys, *texts)
    assert vault.opened(keys, ENTRY, kept) == tuple(texts)
    assert len({one.nonce for one in kept}) == len(kept)
    assert len(keys) == 1


@given(fields, st.data())
def test_nothing_opens_at_another_place_or_changed(text: PrivateField, data: st.DataObject) -> None:
    vault, keys = fake_vault(), Keys()
    (kept,) = sealed(vault, keys, text)
    sealed(vault, keys, text, subject=OTHER)
    at = data.draw(st.integers(0, len(kept.ciphertext) - 1))
    flipped = bytes(byte ^ (1 if place == at else 0) for place, byte in enumerate(kept.ciphertext))
    strangers = [
        (SECOND, kept),
        (ENTRY, replace(kept, path=f"{kept.path}_")),
        (ENTRY, replace(kept, subject=OTHER)),
        (ENTRY, replace(kept, nonce=bytes(12))),
        (ENTRY, replace(kept, nonce=b"")),
        (ENTRY, replace(kept, ciphertext=flipped)),
        (ENTRY, replace(kept, ciphertext=kept.ciphertext[:-1])),
        (ENTRY, replace(kept, ciphertext=b"")),
    ]
    for entry_id, one in strangers:
        with pytest.raises(PrivateUnreadable):
            vault.opened(keys, entry_id, [one])


def test_entry_and_path_are_not_run_together() -> None:
    vault, keys = fake_vault(), Keys()
    (kept,) = vault.sealing(keys).seal("ent_1", SUBJECT, [PrivateField("2\nreason_c", bytes(16), b"x")])
    with pytest.raises(PrivateUnreadable):
        vault.opened(keys, "ent_12", [replace(kept, path="reason_c")])


def test_without_its_key_a_text_is_erased_and_others_are_not() -> None:
    vault, keys = fake_vault(), Keys()
    mine = sealed(vault, keys, PrivateField("reason_c", bytes(16), b"mine"))
    theirs = sealed(vault, keys, PrivateField("comment_c", bytes(16), b"theirs"), subject=OTHER)
    both = {"reason_c": "mine", "comment_c": "theirs"}
    assert dict(clear_texts(vault, keys, ENTRY, [*mine, *theirs])) == both
    del keys[SUBJECT]
    assert dict(clear_texts(vault, keys, ENTRY, [*mine, *theirs])) == both, (
        "who has not heard of it still holds the key"
    )
    vault.forget(SUBJECT)
    assert dict(clear_texts(vault, keys, ENTRY, [*mine, *theirs])) == {"comment_c": "theirs"}
    assert Vault(MASTER, FakeRandom()).opened(keys, ENTRY, mine) == ()


def test_a_forgotten_key_is_not_held_again() -> None:
    vault, keys = fake_vault(), Keys()
    kept = sealed(vault, keys, PrivateField("reason_c", bytes(16), b"mine"))
    vault.forget(SUBJECT)
    assert vault.opened(keys, ENTRY, kept), "an older snapshot of the database still has it"
    del keys[SUBJECT]
    assert vault.opened(keys, ENTRY, kept) == ()


def test_a_subject_who_comes_again_gets_another_key() -> None:
    vault, keys = fake_vault(), Keys()
    old = sealed(vault, keys, PrivateField("reason_c", bytes(16), b"before"))
    del keys[SUBJECT]
    vault.forget(SUBJECT)
    new = sealed(vault, keys, PrivateField("reason_c", bytes(16), b"after"))
    assert vault.opened(keys, ENTRY, new)[0].clear == b"after"
    with pytest.raises(PrivateUnreadable):
        vault.opened(keys, ENTRY, old)


def test_another_master_key_opens_nothing() -> None:
    keys = Keys()
    kept = sealed(fake_vault(), keys, PrivateField("reason_c", bytes(16), b"mine"))
    stranger = Vault(bytes(32), FakeRandom())
    with pytest.raises(PrivateUnreadable, match=r"private\.key"):
        stranger.opened(keys, ENTRY, kept)
    with pytest.raises(PrivateUnreadable, match=r"private\.key"):
        stranger.require_opens(SUBJECT, keys[SUBJECT])
    fake_vault().require_opens(SUBJECT, keys[SUBJECT])
    for broken in (b"", keys[SUBJECT][:-1], b"\x02" + keys[SUBJECT][1:]):
        with pytest.raises(PrivateUnreadable):
            fake_vault().require_opens(SUBJECT, broken)
    with pytest.raises(PrivateUnreadable):
        fake_vault().require_opens(OTHER, keys[SUBJECT])


CANARY = b"customer 4711 called"
SALT = bytes(range(SALT_BYTES))


def private_draft(number: int, *, clear: bytes = CANARY, actor: str = SUBJECT) -> Draft:
    data = {"why": "requester", "reason_c": commitment(SALT, clear)}
    private = (PrivateField("reason_c", SALT, clear),)
    return draft(number, type="request.cancelled", data=data, private=private, actor=actor)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    found = opened(tmp_path)
    yield found
    found.close()


async def test_the_file_of_the_database_holds_neither_text_nor_salt(store: SqliteStore) -> None:
    log: Sequencer[Transaction] = Sequencer(store, FakeClock(), fake_vault(), limit_s=30)
    await log.commit(lambda _tx, _now: Recorded(None, (private_draft(1), private_draft(2))))
    content = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert commitment(SALT, CANARY).encode() in content
    assert CANARY not in content
    assert SALT not in content

    def texts(tx: Transaction) -> list[PrivateField]:
        ids = [private_draft(number).id for number in (1, 2)]
        return [one for key in ids for one in fake_vault().opened(tx.subject_keys, key, tx.entries.private(key))]

    assert [one.clear for one in await store.read(texts)] == [CANARY, CANARY]
    await log.aclose()


async def test_a_key_of_a_lost_transaction_seals_nothing_afterwards(store: SqliteStore) -> None:
    class Losing:
        """A database that loses its first transactions after all was written, and says so when it is asked."""

        loses = True

        async def group(self, body):  # type: ignore[no-untyped-def]
            def losing(group):  # type: ignore[no-untyped-def]
                found = body(group)
                if self.loses and not isinstance(found, bool):
                    raise StoreUnavailable("the disk is full")
                return found

            return await store.group(losing)

    vault, rows = fake_vault(), Losing()
    log: Sequencer[Transaction] = Sequencer(rows, FakeClock(), vault, limit_s=30)
    with pytest.raises(Exception, match="could not be recorded"):
        await log.commit(lambda _tx, _now: Recorded(None, (private_draft(1),)))
    rows.loses = False
    await log.commit(lambda _tx, _now: Recorded(None, (private_draft(2),)))
    await log.aclose()
    key = private_draft(2).id
    fresh = await store.read(lambda tx: fake_vault().opened(tx.subject_keys, key, tx.entries.private(key)))
    assert fresh[0].clear == CANARY
