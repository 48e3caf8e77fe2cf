from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.fakes.grown_log import ORIGIN, GrownLog
from tests.fakes.numbered import NumberedSystem, flush_failed

from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.files import LogUnwritable
from loglease.audit.merkle import check_consistency
from loglease.audit.note import COSIGNATURE, NoteInvalid, SignedNote, SigningKey, cosigned_at, sign_note, signers_of
from loglease.audit.witness import Answer, Witness, WitnessState, WitnessStateInvalid
from loglease.audit.witness_protocol import (
    SIZE_TYPE,
    Submission,
    SubmissionInvalid,
    cosignature_in,
    head_of,
    sha256_of_origin,
    size_in,
)

KEY = SigningKey("witness.example/w1", bytes([7]) * 32, COSIGNATURE)
LOG = GrownLog()
FORK = GrownLog(forked_at=100)
NOW_S = 1_790_000_000


class Told(list[Mapping[str, object]]):
    def __call__(self, fields: Mapping[str, object]) -> None:
        self.append(fields)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[WitnessState]:
    WitnessState.make(tmp_path / "state", flush_failed=flush_failed)
    held = WitnessState(tmp_path / "state", flush_failed=flush_failed)
    yield held
    held.close()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def witness(state: WitnessState, told: Told) -> Witness:
    return witness_over(state, told)


def witness_over(state: WitnessState, told: Told | None = None, logs: tuple[GrownLog, ...] = (LOG,)) -> Witness:
    keys = [log.key.verifier for log in logs]
    return Witness(key=KEY, logs=keys, state=state, now_s=lambda: NOW_S, tell=told if told is not None else Told())


def cosigned(answer: Answer, log: GrownLog, size: int) -> None:
    """The answer is a cosignature of this head."""
    assert answer.status == 200, answer
    text = log.head(size).text()
    assert cosigned_at(cosignature_in(answer.body, text, KEY.verifier)) == NOW_S
    assert answer.body.startswith("— witness.example/w1 ".encode())
    assert answer.body.count(b"\n") == 1


def conflicts(answer: Answer, known: int) -> None:
    assert (answer.status, answer.content_type, answer.body) == (409, SIZE_TYPE, b"%d\n" % known)


def test_a_log_that_only_grows_is_cosigned(witness: Witness) -> None:
    sizes = [0, 1, 2, 7, 8, 256, 257, 300]
    for old, new in zip([0, *sizes], sizes, strict=False):
        cosigned(witness.add_checkpoint(LOG.submission(old, new)), LOG, new)
        shown = witness.newest(sha256_of_origin(ORIGIN))
        assert head_of(SignedNote.parse(shown.body).text) == LOG.head(new)
        assert len(signers_of(SignedNote.parse(shown.body), [LOG.key.verifier, KEY.verifier])) == 2


def test_the_cosignature_is_what_the_specification_says(witness: Witness) -> None:
    line = witness.add_checkpoint(LOG.submission(0, 5)).body.decode()
    blob = base64.b64decode(line.split(" ")[2])
    public = KEY.verifier.public
    assert blob[:4] == hashlib.sha256(b"witness.example/w1\n\x04" + public).digest()[:4]
    assert int.from_bytes(blob[4:12]) == NOW_S
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    message = f"cosignature/v1\ntime {NOW_S}\n{ORIGIN}\n5\n{base64.b64encode(LOG.head(5).root).decode()}\n"
    Ed25519PublicKey.from_public_bytes(public).verify(blob[12:], message.encode())


def test_another_size_than_the_known_one_is_a_conflict_that_names_it(witness: Witness) -> None:
    conflicts(witness.add_checkpoint(LOG.submission(3, 5)), 0)
    cosigned(witness.add_checkpoint(LOG.submission(0, 5)), LOG, 5)
    for old, new in ((0, 9), (4, 9), (6, 9), (0, 4), (4, 5)):
        conflicts(witness.add_checkpoint(LOG.submission(old, new)), 5)
    cosigned(witness.add_checkpoint(LOG.submission(5, 9)), LOG, 9)


