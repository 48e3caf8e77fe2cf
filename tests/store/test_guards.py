"""What SQL itself refuses, whoever writes it."""

# ruff: noqa: S608 - the statements are the tests' own
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store import values
from tests.store.fixtures import change, opened, raw

from loglease.model.access_request import NEXT as REQUEST_MOVES
from loglease.model.access_request import RequestState
from loglease.model.after_review import NEXT as AFTER_MOVES
from loglease.model.after_review import AfterState
from loglease.model.grant import NEXT as GRANT_MOVES
from loglease.model.grant import GrantState
from loglease.store.guards import TRIGGERS
from loglease.store.interface import Transaction
from loglease.store.sqlite import SqliteStore

REQUEST = f"'{values.request().id}'"
GRANT = f"'{values.grant().id}'"
AGAIN = (
    "INSERT INTO reviews (id, request_id, person, verdict, document)"
    " SELECT 'rev_x', request_id, person, verdict, document FROM reviews"
)
TERMINAL_REQUESTS = ["approved", "denied", "cancelled", "expired"]


# fmt: off
STATEMENTS = [
    (f"UPDATE requests SET terms_bytes = x'00' WHERE id = {REQUEST}", "never change"),
    (f"UPDATE requests SET digest = 'x' WHERE id = {REQUEST}", "never change"),
    (f"UPDATE requests SET document = '{{}}' WHERE id = {REQUEST}", "never change"),
    (f"UPDATE requests SET state = 'granted', decided_at = 1 WHERE id = {REQUEST}", "CHECK"),
    (f"UPDATE requests SET state = 'approved' WHERE id = {REQUEST}", "CHECK"),
    ("DELETE FROM requests", "requests are kept"),
    ("UPDATE reviews SET verdict = 'deny'", "a review never changes"),
    ("DELETE FROM reviews", "reviews are kept"),
    (AGAIN, "UNIQUE"),
    (f"UPDATE grants SET document = '{{}}' WHERE id = {GRANT}", "never change"),
    (f"UPDATE grants SET lines_limit = NULL WHERE id = {GRANT}", "never change"),
    (f"UPDATE grants SET valid_until = valid_until + 1 WHERE id = {GRANT}", "never restarts"),
    (f"UPDATE grants SET state = 'scheduled' WHERE id = {GRANT}", "never scheduled again"),
    (f"UPDATE grants SET state = 'suspended' WHERE id = {GRANT}", "CHECK"),
    (f"UPDATE grants SET lines_used = -1 WHERE id = {GRANT}", "CHECK"),
    (f"UPDATE grants SET state = 'ended' WHERE id = {GRANT}", "CHECK"),
    ("DELETE FROM grants", "grants are kept"),
    ("UPDATE after_reviews SET due_at = due_at + 1", "never changes"),
    ("UPDATE after_reviews SET person = 'per_other'", "never changes"),
    ("UPDATE after_reviews SET state = 'justified'", "CHECK"),
    ("DELETE FROM after_reviews", "after-reviews are kept"),
    ("UPDATE sessions SET grant_id = 'grt_x'", "one grant"),
    ("UPDATE sessions SET settled_lines = 1", "CHECK"),
    ("DELETE FROM sessions", "sessions are kept"),
    ("DELETE FROM locks", "locks are kept"),
    ("UPDATE seq_head SET next = -1", "only moves forward"),
    ("UPDATE seq_head SET epoch = 0", "only moves forward"),
    ("DELETE FROM seq_head", "is kept"),
    ("INSERT INTO seq_head SELECT 2, 0, 0, 0, 1, 1", "CHECK"),
    ("UPDATE proposals SET document = '{}'", "never changes"),
    ("UPDATE proposals SET digest = 'x'", "never changes"),
    ("UPDATE proposals SET base_revision = 2", "never changes"),
    ("UPDATE proposals SET state = 'accepted', decided_at = 1", "CHECK"),
    ("UPDATE proposals SET state = 'accepted', decided_at = 1, revision = 3", "CHECK"),
    ("UPDATE proposals SET state = 'denied'", "CHECK"),
    ("DELETE FROM proposals", "proposals are kept"),
    ("UPDATE proposal_reviews SET verdict = 'deny'", "a review never changes"),
    ("DELETE FROM proposal_reviews", "reviews are kept"),
    ("UPDATE policy_bundles SET document = '{}'", "never changes"),
    ("UPDATE bundle_documents SET files = x''", "never change"),
    ("DELETE FROM bundle_documents", "are kept"),
    ("DELETE FROM policy_bundles", "are kept"),
    ("INSERT INTO policy_bundles SELECT 0, bundle_sha256, 1, NULL, document FROM policy_bundles", "only rise"),
    ("INSERT INTO policy_bundles SELECT 2, bundle_sha256, 1, 'prp_1', document FROM policy_bundles", "accepted"),
    ("INSERT OR REPLACE INTO policy_bundles SELECT * FROM policy_bundles", "only rise"),
    *((f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}", "never replaced")
      for table in (
          "requests", "reviews", "grants", "after_reviews", "sessions", "locks", "tokens", "seq_head",
          "proposals", "proposal_reviews",
      )),
]
# fmt: on
"""What is refused, and a word of the reason."""


