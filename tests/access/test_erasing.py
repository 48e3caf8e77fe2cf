"""Erasing: two administrators, nothing unfinished, nothing under a hold; and then it is gone from everywhere."""

from __future__ import annotations

import hashlib
import hmac
import itertools
from typing import Any

import orjson
import pytest
from tests.access.erasure import ERIN, FRANK, bytes_of, decided, disabled, fresh, proposed
from tests.access.journey import reviewed, revoke_grant, submitted
from tests.fakes.world import World, caller, principal

from loglease.access.acts import act_view, who_may_approve
from loglease.access.cancel_request import cancel_request
from loglease.access.erasing import propose_erasure
from loglease.access.errors import (
    DigestMismatch,
    NoEligibleApprover,
    NotFound,
    NotPermitted,
    PreconditionRequired,
    ReasonRequired,
    ReviewerNotEligible,
    ReviewerNotHuman,
    SamePerson,
    SelfReview,
    StepUpRequired,
    StillNeeded,
    UnderHold,
)
from loglease.access.legal_holds import release_hold, set_hold
from loglease.access.notices import TellingLog, Ways
from loglease.access.open_session import open_session
from loglease.access.private_texts import forgetting, texts_of
from loglease.access.pruning import Retention
from loglease.access.review_act import review_act, withdraw_act
from loglease.audit.checking import check_log
from loglease.model.act import OPEN_S, Act
from loglease.model.errors import InvalidField, ProposalNotPending
from loglease.model.instant import Instant, Interval
from loglease.model.principal import Kind, Role
from loglease.model.proposal import ProposalState
from loglease.model.review import Verdict
from loglease.model.session import Front, SessionKind
from loglease.store.interface import Transaction

ALICE = principal("alice")
TYPED = {
    "reason": "canary-reason of alice",
    "ticket": "CANARY-TICKET-1",
    "literal": "canary-literal of alice",
    "query": '|= "canary-query of alice"',
}
THEIRS = "canary-comment of bob"


@pytest.fixture
async def office(world: World) -> World:
    """A world with a second administrator, in which alice has asked, read and was revoked."""
    await world.add(FRANK)
    world.log.on_committed(forgetting(world.vault))
    request = await submitted(world, reason=TYPED["reason"], ticket=TYPED["ticket"], contains=(TYPED["literal"],))
    grant = (await reviewed(world, request, comment=THEIRS)).grant
    assert grant is not None
    await open_session(
        grant.id,
        kind=SessionKind.QUERY,
        front=Front.PLAIN,
        query=TYPED["query"],
        interval=Interval(0, world.clock.wall * 1_000),
        limit=10,
        replica="node",
        caller=caller(ALICE, world.clock.now()),
        log=world.log,
        rules=world.rules,
        new_id=world.new_id,
        random=world.random,
    )
    await revoke_grant(world, grant.id)
    await cancel_request(
        (await submitted(world, app="web-two", reason=TYPED["reason"])).id,
        caller=caller(ALICE, world.clock.now()),
        log=world.log,
        new_id=world.new_id,
    )
    return world


def recording(world: World) -> dict[str, Any]:
    return {"log": world.log, "new_id": world.new_id}


async def all_entries(world: World) -> list[tuple[int, bytes, bytes]]:
    return [(one.index, one.content, one.leaf) for one in await world.store.read(lambda tx: tx.entries.since(0))]


async def of_type(world: World, *types: str) -> list[dict[str, Any]]:
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=frozenset(types)))
    return [orjson.loads(row.content) for row in rows]


async def everything_private(world: World) -> dict[tuple[str, str], str]:
    def query(tx: Transaction) -> dict[tuple[str, str], str]:
        ids = [orjson.loads(one.content)["id"] for one in tx.entries.since(0)]
        return {(one, path): text for one in ids for path, text in texts_of(tx, one, world.vault).items()}

    return await world.store.read(query)


