from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.note import COSIGNATURE, NoteInvalid, SignedNote, SigningKey, cosign
from loglease.audit.trust_policy import (
    NONE,
    QuorumMissing,
    TrustPolicy,
    TrustPolicyInvalid,
    open_witnessed,
    quorum_met,
    witnesses_of,
)

LOG = SigningKey("logs.example.com/1", bytes(32))
WITNESSES = {
    name: SigningKey(f"{name.lower()}.example/w", bytes([place]) * 32, COSIGNATURE)
    for place, name in enumerate(("X1", "X2", "X3", "Y1", "Y2", "Y3"), 1)
}
LINES = "".join(f"witness {name} {key.verifier}\n" for name, key in WITNESSES.items())
EXAMPLE = f"""\
# two houses
log {LOG.verifier} https://logs.example.com
{LINES}
group X-witnesses 2 X1 X2 X3
group\tY-witnesses   any Y1 Y2 Y3
  group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
HEAD = Checkpoint("logs.example.com/1", 5, b"r" * 32)


def policy(text: str) -> TrustPolicy:
    return TrustPolicy.parse(text.encode())


def note_by(*names: str) -> SignedNote:
    note = SignedNote.parse(sign_checkpoint(HEAD, [LOG]))
    return SignedNote(note.text, (*note.signatures, *(cosign(note.text, WITNESSES[name], at_s=7) for name in names)))


@pytest.mark.parametrize(
    ("names", "met"),
    [
        ((), False),
        (("X1", "X2"), False),
        (("X1", "Y1"), False),
        (("Y1", "Y2", "Y3"), False),
        (("X1", "X3", "Y2"), True),
        (tuple(WITNESSES), True),
    ],
)
def test_two_houses_of_witnesses(names: tuple[str, ...], met: bool) -> None:
    known = policy(EXAMPLE)
    assert quorum_met(note_by(*names), known) is met
    assert [one.name for one in witnesses_of(note_by(*names), known)] == list(names)


def test_a_checkpoint_needs_a_known_log_and_the_quorum() -> None:
    known = policy(EXAMPLE)
    assert open_witnessed(note_by("X1", "X2", "Y1").encode(), known) == HEAD
    with pytest.raises(QuorumMissing, match=r"cosigned by X1; the policy asks for 2 of X-witnesses, Y-witnesses"):
        open_witnessed(note_by("X1").encode(), known)
    with pytest.raises(NoteInvalid):
        open_witnessed(note_by(*WITNESSES).encode(), policy(LINES + "quorum X1\n"))
    keyed = open_witnessed(note_by("X1").encode(), policy(LINES + "quorum X1\n"), [LOG.verifier])
    assert keyed == HEAD


def test_nobody_is_needed_where_the_policy_says_so() -> None:
    assert quorum_met(note_by(), policy("quorum none\n"))
    assert policy("quorum none\n").demand() == "no witness"
    assert policy(LINES + "quorum X1\n").demand() == "the witness X1"


def test_a_cosignature_over_another_text_counts_for_nothing() -> None:
    other = cosign("another\n", WITNESSES["X1"], at_s=7)
    note = SignedNote(note_by().text, (other,))
    with pytest.raises(NoteInvalid):
        quorum_met(note, policy(LINES + "quorum X1\n"))


def test_a_log_and_the_same_key_as_witness_are_two_things() -> None:
    plain = SigningKey("x1.example/w", bytes([1]) * 32)
    note = SignedNote(HEAD.text(), SignedNote.parse(sign_checkpoint(HEAD, [plain])).signatures)
    assert not quorum_met(note, policy(LINES + "quorum X1\n"))


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", 1, "no quorum line"),
        ("quorum none", 1, "not ended"),
        ("quorum none\nquorum none\n", 2, "second quorum"),
        ("quorum nobody\n", 1, "no witness or group of a line before"),
        (f"quorum X1\n{LINES}", 1, "of a line before"),
        ("rule none\n", 1, "none of log, witness, group, quorum"),
        ("quorum\n", 1, "another form: quorum NAME"),
        ("log\n", 1, "another form: log VKEY"),
        ("witness X1\n", 1, "another form: witness NAME VKEY"),
        ("group g any\n", 1, "another form: group NAME"),
        ("log nonsense\n", 1, "nonsense is no key"),
        (f"log {WITNESSES['X1'].verifier}\n", 1, "type 0x04; a log signs"),
        (f"witness X1 {LOG.verifier}\n", 1, "type 0x01; a witness signs"),
        (f"log {LOG.verifier}\nlog {LOG.verifier}\n", 2, "same as that of another log"),
        (f"log {LOG.verifier}\nlog {SigningKey('other/1', bytes(32)).verifier}\n", 2, "same as that of another log"),
        (f"{LINES}witness X9 {SigningKey('x9', bytes([2]) * 32, COSIGNATURE).verifier}\n", 7, "same as that of X2"),
        (f"{LINES}witness X1 {SigningKey('x9', bytes([9]) * 32, COSIGNATURE).verifier}\n", 7, "X1 is defined twice"),
        (f"{LINES}group X1 any X2\n", 7, "X1 is defined twice"),
        (f"witness none {WITNESSES['X1'].verifier}\n", 1, "no name"),
        (f"{LINES}group g any none\n", 7, "none is no witness"),
        (f"{LINES}group g any g\n", 7, "g is no witness"),
        (f"{LINES}group g any X1 X1\n", 7, "X1 is a member already"),
        (f"{LINES}group g any X1\ngroup h any X2 X1\n", 8, "X1 is a member already"),
        (f"{LINES}group g 0 X1\n", 7, "from 1 to 1"),
        (f"{LINES}group g 3 X1 X2\n", 7, "from 1 to 2"),
        (f"{LINES}group g 01 X1\n", 7, "from 1 to 1"),
        (f"{LINES}group g some X1\n", 7, "from 1 to 1"),
        ("quorum none\r\n", 1, "byte 0x0d"),
        ("# fine\n\x00quorum none\n", 2, "byte 0x00"),
        ("quorum\u00a0none\n", 1, "none of log"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(TrustPolicyInvalid) as refused:
        policy(text)
    assert refused.value.faults[0].pointer == f"/line/{line}"
    assert told in refused.value.faults[0].detail
    assert f"Line {line} " in refused.value.message


def test_all_mistakes_come_together() -> None:
    with pytest.raises(TrustPolicyInvalid, match="1 more lines") as refused:
        policy("log x\nquorum y\n")
    assert [fault.pointer for fault in refused.value.faults] == ["/line/1", "/line/2"]


def test_names_are_bytes() -> None:
    """A K and the sign of the kelvin are two names, and so are two bytes that are no UTF-8."""
    first, second = (SigningKey(name, bytes([place]) * 32, COSIGNATURE).verifier for place, name in enumerate("ab", 3))
    for one, other in ((b"K", "\u212a".encode()), (b"\xff", b"\xfe")):
        text = b"witness %s %s\nwitness %s %s\nquorum %s\n" % (
            one,
            f"{first}".encode(),
            other,
            f"{second}".encode(),
            one,
        )
        known = TrustPolicy.parse(text)
        assert len(known.witnesses) == 2
        assert known.demand().startswith("the witness ")
    with pytest.raises(TrustPolicyInvalid, match="UTF-8"):
        TrustPolicy.parse(b"log \xff+00000000+AAAA\nquorum none\n")


@given(st.binary(max_size=200))
def test_no_bytes_upset_the_reader(content: bytes) -> None:
    try:
        TrustPolicy.parse(content)
    except TrustPolicyInvalid as error:
        assert error.faults


@st.composite
def forests(draw: st.DrawFn) -> tuple[str, Mapping[str, tuple[int, tuple[str, ...]]], str]:
    """A policy over the six witnesses, in words and as what it means."""
    free = list(WITNESSES)
    text, groups = LINES, {}
    for number in range(draw(st.integers(0, 5))):
        count = draw(st.integers(0, len(free)))
        if not count:
            break
        members = tuple(draw(st.permutations(free))[:count])
        needed = draw(st.integers(1, count))
        word = draw(
            st.sampled_from([str(needed), *(["any"] if needed == 1 else []), *(["all"] if needed == count else [])])
        )
        free = [one for one in free if one not in members] + [f"g{number}"]
        groups[f"g{number}"] = (needed, members)
        text += f"group g{number} {word} {' '.join(members)}\n"
    quorum = draw(st.sampled_from([NONE, *WITNESSES, *groups]))
    return f"{text}quorum {quorum}\n", groups, quorum


@given(forests(), st.sets(st.sampled_from(list(WITNESSES))))
def test_quorums_mean_what_a_plain_reading_says(
    forest: tuple[str, Mapping[str, tuple[int, tuple[str, ...]]], str], there: Iterable[str]
) -> None:
    text, groups, quorum = forest

    def witnessed(name: str) -> bool:
        if name not in groups:
            return name in there
        needed, members = groups[name]
        return sum(map(witnessed, members)) >= needed

    assert policy(text).met_by(there) is (quorum == NONE or witnessed(quorum))