def one_of_each(tx: Transaction) -> None:
    tx.requests.insert(values.request())
    tx.reviews.insert(values.review())
    tx.grants.insert(values.grant())
    tx.grants.update(values.active())
    tx.after_reviews.insert(values.after_review())
    tx.sessions.insert(values.session())
    tx.holds.insert_lock(values.lock())
    tx.tokens.insert(values.token())
    tx.proposals.insert(values.proposal())
    tx.proposals.insert_review(values.proposal_review())
    tx.proposals.insert_bundle(values.bundle())
    tx.bundle_documents.keep("ab" * 32, {"policy.yaml": "x"}, values.NOW)


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    found = opened(tmp_path)
    await change(found, one_of_each)
    return found


@pytest.fixture(autouse=True)
def _closed(store: SqliteStore) -> Iterator[None]:
    yield
    store.close()


def refused(store: SqliteStore, statement: str, why: str) -> None:
    with pytest.raises(store.library.module.IntegrityError, match=why):
        raw(store, statement)


def decide(state: str) -> str:
    return f"UPDATE requests SET state = '{state}', decided_at = 1 WHERE id = {REQUEST}"


@pytest.mark.parametrize("terminal", TERMINAL_REQUESTS)
def test_a_decided_request_keeps_its_state(store: SqliteStore, terminal: str) -> None:
    raw(store, decide(terminal))
    refused(store, f"UPDATE requests SET state = 'pending', decided_at = NULL WHERE id = {REQUEST}", "keeps its state")
    for other in TERMINAL_REQUESTS:
        if other != terminal:
            refused(store, decide(other), "keeps its state")


@pytest.mark.parametrize(("state", "why"), [("ended", "'used'"), ("revoked", "NULL")])
def test_a_grant_that_ended_stays_so(store: SqliteStore, state: str, why: str) -> None:
    raw(store, f"UPDATE grants SET state = '{state}', ended_at = 5, ended_why = {why} WHERE id = {GRANT}")
    for other in {"ended", "revoked", "active", "scheduled"} - {state}:
        refused(store, f"UPDATE grants SET state = '{other}' WHERE id = {GRANT}", "stays so")


def test_terminal_states_are_those_that_the_model_never_leaves() -> None:
    stored = set(RequestState) - {RequestState.PENDING}
    assert stored == {after for (_, _), after in REQUEST_MOVES.items()}
    assert {state for state, _ in GRANT_MOVES} == {GrantState.SCHEDULED, GrantState.ACTIVE}


@pytest.mark.parametrize(("statement", "why"), STATEMENTS)
def test_raw_sql_is_refused(store: SqliteStore, statement: str, why: str) -> None:
    refused(store, statement, why)


def test_an_after_review_moves_only_as_the_model_says(store: SqliteStore) -> None:
    allowed = {(before, after) for (before, _), after in AFTER_MOVES.items()}
    for before in AfterState:
        for after in AfterState:
            if before is after:
                continue
            raw(store, "DROP TRIGGER after_reviews_terminal", move_after(before))
            raw(store, TRIGGERS["after_reviews_terminal"])
            if (before, after) in allowed:
                raw(store, move_after(after))
            else:
                refused(store, move_after(after), "not undone")