def test_the_same_head_is_cosigned_again(witness: Witness, state: WitnessState) -> None:
    cosigned(witness.add_checkpoint(LOG.submission(0, 5)), LOG, 5)
    before = state.path.read_bytes()
    cosigned(witness.add_checkpoint(LOG.submission(5, 5)), LOG, 5)
    assert state.path.read_bytes() == before


def test_of_two_heads_of_one_size_one_is_refused_and_kept_as_a_proof(
    witness: Witness, state: WitnessState, told: Told
) -> None:
    cosigned(witness.add_checkpoint(LOG.submission(0, 200)), LOG, 200)
    refused = witness.add_checkpoint(FORK.submission(200, 200))
    assert (refused.status, refused.content_type) == (409, "text/plain; charset=utf-8")
    assert told[-1]["split_view"] == ORIGIN
    seen = state.of(ORIGIN)
    assert seen is not None
    assert seen.conflict is not None
    for note, head in ((seen.note, LOG.head(200)), (seen.conflict, FORK.head(200))):
        assert LOG.key.verifier in signers_of(SignedNote.parse(note), [LOG.key.verifier])
        assert head_of(SignedNote.parse(note).text) == head
    cosigned(witness.add_checkpoint(LOG.submission(200, 210)), LOG, 210)
    after = state.of(ORIGIN)
    assert after is not None
    assert after.conflict == seen.conflict, "the proof stays"


def test_a_fork_that_is_longer_is_refused(witness: Witness, told: Told) -> None:
    cosigned(witness.add_checkpoint(LOG.submission(0, 200)), LOG, 200)
    assert witness.add_checkpoint(FORK.submission(200, 300)).status == 422
    assert told[-1]["refused"] == ORIGIN
    assert "300" in str(told[-1]["note"])
    forged = Submission(200, LOG.proof(200, 300), FORK.note(300)).encode()
    assert witness.add_checkpoint(forged).status == 422
    cosigned(witness.add_checkpoint(LOG.submission(200, 300)), LOG, 300)


def test_what_is_no_submission_is_a_bad_request(witness: Witness) -> None:
    good = LOG.submission(0, 5)
    for body in (
        b"",
        good.replace(b"old 0", b"old 00"),
        good.replace(b"old 0", b"old -1"),
        good.replace(b"old 0\n", b"old 0\r\n"),
        good.replace(b"old 0\n", b"old 0\nAAAA\n"),
        good.replace(b"old 0\n", b"old 0\n" + base64.b64encode(bytes(32)) * 1 + b" \n"),
        good.replace(b"old 0\n", b"old 0\n" + (base64.b64encode(bytes(32)) + b"\n") * 64),
        good.replace(b"\n5\n", b"\n05\n"),
        good.replace(b"\n5\n", b"\nfive\n"),
        good[:-1],
        good.partition(b"\n\n")[2],
        good + b"x" * 70_000,
        LOG.submission(5, 5).replace(b"old 5", b"old 6"),
    ):
        assert witness.add_checkpoint(body).status == 400, body[:60]


def test_who_is_not_known_is_not_cosigned(witness: Witness) -> None:
    stranger = GrownLog(origin="logs.example.org/1")
    assert witness.add_checkpoint(stranger.submission(0, 5)).status == 404
    impostor = GrownLog(seed=2)
    assert witness.add_checkpoint(impostor.submission(0, 5)).status == 403
    good = LOG.submission(0, 5)
    at = good.rindex(b" ") + 20
    assert (
        witness.add_checkpoint(good[:at] + (b"A" if good[at : at + 1] != b"A" else b"B") + good[at + 1 :]).status == 403
    )
    assert witness.newest(sha256_of_origin(ORIGIN)).status == 404
    assert witness.newest(sha256_of_origin("logs.example.org/1")).status == 404


