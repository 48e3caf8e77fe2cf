"""Promise 6, provable: "The audit log is a Merkle log in public formats; inclusion, consistency and the semantic rules are
checked offline by our verifier and by programs nobody here wrote."

This version has the part that all of that stands on: exact bytes, dense places, insert-only, commitments that open, nothing
secret in what will be published, and damage that is found at the start. The tree, its proofs and the verifier come later.
The checks share no code with the product: `json`, `hashlib`, AES-GCM and SQL.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.fakes.clock import FakeClock
from tests.fakes.stack import NO_TLS, Refused, Stack
from tests.promises.shared import crowd

from loglease.audit.checking import LogDamaged, check_log
from loglease.store.sqlite import open_store
from loglease.store.sqlite_library import running_library

SQLITE = running_library().module
REASON = "canary-reason-7391 checkout fails"
TYPED = {
    "reason": REASON,
    "ticket": "CANARY-7392",
    "comment": "canary-comment-7393",
    "query": '|= "canary-query-7394"',
    "revocation": "canary-revocation-7395",
    "literal": "canary-literal-7396",
}
IN_LINES = ("ann@example.com", "4111111111111111", "paid by", "of this test only")


def database(stack: Stack) -> Path:
    return stack.folder / "data" / "loglease.db"


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(SQLITE.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        return list(connection.execute(query).fetchall())


def run(path: Path, *statements: str) -> None:
    with closing(SQLITE.connect(str(path), isolation_level=None, timeout=10)) as connection:
        for statement in statements:
            connection.execute(statement)


def opened(stack: Stack) -> Iterator[tuple[str, bytes, bytes, bytes]]:
    """Yield field, salt, clear bytes and entry of all private texts, opened with the file of the master key alone."""
    master = AESGCM((stack.folder / "data" / "private.key").read_bytes())
    keys = {}
    for subject, wrapped in rows(database(stack), "SELECT subject, wrapped_key FROM subject_keys"):
        bound = b"loglease/subject-key/1\n\x01" + subject.encode()
        keys[subject] = AESGCM(master.decrypt(wrapped[1:13], wrapped[13:], bound))
    kept = (
        "SELECT p.entry_id, p.field, p.subject, p.nonce, p.ciphertext, e.bytes"
        " FROM private p JOIN entries e ON e.id = p.entry_id"
    )
    nonces = set()
    for entry_id, field, subject, nonce, ciphertext, content in rows(database(stack), kept):
        assert json.loads(content)["actor"] == subject
        assert (subject, nonce) not in nonces
        nonces.add((subject, nonce))
        bound = f"loglease/private-text/1\n{entry_id}\n{field}".encode()
        text = keys[subject].decrypt(nonce, ciphertext, bound)
        yield field, text[:16], text[16:], content


@pytest.fixture(scope="module")
def used(server: Stack) -> Stack:
    """A server on which somebody typed a canary wherever one can type."""
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    request = alice.ask(reason=TYPED["reason"], ticket=TYPED["ticket"])
    bob.decide(request, comment=TYPED["comment"])
    grant = alice.grant_of(request)
    list(alice.lines(grant, since="1h"))
    list(alice.lines(grant, TYPED["query"], since="1h"))
    bob.call("POST", f"/grants/{grant}/revoke", {"reason": TYPED["revocation"]})
    alice.ask(scope={"contains": [TYPED["literal"]]})
    with pytest.raises(Refused):
        list(alice.lines(grant, since="1h"))
    httpx2.post(f"{server.url}/api/v1/sign-in", json={"account": "alice", "password": "canary-password-7397"})
    return server


def test_entries_are_canonical_bytes_at_dense_places(used: Stack) -> None:
    found = rows(database(used), "SELECT idx, bytes, leaf FROM entries ORDER BY idx")
    assert [index for index, _, _ in found] == list(range(len(found)))
    assert len(found) > 20
    ids = set()
    before = ""
    for _, content, leaf in found:
        entry = json.loads(content)
        again = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert again == content
        assert hashlib.sha256(b"\x00" + content).digest() == leaf
        assert set(entry) - {"via"} == {"actor", "at", "data", "id", "ref", "type", "v"}
        assert entry["at"] >= before
        assert entry["id"] not in ids
        ids.add(entry["id"])
        before = entry["at"]


def test_commitments_open_to_what_was_typed(used: Stack) -> None:
    clear = {}
    for field, salt, text, content in opened(used):
        assert len(salt) == 16
        assert hashlib.sha256(salt + text).hexdigest().encode() in content
        clear[text.decode()] = field
    for typed in TYPED.values():
        assert [one for one in clear if typed in one], f"nothing opens to {typed}"
    lists = rows(database(used), "SELECT s.salt, s.bytes, e.bytes FROM served s JOIN entries e ON e.id = s.entry_id")
    assert lists
    for salt, served, content in lists:
        assert hashlib.sha256(salt + served).hexdigest().encode() in content


def test_equal_texts_cannot_be_recognised_across_requests(used: Stack) -> None:
    alice = crowd(used)["alice"]
    for _ in range(2):
        alice.ask(reason=TYPED["reason"])
    found = rows(database(used), "SELECT bytes FROM entries")
    entries = [json.loads(content) for (content,) in found]
    commitments = [one["data"]["reason_c"] for one in entries if one["type"] == "request.submitted"]
    assert len(set(commitments)) == len(commitments) >= 3


def test_no_entry_holds_a_line_a_secret_or_what_was_typed(used: Stack) -> None:
    tokens = [person.token for person in crowd(used).values()]
    everything = b"\n".join(content for (content,) in rows(database(used), "SELECT bytes FROM entries ORDER BY idx"))
    for text in (*TYPED.values(), *IN_LINES, "canary-", *used.passwords.values(), *tokens):
        assert text.encode() not in everything, f"{text} is in an entry"
    for person in ("alice", "bob"):
        assert f"{person}@example.com".encode() not in everything


def test_tokens_and_passwords_are_nowhere_in_the_data_directory(used: Stack) -> None:
    tokens = [person.token for person in crowd(used).values()]
    for path in (used.folder / "data").rglob("*"):
        if path.is_file() and path.name != "admin-password":
            content = path.read_bytes()
            for secret in (*tokens, *used.passwords.values(), "canary-password-7397"):
                assert secret.encode() not in content, path


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET bytes = x'00' WHERE idx = 3",
        "UPDATE entries SET leaf = zeroblob(32)",
        "UPDATE entries SET idx = 100000 WHERE idx = 0",
        "DELETE FROM entries WHERE idx = (SELECT max(idx) FROM entries)",
        "DELETE FROM entries",
        "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE idx = 2",
        "INSERT INTO entries SELECT idx + 100000, id || 'x', bytes, leaf FROM entries WHERE idx = 2",
        "UPDATE seq_head SET next = 0",
        "DELETE FROM seq_head",
    ],
)
def test_the_database_itself_refuses_to_change_an_entry(used: Stack, statement: str) -> None:
    path = database(used)
    columns = [row[1] for row in rows(path, "PRAGMA table_info(entries)")]
    if "idx + 100000" in statement:
        taken = {"idx": "idx + 100000", "id": "id || 'x'"}
        shown = ", ".join(taken.get(name, name) for name in columns)
        statement = f"INSERT INTO entries SELECT {shown} FROM entries WHERE idx = 2"  # noqa: S608 - the test's own words
    before = rows(path, "SELECT idx, bytes FROM entries WHERE idx < 20 ORDER BY idx")
    with pytest.raises(SQLITE.IntegrityError):
        run(path, statement)
    assert rows(path, "SELECT idx, bytes FROM entries WHERE idx < 20 ORDER BY idx") == before


def test_no_route_changes_an_entry(used: Stack) -> None:
    admin = crowd(used)["admin"]
    entry = admin.call("GET", "/audit/entries?limit=1")["items"][0]["id"]
    for path in ("/audit/entries", f"/audit/entries/{entry}"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            url = f"{used.url}/api/v1{path}"
            answer = httpx2.request(method, url, headers=admin.headers(), json={}, verify=NO_TLS)
            assert answer.status_code in (404, 405)


TAMPERED = {
    "a byte flipped": "UPDATE entries SET bytes = replace(bytes, 'request.submitted', 'request.submittee')",
    "the leaf fitted": "UPDATE entries SET leaf = zeroblob(32) WHERE idx = 5",
    "a row dropped": "DELETE FROM entries WHERE idx = 5",
    "the newest dropped": "DELETE FROM entries WHERE idx = (SELECT max(idx) FROM entries)",
    "two swapped": "UPDATE entries SET bytes = (SELECT bytes FROM entries o WHERE o.idx = 11 - entries.idx)"
    " WHERE idx IN (5, 6)",
    "text for bytes": "UPDATE entries SET bytes = CAST(bytes AS TEXT) WHERE idx = 5",
}


@pytest.fixture(scope="module")
def copy(used: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    source, target = SQLITE.connect(str(database(used))), SQLITE.connect(str(folder / "loglease.db"))
    with closing(source), closing(target):
        source.backup(target)
    return folder / "loglease.db"


@pytest.mark.parametrize("kind", TAMPERED)
async def test_damage_is_found_before_anybody_is_served(copy: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "data" / "loglease.db"
    path.parent.mkdir(mode=0o700)
    shutil.copy(copy, path)
    path.chmod(0o600)
    triggers = [name for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    run(path, "PRAGMA foreign_keys = OFF", *(f'DROP TRIGGER "{name}"' for name in triggers), TAMPERED[kind])
    store = open_store(path, clock=FakeClock())
    try:
        with pytest.raises(LogDamaged):
            await check_log(store)
    finally:
        store.close()


def test_a_server_does_not_start_on_a_log_that_somebody_changed(killable: Stack) -> None:
    killable.sign_in("alice").ask()
    killable.stop()
    path = database(killable)
    run(path, "DROP TRIGGER entries_fixed", "UPDATE entries SET bytes = replace(bytes, 'alice', 'malic')")
    run(path, "UPDATE entries SET bytes = CAST(replace(CAST(bytes AS TEXT), 'request', 'requesd') AS BLOB)")
    with pytest.raises(AssertionError, match="did not start"):
        killable.start()
    process = killable.process
    assert process is not None
    assert process.wait(20) != 0
    if process.stdout is not None:
        process.stdout.close()
    assert "audit_unavailable" in (killable.folder / "stderr.log").read_text()
