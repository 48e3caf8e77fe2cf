"""`audit verify`, `consistency`, `prove`, `check`, `checkpoint`: files and keys, no server."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.audit.logs import KEY, ORIGIN, log_files, log_of, recorded, write_log
from tests.audit.mutations import OTHER_KEY, Log, put
from tests.audit.semantic.honest import Server
from tests.audit.semantic.writer import ORIGIN as SEMANTIC_ORIGIN
from tests.audit.semantic.writer import Writer
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, Reply, problem

from loglease.audit.checkpoint import Checkpoint, head_line, sign_checkpoint
from loglease.audit.entry import entry_of
from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import prove
from loglease.audit.note import COSIGNATURE, SignedNote, SigningKey, cosign
from loglease.audit.proof import InclusionProof

VKEY = str(KEY.verifier)
ENTRIES = tuple(recorded(700))
RULED = SigningKey(SEMANTIC_ORIGIN, b"\x07" * 32)
TWINS_SESSION = {"kind": "query", "front": "cli", "replica": "node-0", "epoch": 0}


@pytest.fixture(autouse=True)
def _no_server(request: pytest.FixtureRequest, server: FakeServer, cli: Cli) -> object:
    if "asks_the_server" in request.function.__name__:
        yield
        return
    cli.store().forget()
    yield
    assert not server.calls


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return write_log(tmp_path / "log", log_of(ENTRIES[:600]).items())


def grown(place: Path, size: int = 700) -> None:
    write_log(place, log_of(ENTRIES[:size]).items())


def test_a_log_that_holds(cli: Cli, place: Path) -> None:
    found = cli("audit", "verify", str(place), "--key", VKEY)
    root = (place / "checkpoint").read_text().split("\n")[2]
    assert found.out.splitlines() == [
        f"checkpoint  {ORIGIN}  size 600  root {root}  signed by 4e02efa1, no witness policy given",
        "tree        4 tiles, 600 entries, all hashes match",
        "OK",
    ]
    assert (found.code, found.err) == (0, "")


def test_programs_get_the_same(cli: Cli, place: Path) -> None:
    found = cli("audit", "verify", str(place), "--key", VKEY, "--output", "json")
    body = json.loads(found.out)
    assert body["verdict"] == "ok"
    assert body["checkpoint"]["signed_by"] == [VKEY]
    assert body["tree"] == {"tiles": 4, "from": 0, "to": 600, "extends": []}


@pytest.mark.attack("AD-04")
def test_what_is_wrong_has_its_exact_place(cli: Cli, place: Path) -> None:
    path, content = put(Log(ENTRIES, log_of(ENTRIES[:600])), 300, ENTRIES[301])
    (place / path).write_bytes(content)
    found = cli("audit", "verify", str(place), "--key", VKEY)
    assert found.code == 1
    assert found.out.splitlines()[-1] == (
        "TAMPERED    entry 300 in tile/entries/001 does not hash to its leaf in tile/0/001; #0 to #299 hold"
    )
    found = cli("audit", "verify", str(place), "--key", VKEY, "--output", "json")
    assert (found.code, found.err) == (1, "")
    body = json.loads(found.out)
    assert body["verdict"] == "tampered"
    assert body["fault"]["first_bad"] == 300
    assert body["fault"]["place"] == "tile/entries/001"
    assert body["fault"]["holds"] == {"from": 0, "to": 299}
    assert cli("audit", "verify", str(place), "--key", VKEY, "--to", "256").code == 0
    assert cli("audit", "verify", str(place), "--key", VKEY, "--from", "512").code == 0


def test_what_is_missing_is_not_called_tampered(cli: Cli, place: Path) -> None:
    (place / "tile/entries/000").unlink()
    found = cli("audit", "verify", str(place), "--key", VKEY)
    assert (found.code, "TAMPERED" in found.out) == (2, False)
    assert "tile/entries/000 is missing" in found.err
    assert "[log_incomplete]" in found.err
    found = cli("audit", "verify", str(place), "--key", VKEY, "--from", "256")
    assert (found.code, found.out.splitlines()[1]) == (
        0,
        "tree        3 tiles, 344 entries (#256 to #599), all hashes match",
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "No key of a log is named"),
        (("--key", "nonsense"), "not a public key"),
        (("--key", str(OTHER_KEY.verifier)), "None of the keys"),
        (("--key", VKEY, "--from", "601"), "no entries"),
        (("--key", VKEY, "--to", "601"), "no entries"),
        (("--key", VKEY, "--jobs", "0"), "--jobs"),
        (("--key", VKEY, "--head", "nonsense"), "kept head"),
        (("--key", VKEY, "--policy", "nowhere"), "cannot be read"),
    ],
)
def test_what_cannot_be_checked_is_told(cli: Cli, place: Path, words: tuple[str, ...], said: str) -> None:
    found = cli("audit", "verify", str(place), *words)
    assert found.code == 2
    assert said in found.err
    assert "TAMPERED" not in found.out


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name for it
        pass


def test_a_log_behind_an_address(cli: Cli, place: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(place)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    words = ("audit", "verify", f"http://127.0.0.1:{server.server_port}/", "--key", VKEY)
    try:
        found = cli(*words)
        assert (found.code, "4 tiles, 600 entries, all hashes match" in found.out) == (0, True), found.err
        (place / "tile/0/001").write_bytes(b"\0" * 8_192)
        found = cli(*words)
        assert (found.code, "hash 0 of tile/0/001 is not that of entry 256, which holds" in found.out) == (1, True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    found = cli(*words)
    assert (found.code, "[log_unreadable]" in found.err) == (2, True)


def test_a_log_that_is_nowhere(cli: Cli, tmp_path: Path) -> None:
    found = cli("audit", "verify", str(tmp_path / "nowhere"), "--key", VKEY)
    assert (found.code, "[log_unreadable]" in found.err) == (2, True)
    found = cli("audit", "verify", str(tmp_path), "--key", VKEY)
    assert (found.code, "[log_incomplete]" in found.err) == (2, True)


def test_a_file_remembers_the_last_head(cli: Cli, place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "last.checkpoint"
    words = ("audit", "verify", str(place), "--key", VKEY, "--since", str(kept))
    found = cli(*words)
    assert (found.code, "nothing earlier to compare with" in found.err) == (0, True)
    assert kept.read_bytes() == (place / "checkpoint").read_bytes()
    grown(place)
    found = cli(*words)
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines()[1] == (
        "tree        4 tiles, 700 entries, all hashes match; consistent with last.checkpoint (size 600)"
    )
    newest = (place / "checkpoint").read_bytes()
    assert kept.read_bytes() == newest
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    grown(place, 500)
    found = cli(*words)
    assert found.code == 1
    assert "the log has 500 entries, and had 700 when last.checkpoint was kept" in found.out
    assert kept.read_bytes() == newest, "a head is never given up for one that does not hold"


def test_another_history_is_found_by_the_file(cli: Cli, place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "last.checkpoint"
    kept.write_bytes(log_of([*ENTRIES[:400], *recorded(5, 400_000)])["checkpoint"])
    before = kept.read_bytes()
    found = cli("audit", "verify", str(place), "--key", VKEY, "--since", str(kept))
    assert (found.code, "two histories" in found.out) == (1, True)
    assert kept.read_bytes() == before


def test_a_file_with_something_else_is_not_trusted(cli: Cli, place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "last.checkpoint"
    for content in (b"", b"nonsense\n", log_of(ENTRIES[:9], key=OTHER_KEY)["checkpoint"]):
        kept.write_bytes(content)
        found = cli("audit", "verify", str(place), "--key", VKEY, "--since", str(kept))
        assert found.code == 2
        assert kept.read_bytes() == content
    other = SigningKey("logs.example.com/loglease/2", b"\1" * 32)
    kept.write_bytes(sign_checkpoint(Checkpoint(other.verifier.name, 3, b"\0" * 32), [other]))
    words = ("audit", "verify", str(place), "--key", VKEY, "--key", str(other.verifier), "--since", str(kept))
    found = cli(*words)
    assert (found.code, "two logs cannot be compared" in found.err) == (2, True)


def test_a_line_that_somebody_kept(cli: Cli, place: Path) -> None:
    head = Checkpoint.parse(SignedNote.parse(log_of(ENTRIES[:300])["checkpoint"]).text)
    found = cli("audit", "verify", str(place), "--key", VKEY, "--head", head_line(head))
    assert (found.code, "consistent with the head given (size 300)" in found.out) == (0, True)
    wrong = Checkpoint(head.origin, head.size, b"\1" * 32)
    found = cli("audit", "verify", str(place), "--key", VKEY, "--head", head_line(wrong))
    assert (found.code, "two histories" in found.out) == (1, True)


def test_a_policy_names_keys_and_witnesses(cli: Cli, place: Path, tmp_path: Path) -> None:
    witness = SigningKey("witness.example.com/w1", b"\2" * 32, COSIGNATURE)
    policy = tmp_path / "trust"
    policy.write_text(f"log {VKEY}\nwitness w1 {witness.verifier}\nquorum w1\n")
    found = cli("audit", "verify", str(place), "--policy", str(policy))
    assert found.code == 1
    assert "NOT WITNESSED  the checkpoint of size 600 is cosigned by no witness; the policy asks for" in found.out
    note = SignedNote.parse((place / "checkpoint").read_bytes())
    signed = SignedNote(note.text, (*note.signatures, cosign(note.text, witness, at_s=1_790_000_000)))
    (place / "checkpoint").write_bytes(signed.encode())
    found = cli("audit", "verify", str(place), "--policy", str(policy))
    assert (found.code, "cosigned by w1" in found.out) == (0, True)
    body = json.loads(cli("audit", "verify", str(place), "--policy", str(policy), "--output", "json").out)
    assert body["checkpoint"]["witnesses"] == ["w1"]


def test_one_history_is_proven_or_refuted(cli: Cli, place: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(log_of(ENTRIES[:300])["checkpoint"])
    new.write_bytes((place / "checkpoint").read_bytes())
    grown(place)
    words = (str(place), "--key", VKEY)
    found = cli("audit", "consistency", str(old), str(new), *words)
    assert (found.code, found.out) == (0, "OK          the log of size 600 begins with the log of size 300\n")
    assert cli("audit", "consistency", str(new), str(old), *words).code == 1
    old.write_bytes(log_of([*ENTRIES[:299], ENTRIES[0]])["checkpoint"])
    found = cli("audit", "consistency", str(old), str(new), *words, "--output", "json")
    assert (found.code, json.loads(found.out)["verdict"]) == (1, "tampered")
    new.write_bytes(log_of(recorded(701))["checkpoint"])
    found = cli("audit", "consistency", str(old), str(new), *words)
    assert (found.code, "Fetch a newer copy" in found.err) == (2, True)
    assert cli("audit", "consistency", str(tmp_path / "no"), str(new), *words).code == 2


def test_an_entry_is_shown_to_somebody_without_the_log(cli: Cli, place: Path, tmp_path: Path) -> None:
    proof, entry = tmp_path / "one.tlog-proof", tmp_path / "entry.json"
    name = "ent_01K5M8" + "0" * 17 + "300"
    found = cli("audit", "prove", str(place), "--id", name, "--file", str(proof), "--entry", str(entry))
    assert (found.code, found.out) == (0, f"Wrote {proof}: entry 300 ({name}) is in the log of size 600; 10 hashes.\n")
    assert entry.read_bytes() == ENTRIES[300]
    found = cli("audit", "check", str(proof), "--entry", str(entry), "--key", VKEY)
    assert (found.code, found.out) == (
        0,
        "OK          entry 300 (batch.served) is in the log of size 600; 10 hashes\n",
    )
    entry.write_bytes(ENTRIES[301])
    found = cli("audit", "check", str(proof), "--entry", str(entry), "--key", VKEY)
    assert (found.code, "this is not entry 300 of the log of size 600" in found.out) == (1, True)
    found = cli("audit", "check", str(proof), "--key", VKEY)
    assert (found.code, "carries no entry" in found.err) == (2, True)
    assert cli("audit", "check", str(proof), "--entry", str(entry), "--key", str(OTHER_KEY.verifier)).code == 2
    assert cli("audit", "check", str(tmp_path / "no"), "--entry", str(entry), "--key", VKEY).code == 2
    proof.write_bytes(b"nonsense")
    assert cli("audit", "check", str(proof), "--entry", str(entry), "--key", VKEY).code == 1


def test_a_proof_may_carry_its_entry(cli: Cli, place: Path, tmp_path: Path) -> None:
    found = cli("audit", "prove", str(place), "--index", "7", "--extra", "--file", "-")
    proof = tmp_path / "proof"
    proof.write_text(found.out)
    found = cli("audit", "check", str(proof), "--key", VKEY, "--output", "json")
    body = json.loads(found.out)
    assert (found.code, body["verdict"], body["index"], body["type"]) == (0, "ok", 7, "batch.served")


def served_proof(place: Path, index: int, *, content: bytes | None = None) -> Reply:
    proof = prove(FileLog(place), index, extra=True)[0]
    raw = (proof if content is None else replace(proof, extra=content)).encode()
    return Reply(pieces=lambda: iter([raw]), media_type="text/plain")


def test_without_a_log_it_asks_the_server(cli: Cli, server: FakeServer, place: Path, tmp_path: Path) -> None:
    server.on("GET", "/audit/entries/300/proof", served_proof(place, 300))
    proof, entry = tmp_path / "proof", tmp_path / "entry"
    found = cli("audit", "prove", "--index", "300", "--file", str(proof), "--entry", str(entry))
    assert (found.code, "entry 300" in found.out) == (0, True), found.err
    assert entry.read_bytes() == ENTRIES[300]
    assert InclusionProof.parse(proof.read_bytes()) == prove(FileLog(place), 300)[0], (
        "the entry was not asked for in it"
    )
    assert server.calls[0].query == {"extra": "true"}
    assert cli("audit", "check", str(proof), "--entry", str(entry), "--key", VKEY).code == 0
    server.on("GET", "/audit/entries/ent_x/proof", problem(404, "not_found", "There is none."))
    assert cli("audit", "prove", "--id", "ent_x").code == 7


def serve(server: FakeServer, place: Path) -> None:
    """Answer for the files of a log as a server does."""
    for path in (path for path in place.rglob("*") if path.is_file()):
        server.on("GET", f"/audit/log/{path.relative_to(place)}", sends(path.read_bytes()))


def sends(content: bytes) -> Reply:
    return Reply(pieces=lambda: iter([content]), media_type="application/octet-stream")


def test_the_head_of_the_log_asks_the_server(cli: Cli, server: FakeServer, place: Path) -> None:
    serve(server, place)
    assert cli("audit", "checkpoint", "--key", VKEY).out == (place / "checkpoint").read_text()


def test_two_heads_are_compared_with_what_it_asks_the_server(
    cli: Cli, server: FakeServer, place: Path, tmp_path: Path
) -> None:
    serve(server, place)
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(log_of(ENTRIES[:300])["checkpoint"])
    new.write_bytes((place / "checkpoint").read_bytes())
    assert cli("audit", "consistency", str(old), str(new), "--key", VKEY).code == 0
    old.write_bytes(log_of([*ENTRIES[:299], ENTRIES[0]])["checkpoint"])
    assert cli("audit", "consistency", str(old), str(new), "--key", VKEY).code == 1


def test_it_is_told_that_a_key_is_being_replaced(cli: Cli, place: Path) -> None:
    head = Checkpoint.parse(SignedNote.parse((place / "checkpoint").read_bytes()).text)
    (place / "checkpoint").write_bytes(sign_checkpoint(head, [KEY, OTHER_KEY]))
    found = cli("audit", "verify", str(place), "--key", VKEY)
    other = OTHER_KEY.verifier
    assert found.code == 0
    assert f"also signed by {other.name}+{other.key_id.hex()}, which was not given" in found.err
    found = cli("audit", "verify", str(place), "--key", VKEY, "--key", str(other))
    assert (found.code, found.err) == (0, "")
    assert "signed by 4e02efa1, " in found.out


def test_what_it_asks_the_server_for_is_checked(cli: Cli, server: FakeServer, place: Path) -> None:
    for reply in (
        served_proof(place, 300, content=ENTRIES[301]),
        Reply(pieces=lambda: iter([b"nonsense"]), media_type="text/plain"),
        Reply(pieces=lambda: iter([b"x" * (1 << 20), b"y"]), media_type="text/plain"),
    ):
        server.on("GET", "/audit/entries/300/proof", reply)
        found = cli("audit", "prove", "--index", "300", "--file", "-")
        assert (found.code, "TAMPERED" in found.out) == (1, True)


def test_the_name_of_a_file_is_nothing_that_a_log_says(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = ENTRIES[1].replace(b'"id":"ent_', b'"id":"ent_/../../up')
    assert entry_of(odd).draft.id.startswith("ent_/../")
    place = write_log(tmp_path / "log", log_of([ENTRIES[0], odd]).items())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = cli("audit", "prove", str(place), "--index", "1")
    assert (found.code, found.out.startswith("Wrote entry-1.tlog-proof: ")) == (0, True)
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["entry-1.tlog-proof"]


def test_no_proof_is_made_of_what_contradicts_itself(cli: Cli, place: Path) -> None:
    path, content = put(Log(ENTRIES, log_of(ENTRIES[:600])), 300, ENTRIES[301])
    (place / path).write_bytes(content)
    found = cli("audit", "prove", str(place), "--index", "300", "--file", "-")
    assert (found.code, "TAMPERED" in found.out) == (1, True)
    assert cli("audit", "prove", str(place), "--index", "600").code == 2
    assert cli("audit", "prove", str(place), "--id", "ent_nobody").code == 7
    assert cli("audit", "prove", str(place)).code == 2
    assert cli("audit", "prove", str(place), "--index", "1", "--id", "ent_1").code == 2


def test_the_newest_head_is_printed_as_it_is(cli: Cli, place: Path) -> None:
    note = (place / "checkpoint").read_text()
    assert cli("audit", "checkpoint", str(place)).out == note
    assert cli("audit", "checkpoint", str(place), "--key", VKEY).out == note
    assert cli("audit", "checkpoint", str(place), terminal=True).out == note
    body = json.loads(cli("audit", "checkpoint", str(place), "--output", "json").out)
    assert (body["size"], body["note"]) == (600, note)
    assert body["audit_head"].startswith(f"audit head: {ORIGIN} 600 ")
    assert cli("audit", "checkpoint", str(place), "--key", str(OTHER_KEY.verifier)).code == 2
    (place / "checkpoint").write_text(note.replace("600", "601"))
    found = cli("audit", "checkpoint", str(place), "--key", VKEY)
    assert (found.code, "does not hold" in found.out) == (1, True)


def honest_log() -> Writer:
    server = Server(11)
    server.log.vkey = str(RULED.verifier)
    return server.run(25)


def published(tmp_path: Path, log: Writer) -> Path:
    return write_log(tmp_path / "log", log_of((entry for _, entry in log.rows()), key=RULED).items())


def test_rules_of_an_honest_log_hold(cli: Cli, tmp_path: Path) -> None:
    words = ("audit", "verify", str(published(tmp_path, honest_log())), "--key", str(RULED.verifier), "--semantic")
    found = cli(*words)
    assert (found.code, found.out.splitlines()[-1]) == (0, "OK")
    assert "rules       27 checked, 27 hold" in found.out
    assert "  S5        not checkable" in found.out
    body = json.loads(cli(*words, "--output", "json").out)
    assert (body["verdict"], body["rules"]["checked"], body["rules"]["broken"]) == ("ok", 27, [])


def test_a_broken_rule_and_a_finding(cli: Cli, tmp_path: Path) -> None:
    log = honest_log()
    log.write("session.opened", "sub_alice", TWINS_SESSION, {"request": "req_0", "grant": "grt_0", "session": "ses_0"})
    words = ("audit", "verify", str(published(tmp_path, log)), "--key", str(RULED.verifier), "--semantic")
    found = cli(*words)
    assert (found.code, found.out.splitlines()[-1]) == (1, "BROKEN")
    assert "TAMPERED" not in found.out
    assert f"(#{len(log.entries) - 1})" in found.out
    body = json.loads(cli(*words, "--output", "json").out)
    assert body["verdict"] == "broken"
    assert (
        body["rules"]["violations"] == len([one for one in body["rules"]["breaches"] if one["kind"] == "violation"]) > 0
    )
    assert cli(*words[:-1]).code == 0, "hashes alone do not tell"


def test_a_finding_breaks_only_what_is_strict(cli: Cli, tmp_path: Path) -> None:
    log = honest_log()
    log.start(after="crash")
    words = ("audit", "verify", str(published(tmp_path, log)), "--key", str(RULED.verifier), "--semantic")
    found = cli(*words)
    assert (found.code, "finding: " in found.out) == (0, True)
    assert cli(*words, "--strict").code == 1
    found = cli(*words[:-1], "--strict")
    assert (found.code, "--semantic" in found.err) == (2, True)


def test_served_lists_are_held_against_the_entries(cli: Cli, tmp_path: Path) -> None:
    log = honest_log()
    words = ("audit", "verify", str(published(tmp_path, log)), "--key", str(RULED.verifier), "--semantic", "--served")
    assert cli(*words, str(tmp_path / "nowhere")).code == 2
    lists = tmp_path / "served"
    lists.mkdir()
    assert cli(*words, str(lists)).code == 0
    settled = next(entry.draft for entry in log.entries if "settled" in entry.draft.data)
    (lists / settled.id).write_bytes(bytes(16) + b"another list")
    found = cli(*words, str(lists))
    assert (found.code, "  S16 " in found.out) == (1, True)
    assert cli(*words[:-2], "--served", str(lists)).code == 2


def test_a_broken_rule_keeps_no_head(cli: Cli, tmp_path: Path) -> None:
    log = honest_log()
    log.write("session.opened", "sub_alice", TWINS_SESSION, {"request": "req_0", "grant": "grt_0", "session": "ses_0"})
    place = published(tmp_path, log)
    kept = tmp_path / "last"
    assert (
        cli("audit", "verify", str(place), "--key", str(RULED.verifier), "--semantic", "--since", str(kept)).code == 1
    )
    assert not kept.exists()


def test_progress_is_shown_on_a_terminal(cli: Cli, tmp_path: Path) -> None:
    place = write_log(tmp_path / "log", log_files(recorded(9_000)))
    found = cli("audit", "verify", str(place), "--key", VKEY, "--jobs", "1", terminal=True)
    assert (found.code, "8,192 of 9,000 entries" in found.err) == (0, True)