@pytest.mark.sqlite
async def test_a_subject_is_erased_from_every_file_and_every_proof_still_holds(office: World) -> None:
    before, texts = await all_entries(office), await everything_private(office)
    for text in TYPED.values():
        assert text.encode() in bytes_of(office) or text in "".join(texts.values())
    assert ALICE.subject.encode() in bytes_of(office)
    await disabled(office, "alice")

    done = await decided(office, await proposed(office, subject=ALICE.subject))
    assert done.state is ProposalState.ACCEPTED
    assert await office.store.wipe()

    (erased,) = await of_type(office, "subject.erased")
    mine = [text for text in texts.values() if text != THEIRS and "canary" in text.lower()]
    assert len(mine) >= 5
    assert erased["actor"] == ERIN.subject
    assert erased["data"]["approved_by"] == FRANK.subject
    assert erased["data"]["subject"] == ALICE.subject
    assert erased["data"]["fields"] >= len(mine)
    content = bytes_of(office)
    for text in TYPED.values():
        assert text.encode() not in content, text
    for name in (ALICE.account, ALICE.name):
        assert f'"{name}"'.encode() not in content
    assert THEIRS.encode() in content, "what others wrote stays"

    after = await all_entries(office)
    assert after[: len(before)] == before, "not a byte of an entry changed"
    await check_log(office.store)
    left = await everything_private(office)
    assert not {key for key, text in texts.items() if text in TYPED.values()} & left.keys()
    assert THEIRS in left.values()


@pytest.mark.sqlite
async def test_no_commitment_of_an_erased_subject_can_be_guessed(office: World) -> None:
    """Who has all files and the master key tries each 16 bytes that are left as salt, with the very text."""
    commitments = {
        value
        for entry in await of_type(office, "request.submitted", "query.recorded")
        for name, value in entry["data"].items()
        if name in ("reason_c", "ticket_c", "text_c")
    }
    assert len(commitments) == 4
    rules = {
        one for entry in await of_type(office, "request.submitted") for one in entry["data"]["scopes"][0]["rules_c"]
    }
    rule = f"contains={TYPED['literal']}"
    assert rules & _with_secrets(bytes_of(office), rule), "a secret of the request gives salts of its line rules away"
    await disabled(office, "alice")
    await decided(office, await proposed(office, subject=ALICE.subject))
    await office.store.wipe()
    content = bytes_of(office)
    salts = {content[at : at + 16] for at in range(len(content) - 15)}
    salts |= {bytes.fromhex(one.decode()) for one in _hexes(content, 32)}
    for text in TYPED.values():
        found = {hashlib.sha256(salt + text.encode()).hexdigest() for salt in salts}
        assert not found & commitments
    assert not rules & _with_secrets(content, rule)


def _with_secrets(content: bytes, rule: str) -> set[str]:
    """Return the commitments to a line rule that any 32 bytes written in hexadecimal digits give as a secret."""
    secrets = {bytes.fromhex(one.decode()) for one in _hexes(content, 64)}
    salts = (hmac.digest(secret, f"rule:{rule}".encode(), "sha256")[:16] for secret in secrets)
    return {hashlib.sha256(salt + rule.encode()).hexdigest() for salt in salts}


def _hexes(content: bytes, size: int) -> set[bytes]:
    digits = frozenset(b"0123456789abcdef")
    runs = (bytes(run) for is_hex, run in itertools.groupby(content, key=lambda one: one in digits) if is_hex)
    return {run[at : at + size] for run in runs for at in range(len(run) - size + 1)}


async def test_what_the_state_machine_needs_still_reads(office: World) -> None:
    await disabled(office, "alice")
    await decided(office, await proposed(office, subject=ALICE.subject))

    def query(tx: Transaction) -> None:
        requests = tx.requests.page()
        assert len(requests) == 2
        for one in requests:
            assert one.wish.reason == "[erased]"
            assert not one.private
            assert hashlib.sha256(one.terms_bytes).hexdigest() == one.digest, "reviews are still bound to it"
        (first, *_) = [one for one in requests if one.wish.ticket is not None]
        assert first.wish.ticket == "[erased]"
        assert all(scope.contains == ("[erased]",) for scope in (*first.wish.scopes, *first.terms.scopes))
        grant = tx.grants.of_request(first.id)
        assert grant is not None
        assert (grant.key_salt, grant.shared_salt) == (b"", None), "so nobody derives the key of its pseudonyms"
        (review,) = tx.reviews.of_request(first.id)
        assert review.comment == THEIRS
        found = tx.principals.find(ALICE.id)
        assert found is not None
        assert (found.name, found.email, found.enabled, found.groups) == ("[erased]", None, False, frozenset())
        assert found.subject != ALICE.subject
        assert tx.principals.by_account(ALICE.issuer, ALICE.account) is None
        assert list(tx.erasures.principals_of(ALICE.subject)) == []

    await office.store.read(query)