def move_after(state: AfterState) -> str:
    decided = "NULL" if state is AfterState.OPEN else "1"
    return f"UPDATE after_reviews SET state = '{state}', decided_at = {decided}"


@pytest.mark.parametrize("terminal", ["denied", "withdrawn", "superseded"])
def test_a_decided_proposal_keeps_its_state(store: SqliteStore, terminal: str) -> None:
    raw(store, f"UPDATE proposals SET state = '{terminal}', decided_at = 1")
    refused(store, "UPDATE proposals SET state = 'pending', decided_at = NULL", "keeps its state")
    refused(store, "UPDATE proposals SET state = 'accepted', revision = 2", "keeps its state")


def test_an_accepted_proposal_comes_into_force_once(store: SqliteStore) -> None:
    raw(store, "UPDATE proposals SET state = 'accepted', decided_at = 1, revision = 2")
    refused(store, "UPDATE proposals SET state = 'denied', revision = NULL", "keeps its state")
    row = "INSERT INTO policy_bundles SELECT {}, bundle_sha256, 1, 'prp_1', document FROM policy_bundles LIMIT 1"
    refused(store, row.format(3), "accepted")
    raw(store, row.format(2))
    refused(store, row.format(2), "only rise")


def test_a_closed_session_a_lifted_lock_and_a_revoked_token_stay_so(store: SqliteStore) -> None:
    raw(store, "UPDATE sessions SET state = 'closed', closed_at = 1", "UPDATE locks SET lifted_at = 1")
    raw(store, "UPDATE tokens SET revoked_at = 1, spent_at = 1")
    refused(store, "UPDATE sessions SET state = 'open', closed_at = NULL", "keeps its state")
    refused(store, "UPDATE sessions SET ceiling_lines = 9", "keeps its state")
    refused(store, "UPDATE locks SET lifted_at = NULL", "stays lifted")
    refused(store, "UPDATE tokens SET revoked_at = NULL", "stays so")
    refused(store, "UPDATE tokens SET spent_at = NULL", "stays so")


def test_the_log_grows_at_its_end_and_nowhere_else(store: SqliteStore) -> None:
    row = "INSERT {how} INTO entries VALUES ({idx}, '{id}', x'7b7d', zeroblob(32))"
    raw(store, row.format(how="", idx=0, id="ent_0"), row.format(how="", idx=1, id="ent_1"))
    for how in ("", "OR REPLACE", "OR IGNORE"):
        for idx, entry_id in ((1, "ent_1"), (1, "ent_2"), (3, "ent_3"), (-1, "ent_4"), (2, "ent_0")):
            refused(store, row.format(how=how, idx=idx, id=entry_id), "one after the other")
    refused(store, "UPDATE entries SET bytes = x'00' WHERE idx = 0", "never changes")
    refused(store, "UPDATE entries SET idx = 7 WHERE idx = 1", "never changes")
    refused(store, "DELETE FROM entries WHERE idx = 0", "are kept")
    raw(store, "UPDATE seq_head SET next = 2, min_index = 1", "DELETE FROM entries WHERE idx = 0")
    refused(store, "DELETE FROM entries WHERE idx = 1", "are kept")


async def test_triggers_that_somebody_dropped_or_changed_come_back(store: SqliteStore, tmp_path: Path) -> None:
    raw(
        store,
        "DROP TRIGGER entries_fixed",
        "DROP TRIGGER grants_kept",
        "CREATE TRIGGER grants_kept BEFORE DELETE ON grants BEGIN SELECT 1; END",
        "CREATE TRIGGER foreign_one BEFORE DELETE ON grants BEGIN SELECT 1; END",
    )
    store.close()
    again = opened(tmp_path)
    try:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        found = again._writer.run(lambda connection, _: connection.exec_driver_sql(query).all())
        assert dict(map(tuple, found)) == dict(TRIGGERS)
        refused(again, "DELETE FROM grants", "grants are kept")
    finally:
        again.close()