def test_signatures_of_others_are_ignored_and_not_kept(witness: Witness) -> None:
    note = SignedNote.parse(LOG.note(5))
    other = sign_note(note.text, [SigningKey("somebody.example", bytes([9]) * 32)])
    body = Submission(0, (), SignedNote(note.text, (*other.signatures, *note.signatures)).encode()).encode()
    cosigned(witness.add_checkpoint(body), LOG, 5)
    assert b"somebody" not in witness.newest(sha256_of_origin(ORIGIN)).body


def test_a_proof_from_nothing_is_empty(witness: Witness) -> None:
    body = Submission(0, LOG.proof(3, 5), LOG.note(5)).encode()
    assert witness.add_checkpoint(body).status == 422
    cosigned(witness.add_checkpoint(LOG.submission(0, 5)), LOG, 5)
    body = Submission(5, LOG.proof(3, 5), LOG.note(5)).encode()
    assert witness.add_checkpoint(body).status == 422


def test_extension_lines_of_other_logs_are_covered(witness: Witness) -> None:
    text = LOG.head(5).text() + "an extension\n"
    body = Submission(0, (), sign_note(text, [LOG.key]).encode()).encode()
    answer = witness.add_checkpoint(body)
    assert answer.status == 200
    assert cosignature_in(answer.body, text, KEY.verifier)
    with pytest.raises(NoteInvalid):
        cosignature_in(answer.body, LOG.head(5).text(), KEY.verifier)


def test_what_was_seen_outlives_the_process(tmp_path: Path, state: WitnessState, witness: Witness) -> None:
    cosigned(witness.add_checkpoint(LOG.submission(0, 200)), LOG, 200)
    state.close()
    again = WitnessState(tmp_path / "state", flush_failed=flush_failed)
    try:
        after = witness_over(again)
        conflicts(after.add_checkpoint(LOG.submission(0, 5)), 200)
        assert after.add_checkpoint(FORK.submission(200, 200)).status == 409
        cosigned(after.add_checkpoint(LOG.submission(200, 201)), LOG, 201)
    finally:
        again.close()


def test_two_processes_never_share_a_state(tmp_path: Path, state: WitnessState) -> None:
    with pytest.raises(WitnessStateInvalid, match="Another process"):
        WitnessState(state.path, flush_failed=flush_failed)


def test_a_lost_or_foreign_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with pytest.raises(WitnessStateInvalid, match="There is no file"):
        WitnessState(path, flush_failed=flush_failed)
    with pytest.raises(WitnessStateInvalid, match="cannot be opened"):
        WitnessState(tmp_path / "none" / "state", flush_failed=flush_failed)
    note = LOG.note(5).decode()
    for content in (
        "",
        "[]",
        "{}",
        '{"v":2,"logs":{}}',
        '{"v":1,"logs":[]}',
        json.dumps({"v": 1, "logs": {ORIGIN: note}}),
        json.dumps({"v": 1, "logs": {ORIGIN: {"note": "x"}}}),
        json.dumps({"v": 1, "logs": {"logs.example.org/1": {"note": note}}}),
    ):
        path.write_text(content)
        with pytest.raises(WitnessStateInvalid):
            WitnessState(path, flush_failed=flush_failed)


def test_a_state_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    forged = sign_checkpoint(LOG.head(5), [SigningKey(ORIGIN, bytes([66]) * 32)]).decode()
    path.write_text(json.dumps({"v": 1, "logs": {ORIGIN: {"note": forged}}}))
    state = WitnessState(path, flush_failed=flush_failed)
    try:
        with pytest.raises(WitnessStateInvalid, match="neither the log nor this witness"):
            witness_over(state)
        assert witness_over(state, logs=()).origins == []
    finally:
        state.close()


def test_keys_of_the_wrong_kind_are_refused(state: WitnessState) -> None:
    plain = SigningKey("witness.example/w1", bytes(32))
    with pytest.raises(NoteInvalid, match="type 0x04"):
        Witness(key=plain, logs=[], state=state, now_s=lambda: 0, tell=Told())
    with pytest.raises(NoteInvalid, match="type 0x01"):
        Witness(key=KEY, logs=[KEY.verifier], state=state, now_s=lambda: 0, tell=Told())