async def test_one_text_of_one_entry_is_erased_with_its_copies(office: World) -> None:
    (entry, *_) = await of_type(office, "request.submitted")
    before = await everything_private(office)
    act = await proposed(office, entry=entry["id"], path="ticket_c")
    await decided(office, act)
    await office.store.wipe()
    assert TYPED["ticket"].encode() not in bytes_of(office)
    left = await everything_private(office)
    assert before.keys() - left.keys() == {(entry["id"], "ticket_c")}
    assert left[(entry["id"], "reason_c")] == TYPED["reason"]
    (erased,) = await of_type(office, "subject.erased")
    assert erased["data"] == {"subject": ALICE.subject, "fields": 1, "approved_by": FRANK.subject}
    with pytest.raises(NotFound):
        await proposed(office, entry=entry["id"], path="ticket_c")


@pytest.mark.answers_lost("erasing.propose_erasure")
async def test_what_an_approver_wrote_is_erased_on_its_own(office: World) -> None:
    (entry,) = await of_type(office, "review.given")
    await decided(office, await proposed(office, entry=entry["id"], path="comment_c"))
    await office.store.wipe()
    assert THEIRS.encode() not in bytes_of(office)
    assert TYPED["reason"] in (await everything_private(office)).values()


@pytest.mark.parametrize("path", ["reason_c", "text_c", "rules_c"])
async def test_a_reason_a_query_and_a_line_rule_can_be_erased(office: World, path: str) -> None:
    text = {"reason_c": TYPED["reason"], "text_c": TYPED["query"], "rules_c": TYPED["literal"]}[path]
    texts = await everything_private(office)
    places = [key for key, one in texts.items() if key[1].partition(":")[0] == path and text in one]
    assert places
    assert TYPED["literal"] not in "".join(place for _, place in texts), "a place does not give its text away"
    for entry, field in places:
        await decided(office, await proposed(office, entry=entry, path=field))
    await office.store.wipe()
    assert text.encode() not in bytes_of(office)


async def test_nothing_unfinished_is_erased(world: World) -> None:
    await world.add(FRANK)
    with pytest.raises(StillNeeded, match="can still sign in"):
        await proposed(world, subject=ALICE.subject)
    request = await submitted(world)
    await disabled(world, "alice")
    with pytest.raises(StillNeeded, match="request that waits"):
        await proposed(world, subject=ALICE.subject)
    (entry,) = await of_type(world, "request.submitted")
    with pytest.raises(StillNeeded, match="waits for a decision"):
        await proposed(world, entry=entry["id"], path="reason_c")
    await world.change(ALICE)
    grant = (await reviewed(world, request)).grant
    assert grant is not None
    await disabled(world, "alice")
    with pytest.raises(StillNeeded, match="grant that is not over"):
        await proposed(world, subject=ALICE.subject)
    with pytest.raises(StillNeeded, match="is not over"):
        await proposed(world, entry=entry["id"], path="reason_c")
    await disabled(world, "bob", groups=("engineering", "approvers"))
    with pytest.raises(StillNeeded, match="that they approved"):
        await proposed(world, subject=principal("bob").subject)
    await revoke_grant(world, grant.id)
    assert (await decided(world, await proposed(world, subject=ALICE.subject))).state is ProposalState.ACCEPTED


