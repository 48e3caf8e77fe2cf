from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store import values
from tests.store.fixtures import opened
from tests.volume import volume

from loglease.model.access_request import AccessRequest
from loglease.model.grant import Grant
from loglease.model.limits import Limits
from loglease.model.principal import Principal
from loglease.model.proposal import Proposal, ProposalReview, StoredBundle
from loglease.model.review import Review
from loglease.store import answers, grants, principals, requests, reviews
from loglease.store.document import Codec
from loglease.store.errors import DocumentInvalid
from loglease.store.interface import Transaction


@pytest.mark.volume
@pytest.mark.parametrize(
    ("codec", "strategy"),
    [
        (Codec(AccessRequest), values.requests),
        (Codec(Grant), values.grants),
        (Codec(Review), values.reviews),
        (Codec(Proposal), values.proposals),
        (Codec(ProposalReview), values.proposal_reviews),
        (Codec(StoredBundle), values.bundles),
        (Codec(Principal), values.principals),
        (answers._CODEC, values.revocations),
    ],
    ids=["request", "grant", "review", "proposal", "proposal review", "bundle", "principal", "revocation"],
)
def test_a_value_comes_back_from_its_document(codec: Codec[Any], strategy: st.SearchStrategy[Any]) -> None:
    @settings(max_examples=volume(20, 40), deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def law(value: Any) -> None:
        assert codec.unpack(codec.pack(value)) == value

    law()


Stored = Callable[[Transaction, Any], Any]


def in_order(*steps: Callable[[Transaction, Any], object]) -> Stored:
    def run(tx: Transaction, one: Any) -> None:
        for step in steps:
            step(tx, one)

    return run


ROUND_TRIPS: Mapping[str, tuple[st.SearchStrategy[Any], Stored, Stored]] = {
    "requests": (
        values.requests,
        lambda tx, one: tx.requests.insert(one),
        lambda tx, one: tx.requests.find(one.id),
    ),
    "grants": (
        values.grants,
        in_order(
            lambda tx, one: tx.requests.insert(values.request(id=one.request)), lambda tx, one: tx.grants.insert(one)
        ),
        lambda tx, one: tx.grants.find(one.id),
    ),
    "sessions": (
        values.sessions(),
        in_order(
            lambda tx, _: tx.requests.insert(values.request()),
            lambda tx, one: tx.grants.insert(values.grant(id=one.grant)),
            lambda tx, one: tx.sessions.insert(one),
        ),
        lambda tx, one: tx.sessions.find(one.id),
    ),
    "tokens": (values.tokens, lambda tx, one: tx.tokens.insert(one), lambda tx, one: tx.tokens.by_lookup(one.lookup)),
    "locks": (values.locks, lambda tx, one: tx.holds.insert_lock(one), lambda tx, one: tx.holds.find_lock(one.id)),
    "principals": (
        values.principals,
        lambda tx, one: tx.principals.insert(one),
        lambda tx, one: tx.principals.by_account(one.issuer, one.account),
    ),
    "reviews": (
        values.reviews,
        in_order(
            lambda tx, one: tx.requests.insert(values.request(id=one.request)), lambda tx, one: tx.reviews.insert(one)
        ),
        lambda tx, one: tx.reviews.of_request(one.request)[0],
    ),
    "revocations": (
        values.revocations,
        lambda tx, one: tx.revocations.insert(one),
        lambda tx, one: tx.revocations.find(one.id),
    ),
}


class Undo(Exception):
    """Leaves the store as it was."""


@pytest.mark.volume
@pytest.mark.parametrize("aggregate", ROUND_TRIPS)
def test_every_aggregate_comes_back_from_its_rows(aggregate: str, tmp_path: Path) -> None:
    strategy, insert, find = ROUND_TRIPS[aggregate]
    store = opened(tmp_path)

    @settings(max_examples=volume(20, 40), deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def law(value: Any) -> None:
        def body(_: object, transaction: Transaction) -> None:
            insert(transaction, value)
            assert find(transaction, value) == value
            raise Undo

        with pytest.raises(Undo):
            store._writer.run(body)  # on this thread, so that Hypothesis needs no event loop

    try:
        law()
    finally:
        store.close()


@dataclass(frozen=True)
class Sample:
    number: int
    name: str | None = None
    more: tuple[int, ...] = (7,)


def test_absent_fields_have_their_defaults_and_unknown_ones_are_refused() -> None:
    codec = Codec(Sample)
    assert codec.unpack('{"number":1}') == Sample(1)
    for document in (
        '{"number":1,"new":2}',
        "{}",
        '{"number":"1"}',
        '{"number":true}',
        "[]",
        "nothing",
        '{"number":1.5}',
    ):
        with pytest.raises(DocumentInvalid):
            codec.unpack(document)


def test_a_form_that_documents_cannot_hold_is_refused_at_once() -> None:
    @dataclass
    class Strange:
        value: complex

    @dataclass
    class Choice:
        value: int | str

    for cls in (Strange, Choice, int):
        with pytest.raises((TypeError, NameError)):
            Codec(cls)


def test_what_moves_is_not_in_the_document() -> None:
    assert '"state"' not in requests._CODEC.pack(values.request())
    assert '"usage"' not in grants._CODEC.pack(values.grant())
    assert '"narrowed"' not in reviews._CODEC.pack(values.review())
    assert '"email"' not in principals._CODEC.pack(values.principal())


def test_a_codec_that_remembers_gives_each_text_its_own_value_and_each_row_its_own_columns() -> None:
    codec = Codec(Limits, columns=frozenset({"tails"}), remembers=2)
    limits = [Limits(lines=lines, tails=tails) for tails in (1, 2) for lines in (1, 2, 3)]
    for one in limits * 2:
        assert codec.unpack(codec.pack(one), tails=one.tails) == one
    for _ in range(2):
        with pytest.raises(DocumentInvalid):
            codec.unpack('{"lines":"many"}', tails=1)