def test_of_many_at_once_one_wins_and_nothing_goes_back(witness: Witness, state: WitnessState) -> None:
    with ThreadPoolExecutor(16) as pool:
        known = 0
        for top in range(10, 300, 29):
            bodies = [log.submission(known, size) for size in range(known + 1, top) for log in (LOG, FORK)]
            answers = list(pool.map(witness.add_checkpoint, bodies))
            won = [body for body, one in zip(bodies, answers, strict=True) if one.status == 200]
            assert len(won) == bool(bodies), "all of them start from the same size"
            seen = state.of(ORIGIN)
            assert seen is not None
            assert head_of(SignedNote.parse(Submission.parse(won[0]).note).text) == seen.head
            known = seen.head.size
            if known > 100:
                break


class Broken(NumberedSystem):
    """Has no room once it is full."""

    full = False

    def write(self, descriptor: int, content: bytes) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(descriptor, content)


def test_what_cannot_be_written_is_not_cosigned(tmp_path: Path, told: Told) -> None:
    path, system = tmp_path / "state", Broken()
    WitnessState.make(path, flush_failed=flush_failed)
    state = WitnessState(path, flush_failed=flush_failed, system=system)
    try:
        witness = witness_over(state, told)
        cosigned(witness.add_checkpoint(LOG.submission(0, 5)), LOG, 5)
        system.full = True
        assert witness.add_checkpoint(LOG.submission(5, 9)).status == 503
        assert witness.add_checkpoint(FORK.submission(5, 5)).status == 200, "what is known needs no write"
        system.full = False
        conflicts(witness.add_checkpoint(LOG.submission(9, 10)), 5)
        cosigned(witness.add_checkpoint(LOG.submission(5, 9)), LOG, 9)
        assert any("unwritten" in one for one in told)
        system.full = True
        with pytest.raises(LogUnwritable):
            state.keep("x", state.all()[ORIGIN])
        assert "x" not in state.all()
    finally:
        state.close()


class Machine(RuleBasedStateMachine):
    """Whatever is sent, the heads that were cosigned continue each other."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()
        self.path = Path(self.directory.name) / "state"
        WitnessState.make(self.path, flush_failed=flush_failed)
        self.state = WitnessState(self.path, flush_failed=flush_failed)
        self.witness = witness_over(self.state)
        self.given: list[Checkpoint] = []

    @rule(log=st.sampled_from([LOG, FORK]), old=st.integers(0, 300), more=st.integers(0, 300))
    def send(self, log: GrownLog, old: int, more: int) -> None:
        self._send(log, old, min(300, old + more))

    @rule(log=st.sampled_from([LOG, FORK]), more=st.integers(0, 40))
    def go_on(self, log: GrownLog, more: int) -> None:
        known = size_in(self.witness.add_checkpoint(log.submission(300, 300)).body) if not self._at_end() else 300
        self._send(log, known, min(300, known + more))

    @precondition(lambda self: self.given)
    @rule()
    def start_again(self) -> None:
        self.state.close()
        self.state = WitnessState(self.path, flush_failed=flush_failed)
        self.witness = witness_over(self.state)

    @invariant()
    def one_history(self) -> None:
        sizes = [one.size for one in self.given]
        assert sizes == sorted(sizes)
        whole = [log for log in (LOG, FORK) if all(log.head(one.size) == one for one in self.given)]
        assert whole, "no single log has all the heads that were cosigned"

    def teardown(self) -> None:
        self.state.close()
        self.directory.cleanup()

    def _at_end(self) -> bool:
        seen = self.state.of(ORIGIN)
        return seen is not None and seen.head.size == 300

    def _send(self, log: GrownLog, old: int, new: int) -> None:
        answer = self.witness.add_checkpoint(log.submission(old, new))
        assert answer.status in (200, 409, 422)
        if answer.status == 200:
            self.given.append(log.head(new))


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)


# Kills itself at the n-th call that changes the disk, whatever that is; answers what it cosigned before.
PROGRAM = """
import os, signal, sys
from pathlib import Path
from loglease.audit.files import OperatingSystem
from loglease.audit.witness import WitnessState
from tests.audit.test_witness import LOG, witness_over
from tests.fakes.numbered import flush_failed