async def test_what_came_in_between_is_looked_at_again(office: World) -> None:
    await disabled(office, "alice")
    act = await proposed(office, subject=ALICE.subject)
    await office.change(ALICE)
    with pytest.raises(StillNeeded):
        await decided(office, act)
    found = await office.store.read(lambda tx: tx.acts.find(act.id))
    assert found is not None
    assert found.state is ProposalState.PENDING
    assert await of_type(office, "subject.erased", "act.reviewed") == []
    await disabled(office, "alice")
    hold = await set_hold(
        from_at=Instant(0), to_at=office.clock.now(), reason="case 7", caller=fresh(office, ERIN), **recording(office)
    )
    with pytest.raises(UnderHold, match=hold.id):
        await decided(office, act)
    await release_hold(hold.id, caller=fresh(office, FRANK), log=office.log, new_id=office.new_id)
    await decided(office, act)


async def test_a_hold_covers_what_was_recorded_in_its_time_alone(office: World) -> None:
    (entry, *_) = await of_type(office, "request.submitted")
    office.clock.advance(3_600)
    later = office.clock.now()
    past = {"to_at": Instant(later + 10**9), "reason": "case 7", "caller": fresh(office, ERIN), **recording(office)}
    await set_hold(from_at=later, **past)
    await disabled(office, "alice")
    await proposed(office, subject=ALICE.subject)
    await proposed(office, entry=entry["id"], path="reason_c")
    await set_hold(from_at=Instant(later - 3_600_000_000), **past)
    with pytest.raises(UnderHold):
        await proposed(office, subject=ALICE.subject)
    with pytest.raises(UnderHold):
        await proposed(office, entry=entry["id"], path="reason_c")


@pytest.fixture
async def waiting(office: World) -> Act:
    await disabled(office, "alice")
    return await proposed(office, subject=ALICE.subject)


TWIN = principal("erin-two", person="per_erin", roles=(Role.ADMIN,))
BOT = principal("robot", kind=Kind.SERVICE, person="per_frank", roles=(Role.ADMIN,))


async def test_nobody_approves_their_own_act_and_nobody_without_the_role(office: World, waiting: Act) -> None:
    await office.add(TWIN, BOT, principal("oscar", roles=(Role.AUDITOR,)))
    with pytest.raises(SelfReview):
        await decided(office, waiting, by=ERIN)
    with pytest.raises(SamePerson):
        await decided(office, waiting, by=TWIN)
    with pytest.raises(ReviewerNotHuman):
        await decided(office, waiting, by=BOT)
    with pytest.raises(ReviewerNotEligible):
        await decided(office, waiting, by=principal("oscar", roles=(Role.AUDITOR,)))
    with pytest.raises(NotPermitted):
        await decided(office, waiting, by=principal("carol", groups=("engineering", "approvers")))
    assert await of_type(office, "subject.erased", "act.reviewed") == []


async def test_an_approval_is_bound_to_what_was_shown_and_fresh(office: World, waiting: Act) -> None:
    with pytest.raises(PreconditionRequired):
        await decided(office, waiting, digest=None)
    with pytest.raises(DigestMismatch):
        await decided(office, waiting, digest="0" * 64)
    stale = caller(FRANK, office.clock.now())
    office.clock.advance(16 * 60)
    with pytest.raises(StepUpRequired):
        await decided(office, waiting, caller=stale)
    office.clock.advance(OPEN_S)
    with pytest.raises(ProposalNotPending):
        await decided(office, waiting)


async def test_a_denial_ends_it_and_the_record_has_all_of_it(office: World, waiting: Act) -> None:
    with pytest.raises(ReasonRequired):
        await decided(office, waiting, verdict=Verdict.DENY, comment="")
    await decided(office, waiting, verdict=Verdict.DENY, comment="she did not ask")
    with pytest.raises(ProposalNotPending):
        await decided(office, waiting)
    acts = await of_type(office, "act.proposed", "act.reviewed", "act.withdrawn", "subject.erased")
    assert [(one["type"], one["actor"], one["ref"]) for one in acts] == [
        ("act.proposed", ERIN.subject, {"proposal": waiting.id}),
        ("act.reviewed", FRANK.subject, {"proposal": waiting.id}),
    ]
    assert {one["data"]["digest_sha256"] for one in acts} == {waiting.digest}
    assert await office.store.read(lambda tx: tx.erasures.texts_of(ALICE.subject)) > 0


