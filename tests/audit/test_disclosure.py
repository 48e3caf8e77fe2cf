"""A disclosed text in a file: what it shows, and that no byte of it can be another one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.disclosure import Disclosure, DisclosureInvalid, is_committed
from loglease.audit.entry import entry_bytes, entry_of
from loglease.audit.interface import Draft
from loglease.audit.merkle import Edge, Node, ProofInvalid, inclusion_proof, leaf_hash, subtree_root
from loglease.audit.note import NoteInvalid, SigningKey
from loglease.audit.proof import InclusionProof
from loglease.model.digest import commitment
from loglease.model.ids import EntryId
from loglease.model.instant import Instant

KEY = SigningKey("logs.example.com/1", bytes(32))
SALT, TEXT, RULE = bytes(range(16)), "checkout fails, ⟦customer⟧ 4711", b"contains=timeout"
SCOPE: dict[str, Any] = {
    "source": "files", "selector": [], "live": True, "profiles": [], "rules_c": [commitment(SALT, RULE)],
}  # fmt: skip
ENTRY = entry_bytes(
    Draft(
        id=EntryId("ent_01JDC8Z0M4T9YV2K3R5W7X8Q4M"),
        type="query.recorded",
        actor="sub_" + "a" * 26,
        ref={"grant": "grt_1", "session": "ses_1"},
        data={
            "query": 1,
            "text_c": commitment(SALT, TEXT.encode()),
            "scopes": [SCOPE],
            "live": True,
            "plan": "evaluate",
        },
    ),
    Instant(1_790_000_000_000_000),
)
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(4)] + [leaf_hash(ENTRY)]


def disclosure(field: str = "text_c", clear: bytes = TEXT.encode(), salt: bytes = SALT) -> Disclosure:
    def read(nodes: list[Node]) -> list[bytes]:
        return [subtree_root(LEAVES[node.number << node.level : (node.number + 1) << node.level]) for node in nodes]

    edge = Edge()
    edge.extend(LEAVES)
    head = sign_checkpoint(Checkpoint("logs.example.com/1", len(LEAVES), edge.root()), [KEY])
    index = len(LEAVES) - 1
    return Disclosure(
        field, salt, clear, ENTRY, InclusionProof(index, tuple(inclusion_proof(index, len(LEAVES), read)), head)
    )


def holds(content: bytes) -> bool:
    """Say whether a file shows what it is meant to: what `audit check` asks, with the key."""
    try:
        found = Disclosure.parse(content)
        found.entry()
        found.proof.check(found.content, [KEY.verifier])
    except (DisclosureInvalid, ProofInvalid, NoteInvalid):
        return False
    return True


def test_a_file_is_read_as_it_is_written_and_holds() -> None:
    made = disclosure()
    assert Disclosure.parse(made.encode()) == made
    assert holds(made.encode())
    assert (made.text, made.entry().draft.type) == (TEXT, "query.recorded")
    assert made.proof.lead(made.content).size == len(LEAVES)


def test_any_changed_byte_of_it_is_found() -> None:
    content = disclosure().encode()
    blanks = {place for place, byte in enumerate(content) if byte in b" \n"}
    for place in range(len(content)):
        for byte in {content[place] ^ 1, content[place] ^ 32, ord("0"), ord("A")} - {content[place]}:
            changed = content[:place] + bytes([byte]) + content[place + 1 :]
            same = place in blanks and byte in b" \n\r\t" and json.loads(changed) == json.loads(content)
            assert same or not holds(changed), (place, content[place : place + 1], bytes([byte]))


@given(st.sampled_from(["field", "salt", "clear", "entry_bytes", "proof", "format"]), st.data())
def test_no_part_can_be_that_of_another_file(part: str, data: st.DataObject) -> None:
    content = json.loads(disclosure().encode())
    content[part] = data.draw(st.text(max_size=20) | st.just(content["salt" if part != "salt" else "clear"]))
    assert not holds(json.dumps(content).encode())


def test_a_line_rule_is_one_of_many() -> None:
    committed = commitment(SALT, RULE)
    assert holds(disclosure(f"rules_c:{committed}", RULE).encode())
    assert not holds(disclosure(f"rules_c:{commitment(SALT, b'x')}", RULE).encode())
    assert not holds(disclosure("text_c", RULE).encode())
    assert not holds(disclosure("text_c", TEXT.encode(), bytes(16)).encode())


def test_only_what_is_a_commitment_is_one() -> None:
    entry = entry_of(ENTRY)
    assert not is_committed(entry, "plan", "evaluate")
    assert not is_committed(entry, "source", "files")
    assert not is_committed(entry, "reason_c", commitment(SALT, TEXT.encode()))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"{}", b'{"format":1}', b"\xff", b"[" * 100_000, b'{"format":"loglease/disclosure/1"}',
        b"{" + b" " * (4 << 20) + b"}",
    ],
)  # fmt: skip
def test_other_files_are_none(content: bytes) -> None:
    with pytest.raises(DisclosureInvalid):
        Disclosure.parse(content)


def test_a_name_that_occurs_twice_is_refused() -> None:
    content = disclosure().encode()
    twice = content.replace(b'"field": "text_c"', b'"field": "x_c", "field": "text_c"')
    assert json.loads(twice) == json.loads(content)
    assert not holds(twice)