class Killing:
    def __init__(self, at):
        self.left, self.inner = at, OperatingSystem()
    def __getattr__(self, name):
        def call(*given):
            found = getattr(self.inner, name)(*given)
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return found
        return call

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        state = WitnessState(Path(sys.argv[1]), flush_failed=flush_failed, system=Killing(int(line)))
        witness = witness_over(state)
        answer = witness.add_checkpoint(LOG.submission(5, 9))
        os.write(1, b"cosigned\\n" if answer.status == 200 else b"refused\\n")
        os._exit(0)
    os.waitpid(child, 0)
    os.write(1, b"ended\\n")
"""


def test_a_kill_at_any_call_never_takes_a_cosignature_back(tmp_path: Path) -> None:
    path = tmp_path / "state"
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdin is not None
    assert started.stdout is not None
    sizes, cosigned_at_all = set(), False
    for at in range(1, 12):
        path.unlink(missing_ok=True)
        WitnessState.make(path, flush_failed=flush_failed)
        first = WitnessState(path, flush_failed=flush_failed)
        cosigned(witness_over(first).add_checkpoint(LOG.submission(0, 5)), LOG, 5)
        first.close()
        started.stdin.write(f"{at}\n")
        started.stdin.flush()
        lines = []
        while (line := started.stdout.readline().strip()) != "ended":
            lines.append(line)
        after = WitnessState(path, flush_failed=flush_failed)
        witness = witness_over(after)
        known = after.all()[ORIGIN].head.size
        sizes.add(known)
        cosigned_at_all |= "cosigned" in lines
        assert known == 9 or "cosigned" not in lines, "what was cosigned is forgotten"
        fork = GrownLog(forked_at=5)
        if known == 9:
            conflicts(witness.add_checkpoint(LOG.submission(5, 9)), 9)
            cosigned(witness.add_checkpoint(LOG.submission(9, 9)), LOG, 9)
            assert witness.add_checkpoint(fork.submission(9, 9)).status == 409
        else:
            cosigned(witness.add_checkpoint(LOG.submission(5, 9)), LOG, 9)
        after.close()
    started.stdin.close()
    assert started.wait() == 0
    started.stdout.close()
    assert sizes == {5, 9}
    assert cosigned_at_all


def test_a_failed_flush_ends_the_process(tmp_path: Path) -> None:
    class Failing(NumberedSystem):
        def flush(self, descriptor: int) -> None:
            raise OSError(5, "Input/output error")

    class Ended(BaseException):
        pass

    def ended(_place: str, _error: OSError) -> NoReturn:
        raise Ended

    path = tmp_path / "state"
    WitnessState.make(path, flush_failed=flush_failed)
    state = WitnessState(path, flush_failed=ended, system=Failing())
    try:
        with pytest.raises(Ended):
            witness_over(state).add_checkpoint(LOG.submission(0, 5))
    finally:
        state.close()


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_reader_of_submissions(body: bytes) -> None:
    for read in (Submission.parse, size_in):
        try:
            read(body)
        except SubmissionInvalid as error:
            assert error.message


@given(st.integers(0, 10**18), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.binary(max_size=100))
def test_a_submission_is_read_as_it_is_written(old: int, proof: list[bytes], note: bytes) -> None:
    sent = Submission(old, tuple(proof), note)
    assert Submission.parse(sent.encode()) == sent


def test_our_proofs_are_those_that_are_checked() -> None:
    check_consistency(5, LOG.head(5).root, 9, LOG.head(9).root, LOG.proof(5, 9))