async def test_the_other_administrators_hear_of_it_and_then_its_author(office: World) -> None:
    await disabled(office, "alice")
    log = TellingLog(office.log, rules=lambda: office.rules, ways=Ways(email=True), new_id=office.new_id)
    who = {"caller": fresh(office, ERIN), "vault": office.vault, "new_id": office.new_id, "random": office.random}
    act = await propose_erasure(subject=ALICE.subject, comment="she asked", log=log, **who)

    def waiting(tx: Transaction) -> list[tuple[str, str]]:
        return [(one.event, one.recipient) for one in tx.outbox.page(limit=50)]

    assert await office.store.read(waiting) == [("act.proposed", FRANK.id)]
    assert await office.store.read(lambda tx: who_may_approve(tx, act, office.clock.now())) == {FRANK.id}
    await review_act(
        act.id,
        verdict=Verdict.APPROVE,
        digest=act.digest,
        retention=Retention(None),
        log=log,
        **(who | {"caller": fresh(office, FRANK)}),
    )
    assert ("act.reviewed", ERIN.id) in await office.store.read(waiting)
    assert await office.store.read(lambda tx: who_may_approve(tx, act, office.clock.now())) == {FRANK.id}
    found = await office.store.read(lambda tx: tx.acts.find(act.id))
    assert found is not None
    assert await office.store.read(lambda tx: who_may_approve(tx, found, office.clock.now())) == frozenset()


@pytest.mark.answers_lost("review_act.withdraw_act")
async def test_only_its_author_withdraws_it(office: World, waiting: Act) -> None:
    with pytest.raises(NotPermitted):
        await withdraw_act(waiting.id, caller=fresh(office, FRANK), log=office.log, new_id=office.new_id)
    for _ in range(2):
        done = await withdraw_act(waiting.id, caller=fresh(office, ERIN), log=office.log, new_id=office.new_id)
        assert done.state is ProposalState.WITHDRAWN
    assert len(await of_type(office, "act.withdrawn")) == 1
    with pytest.raises(ProposalNotPending):
        await decided(office, waiting)


async def test_who_may_propose_what(office: World) -> None:
    with pytest.raises(NotPermitted):
        await proposed(office, by=principal("carol", groups=("engineering", "approvers")), subject=ALICE.subject)
    with pytest.raises(NotFound):
        await proposed(office, subject="sub_nobody")
    with pytest.raises(NotFound):
        await proposed(office, subject="system")
    with pytest.raises(NotFound):
        await proposed(office, entry="ent_nothing", path="reason_c")
    for wrong in ({}, {"subject": "x", "entry": "y", "path": "z"}, {"entry": "y"}):
        with pytest.raises(InvalidField):
            await proposed(office, **wrong)
    await disabled(office, "alice")
    with pytest.raises(ReasonRequired):
        await proposed(office, subject=ALICE.subject, comment=" ")
    await disabled(office, "frank", roles=(Role.ADMIN,))
    with pytest.raises(NoEligibleApprover):
        await proposed(office, subject=ALICE.subject)


async def test_an_erased_administrator_leaves_no_text_of_an_act(office: World, waiting: Act) -> None:
    grace = principal("grace", roles=(Role.ADMIN,))
    await office.add(grace)
    await decided(office, waiting, comment="canary-answer of frank")
    await disabled(office, "frank", roles=(Role.ADMIN,))
    await decided(office, await proposed(office, subject=FRANK.subject), by=grace)
    await office.store.wipe()
    assert b"canary-answer of frank" not in bytes_of(office)
    view = await office.store.read(
        lambda tx: act_view(tx, fresh(office, ERIN), tx.acts.find(waiting.id) or waiting, office.clock.now())
    )
    assert (view.state, view.act.answer, view.about, view.may_review) == (
        ProposalState.ACCEPTED,
        "[erased]",
        None,
        False,
    )


async def test_a_live_grant_of_others_goes_on(office: World, waiting: Act) -> None:
    await office.add(principal("dora"))
    request = await submitted(office, by="dora", reason="canary of dora")
    grant = (await reviewed(office, request)).grant
    assert grant is not None
    await decided(office, waiting)
    found = await office.store.read(lambda tx: tx.grants.find(grant.id))
    assert found is not None
    assert found == grant
    assert "canary of dora" in (await everything_private(office)).values()
