"""Promise 6, provable: "The audit log is a Merkle log in public formats; inclusion, consistency and the semantic rules are
checked offline by our verifier and by programs nobody here wrote."

Exact bytes, dense places, insert-only, commitments that open, nothing secret in what is published, and damage that is found
at the start. Those checks share no code with the product: `json`, `hashlib`, AES-GCM and SQL. What the server published is then
verified from files and the public key, by our commands and by tlog-scales, which others wrote; in `tests/real` also by Go.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.audit.logs import log_files, write_log
from tests.fakes.clock import FakeClock
from tests.fakes.stack import NO_TLS, Refused, Stack
from tests.promises.shared import crowd, populated
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey

from loglease.audit.checking import LogDamaged, check_log
from loglease.audit.note import SigningKey
from loglease.cli.main import run_command
from loglease.store.sqlite import open_store
from loglease.store.sqlite_library import running_library

pytestmark = pytest.mark.sqlite

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
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A server of its own, so that its log begins with this: somebody typed a canary wherever one can type."""
    server = populated(tmp_path_factory.mktemp("used"))
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
    yield server
    server.stop()


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


@pytest.fixture(scope="module")
def published(used: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of what the server published once it had signed all of that, and the public key."""
    recorded = rows(database(used), "SELECT count(*) FROM entries")[0][0]
    source = used.folder / "data" / "log"
    until = time.monotonic() + 20
    while int((source / "checkpoint").read_text().split("\n")[1]) < recorded:
        assert time.monotonic() < until, "no signed head covers all entries"
        time.sleep(0.05)
    target = tmp_path_factory.mktemp("published") / "log"
    shutil.copytree(source, target)
    first = json.loads(rows(database(used), "SELECT bytes FROM entries WHERE idx = 0")[0][0])
    return target, first["data"]["vkey"]


def ran(*words: object, **variables: str) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run_command(
        [str(word) for word in words], environment=variables, stdin=io.StringIO(), stdout=out, stderr=err
    )
    return code, out.getvalue() + err.getvalue()


def test_strangers_find_the_published_log_whole(used: Stack, published: tuple[Path, str]) -> None:
    place, key = published
    reader = TilesReader(LocalBackend(place))
    head = reader.get_checkpoint()
    head.verify(Vkey.from_string(key))
    assert reader.calculate_root_hash() == head.root_hash
    recorded = [content for (content,) in rows(database(used), "SELECT bytes FROM entries ORDER BY idx")]
    for index in range(head.size):
        entry = reader.get_entry(index)
        assert entry == recorded[index]
        reader.get_inclusion_proof(index, head.size).check(hashlib.sha256(b"\x00" + entry).digest(), head.root_hash)


def test_whoever_has_the_files_and_the_key_verifies_them(published: tuple[Path, str], tmp_path: Path) -> None:
    place, key = published
    kept = tmp_path / "last.checkpoint"
    code, told = ran("audit", "verify", place, "--key", key, "--semantic", "--since", kept)
    assert (code, "27 checked, 27 hold" in told) == (0, True), told
    code, told = ran("audit", "prove", place, "--index", 7, "--file", tmp_path / "proof", "--entry", tmp_path / "entry")
    assert code == 0, told
    code, told = ran("audit", "check", tmp_path / "proof", "--entry", tmp_path / "entry", "--key", key)
    assert (code, "entry 7 " in told) == (0, True), told
    code, told = ran("audit", "verify", place, "--key", key, "--since", kept)
    assert (code, "consistent with last.checkpoint" in told) == (0, True), told


def test_a_person_gets_a_proof_of_what_was_done_with_their_request(
    used: Stack, published: tuple[Path, str], tmp_path: Path
) -> None:
    alice = crowd(used)["alice"]
    request = alice.ask()["id"]
    (index, entry_id) = rows(
        database(used),
        f"SELECT idx, id FROM entries WHERE bytes LIKE '%{request}%' ORDER BY idx LIMIT 1",  # noqa: S608
    )[0]
    asked = {"LOGLEASE_SERVER": used.url, "LOGLEASE_TOKEN": alice.token}
    code, told = ran("audit", "prove", "--id", entry_id, "--extra", "--file", tmp_path / "proof", **asked)
    assert code == 0, told
    code, told = ran("audit", "check", tmp_path / "proof", "--key", published[1])
    assert (code, f"entry {index} (request.submitted)" in told) == (0, True), told


Entries = list[dict[str, Any]]


def only(entries: Entries, kind: str) -> dict[str, Any]:
    return next(one for one in entries if one["type"] == kind)


def nobody_approved(entries: Entries) -> None:
    only(entries, "request.approved")["data"]["reviews"] = []
    for kind in ("grant.scheduled", "grant.activated"):
        only(entries, kind)["data"]["reviews"] = []


def approved_by_who_asked(entries: Entries) -> None:
    only(entries, "review.given")["actor"] = only(entries, "request.submitted")["actor"]


def served_after_revocation(entries: Entries) -> None:
    revoked = only(entries, "grant.revoked")
    entries.remove(revoked)
    batch = next(
        one for one in entries if one["type"] == "batch.served" and one["ref"]["grant"] == revoked["ref"]["grant"]
    )
    revoked["at"] = revoked["data"]["effective_at"] = batch["at"]
    entries.insert(entries.index(batch), revoked)


def served_without_grant(entries: Entries) -> None:
    for kind in ("grant.scheduled", "grant.activated", "grant.revoked"):
        entries.remove(only(entries, kind))


def served_outside_the_scope(entries: Entries) -> None:
    only(entries, "query.recorded")["data"]["scopes"][0]["selector"] = []


def served_by_an_unrecorded_process(entries: Entries) -> None:
    only(entries, "session.opened")["data"]["replica"] = "node-ffffffff"


def served_more_than_recorded(entries: Entries) -> None:
    only(entries, "session.closed")["data"]["total"]["lines"] += 1


def changed_the_policy_alone(entries: Entries) -> None:
    only(entries, "policy.loaded")["data"] |= {"trust": "managed", "needed": 1}


DOCTORED = (
    (nobody_approved, "S8"),
    (approved_by_who_asked, "S7"),
    (served_after_revocation, "S13"),
    (served_without_grant, "S3"),
    (served_outside_the_scope, "S15"),
    (served_by_an_unrecorded_process, "S26"),
    (served_more_than_recorded, "S16"),
    (changed_the_policy_alone, "S22"),
)


@pytest.mark.parametrize(("doctored", "rule"), DOCTORED, ids=lambda one: getattr(one, "__name__", one))
def test_who_has_the_key_and_writes_another_log_breaks_a_rule(
    used: Stack, published: tuple[Path, str], tmp_path: Path, doctored: Any, rule: str
) -> None:
    """Signed again with the server's own key: hashes and signatures hold, and the rules do not."""
    _, key = published
    signer = SigningKey.parse((used.folder / "data" / "log.key").read_text().strip())
    kept = rows(database(used), "SELECT bytes FROM entries ORDER BY idx")
    entries = [json.loads(content) for (content,) in kept]
    doctored(entries)
    written = [json.dumps(one, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() for one in entries]
    place = write_log(tmp_path / "log", log_files(written, key=signer))
    assert ran("audit", "verify", place, "--key", key)[0] == 0
    code, told = ran("audit", "verify", place, "--key", key, "--semantic")
    assert (code, rule in told) == (1, True), told


@pytest.mark.attack("AD-04")
def test_any_change_of_a_published_file_is_found(published: tuple[Path, str], tmp_path: Path) -> None:
    place, key = published
    for number, path in enumerate(sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file())):
        copied = tmp_path / str(number)
        shutil.copytree(place, copied)
        content = bytearray((copied / path).read_bytes())
        content[number * 31 % len(content)] ^= 4
        (copied / path).write_bytes(content)
        code, told = ran("audit", "verify", copied, "--key", key)
        if code == 0:
            # The partial files of earlier heads are nothing that this one vouches for.
            assert path.parent.name.endswith(".p"), path
            assert f".p/{path.name}" not in told
            size = int((place / "checkpoint").read_text().split("\n")[1])
            assert int(path.name) not in (size % 256, size // 256 % 256), path
        shutil.rmtree(copied)


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


@pytest.mark.attack("AD-08")
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


@pytest.mark.attack("AD-08")
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
    assert "audit_unavailable" in (killable.folder / "stderr.log").read_text()


def test_erasing_a_subject_leaves_all_proofs_valid_and_the_clear_values_unrecoverable(killable: Stack) -> None:
    """No file of the data directory, the master key among them, gives anything back; no byte of an entry changed."""
    stack, data = killable, killable.folder / "data"
    alice, bob = (stack.sign_in(name) for name in ("alice", "bob"))
    erin, frank = (stack.add(name, roles=("admin",)) for name in ("grace", "frank"))
    request = alice.ask(reason=TYPED["reason"], ticket=TYPED["ticket"], scope={"contains": [TYPED["literal"]]})
    bob.decide(request, comment=TYPED["comment"])
    grant = alice.grant_of(request)
    list(alice.lines(grant, TYPED["query"], since="1h"))
    bob.call("POST", f"/grants/{grant}/revoke", {"reason": TYPED["revocation"]})
    hers = [TYPED[name] for name in ("reason", "ticket", "literal", "query")]
    clear = b"".join(text for _, _, text, _ in opened(stack))
    assert all(text.encode() in clear for text in hers)
    entries = rows(database(stack), "SELECT idx, bytes, leaf FROM entries ORDER BY idx")
    commitments = {
        match for _, content, _ in entries for match in re.findall(rb'_c(?:":|s?":\[)"([0-9a-f]{64})"', content)
    }

    (login,) = [one for one in erin.call("GET", "/principals")["items"] if one["account"] == "alice"]
    version = httpx2.get(f"{stack.url}/api/v1/principals/{login['id']}", headers=erin.headers()).headers["etag"]
    erin.call("PATCH", f"/principals/{login['id']}", {"enabled": False}, if_match=version)
    wish = {"subject": login["subject"], "comment": "she asked for it"}
    proposal = erin.create("/audit/erasures", wish)
    with pytest.raises(Refused):
        erin.call("POST", f"/proposals/{proposal['id']}/approve", {}, if_match=f'"{proposal["digest"]}"')
    done = frank.call("POST", f"/proposals/{proposal['id']}/approve", {}, if_match=f'"{proposal["digest"]}"')
    assert done["state"] == "accepted"

    # While it runs, and when it has stopped: the write-ahead log is gone then, and the log is published.
    for _ in range(2):
        content = b"\n".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
        for text in (*hers, "alice@example.com"):
            assert text.encode() not in content, text
        assert TYPED["comment"].encode() in content, "what others wrote stays"
        stack.stop()
    assert TYPED["comment"].encode() in b"".join(text for _, _, text, _ in opened(stack))
    _no_salt_is_left(content, hers, commitments)

    after = rows(database(stack), "SELECT idx, bytes, leaf FROM entries ORDER BY idx")
    assert after[: len(entries)] == entries
    assert any(b'"type":"subject.erased"' in content for _, content, _ in after)
    code, told = ran("audit", "verify", data / "log", "--key", json.loads(after[0][1])["data"]["vkey"])
    assert (code, "all hashes match" in told) == (0, True), told


def _no_salt_is_left(content: bytes, texts: Sequence[str], commitments: set[bytes]) -> None:
    """Try whatever 16 bytes there are, as bytes and as hexadecimal digits, as the salt of the very text."""
    runs = re.findall(rb"[0-9a-f]{32,}", content)
    salts = {content[at : at + 16] for at in range(len(content) - 15)}
    salts |= {bytes.fromhex(run[at : at + 32].decode()) for run in runs for at in range(len(run) - 31)}
    for text in texts:
        for shape in (text, f"contains={text}"):
            found = {hashlib.sha256(salt + shape.encode()).hexdigest().encode() for salt in salts}
            assert not found & commitments, text
