"""Values for store tests: one valid example of each aggregate, and strategies that reach every field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from loglease.model.access_request import AccessRequest, RequestState, Wish
from loglease.model.after_review import AfterOpinion, AfterReview, AfterState, AfterVerdict
from loglease.model.grant import EndWhy, Grant, GrantState, Usage
from loglease.model.hold import Lock, LockKind, LockOn, SuspendCause, Suspension
from loglease.model.ids import (
    GrantId,
    LockId,
    PersonId,
    PrincipalId,
    ProposalId,
    RequestId,
    ReviewId,
    RevocationId,
    SessionId,
    SubjectId,
    TokenId,
)
from loglease.model.instant import EventWindow, Instant
from loglease.model.labels import Matcher, Selector, matcher_of, selector_of
from loglease.model.limits import Limits
from loglease.model.offer import AfterPlan, Joint, Offer, Outcome, Plan, Shape, Slots, Stage, Terms
from loglease.model.principal import Kind, Principal, Role
from loglease.model.proposal import Proposal, ProposalReview, ProposalState, ProposedChange, StoredBundle
from loglease.model.review import Channel, Review, Verdict
from loglease.model.rights import Right
from loglease.model.scope import Level, Scope
from loglease.model.session import Account, CloseWhy, Front, Session, SessionKind, SessionState
from loglease.store.interface import RevocationRow, StoredToken

NOW = Instant(1_796_000_000_000_000)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text("abcxyz⟨é😀:/ ", min_size=1, max_size=6)
instants = st.integers(0, 2**52).map(Instant)
counts = st.integers(1, 2**40)


def ids(prefix: str) -> st.SearchStrategy[str]:
    return st.integers(0, 10**9).map(lambda number: f"{prefix}_{number:026d}")


@st.composite
def matchers(draw: st.DrawFn) -> Matcher:
    parts = {part: draw(st.sets(names, max_size=3)) for part in ("exact", "prefixes", "except_exact")}
    found = matcher_of(**parts, any_value=draw(st.booleans()))
    return found if found is not None else Matcher(any_value=True)


selectors: st.SearchStrategy[Selector] = st.dictionaries(names, matchers(), max_size=3).map(selector_of)
windows = st.builds(
    lambda start, length: EventWindow(start, None if length is None else start + length),
    st.integers(0, 2**62),
    st.none() | counts,
)
scopes = st.builds(
    Scope,
    source=names,
    selector=selectors,
    window=windows,
    level_from=st.none() | st.sampled_from(Level),
    contains=st.lists(names.filter(lambda name: "⟦" not in name), max_size=2).map(tuple),
    profile=st.none() | names,
)
limits = st.builds(Limits, **{name: st.none() | counts for name in ("lines", "bytes", "subjects", "queries", "tails")})
terms = st.builds(Terms, scopes=st.lists(scopes, min_size=1, max_size=2).map(tuple), duration_s=counts, limits=limits)
slots = st.builds(Slots, approvers=st.lists(names, max_size=3).map(tuple), need=st.integers(1, 5))
stages = st.builds(Stage, blocks=st.lists(slots, max_size=3).map(tuple), joint=st.sampled_from(Joint))
plans = st.builds(Plan, origin=names, stages=st.lists(stages, max_size=3).map(tuple))
shapes = st.builds(
    Shape,
    activate_within_s=counts,
    review_within_s=counts,
    single_use=st.booleans(),
    idle_timeout_s=st.none() | counts,
)
after_plans = st.builds(
    AfterPlan,
    plans=st.lists(plans, min_size=1, max_size=2).map(tuple),
    within_s=counts,
    escalate_to=st.lists(names, max_size=2).map(tuple),
)
offers = st.builds(
    Offer,
    number=st.integers(1, 9),
    policy=names,
    rule=texts,
    outcome=st.sampled_from(Outcome),
    plans=st.lists(plans, max_size=2).map(tuple),
    terms=terms,
    shape=shapes,
    bundle_sha256=st.just("a" * 64),
    revision=counts,
    after=st.none() | after_plans,
)
wishes = st.builds(
    Wish,
    scopes=st.lists(scopes, max_size=2).map(tuple),
    reason=texts,
    ticket=st.none() | texts,
    duration_s=st.none() | counts,
    limits=limits,
    break_glass=st.booleans(),
)
requests = st.builds(
    AccessRequest,
    id=ids("req"),
    requester=ids("prn"),
    subject=ids("sub"),
    persons=st.frozensets(ids("per"), max_size=3),
    wish=wishes,
    offer=offers,
    eligible=st.frozensets(ids("prn"), max_size=3),
    terms_bytes=st.binary(max_size=20),
    digest=st.just("b" * 64),
    private=st.dictionaries(names, st.tuples(texts, texts), max_size=2),
    submitted_at=instants,
    expires_at=instants,
)
grants = st.builds(
    Grant,
    id=ids("grt"),
    request=ids("req"),
    holder=ids("prn"),
    policy=names,
    basis=st.sampled_from(Outcome),
    reviews=st.lists(ids("rev"), max_size=3).map(tuple),
    terms=terms,
    shape=shapes,
    digest=st.just("c" * 64),
    scheduled_at=instants,
    activate_by=instants,
    key_salt=st.binary(min_size=32, max_size=32),
    epoch=st.integers(1, 9),
)
reviews = st.builds(
    Review,
    id=ids("rev"),
    request=ids("req"),
    reviewer=ids("prn"),
    person=ids("per"),
    verdict=st.sampled_from(Verdict),
    digest=st.just("d" * 64),
    given_at=instants,
    channel=st.sampled_from(Channel),
    comment=texts,
    narrowed=st.none() | terms,
)
proposals = st.builds(
    Proposal,
    id=ids("prp"),
    author=ids("prn"),
    subject=ids("sub"),
    persons=st.frozensets(ids("per"), min_size=1, max_size=3),
    comment=texts,
    files=st.dictionaries(names, texts, max_size=3),
    bundle_sha256=texts,
    base_revision=counts,
    base_sha256=texts,
    changes=st.lists(
        st.builds(ProposedChange, verdict=names, kind=names, document=names, text=texts, at=st.none() | names),
        max_size=3,
    ).map(tuple),
    verdict=names,
    needed=counts,
    proposed_at=instants,
    state=st.sampled_from(ProposalState),
    decided_at=st.none() | instants,
    decided_by=st.none() | ids("prn"),
    revision=st.none() | counts,
    version=counts,
)
proposal_reviews = st.builds(
    ProposalReview,
    id=ids("rev"),
    proposal=ids("prp"),
    reviewer=ids("prn"),
    subject=ids("sub"),
    person=ids("per"),
    verdict=st.sampled_from(Verdict),
    digest=texts,
    given_at=instants,
    channel=st.sampled_from(Channel),
    comment=texts,
)
bundles = st.builds(
    StoredBundle,
    revision=counts,
    bundle_sha256=texts,
    files=st.dictionaries(names, texts, max_size=3),
    loaded_at=instants,
    proposal=st.none() | ids("prp"),
)
principals = st.builds(
    Principal,
    id=ids("prn"),
    issuer=names,
    account=names,
    kind=st.sampled_from(Kind),
    person=ids("per"),
    subject=ids("sub"),
    name=texts,
    email=st.none() | texts,
    groups=st.frozensets(names, max_size=3),
    roles=st.frozensets(st.sampled_from(Role)),
    suspected=st.frozensets(ids("per"), max_size=2),
    enabled=st.booleans(),
)
tokens = st.builds(
    StoredToken,
    id=ids("tok"),
    kind=st.sampled_from(["llp", "lls", "lla", "llr", "llg", "llv", "llw"]),
    principal=ids("prn"),
    lookup=names,
    secret_sha256=st.binary(min_size=32, max_size=32),
    rights=st.frozensets(st.sampled_from(Right)),
    created_at=instants,
    expires_at=instants,
    epoch=st.integers(1, 9),
    label=texts,
    chain=st.none() | names,
    signed_in_at=st.none() | instants,
    grant=st.none() | ids("grt"),
    spent_at=st.none() | instants,
    revoked_at=st.none() | instants,
    last_used_at=st.none() | instants,
)
things = st.one_of(
    st.just(LockOn(LockKind.EVERYTHING)),
    st.builds(LockOn, st.sampled_from([kind for kind in LockKind if kind is not LockKind.EVERYTHING]), names),
)
locks = st.builds(
    Lock,
    id=ids("lck"),
    on=things,
    reason=texts,
    added_by=ids("prn"),
    added_at=instants,
    until=st.none() | instants,
    lifted_at=st.none() | instants,
    lifted_by=st.none() | ids("prn"),
)
revocations = st.builds(
    RevocationRow,
    id=ids("rvk"),
    on=things,
    grants=st.lists(ids("grt"), max_size=3).map(tuple),
    by=ids("prn"),
    at=instants,
    reason=texts,
)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    closed = draw(st.booleans())
    settled = (draw(counts), draw(counts))
    return Session(
        id=SessionId(draw(ids("ses"))),
        grant=GrantId(draw(ids("grt"))),
        principal=PrincipalId(draw(ids("prn"))),
        kind=draw(st.sampled_from(SessionKind)),
        front=draw(st.sampled_from(Front)),
        replica=draw(names),
        opened_at=draw(instants),
        epoch=draw(st.integers(1, 9)),
        state=SessionState.CLOSED if closed else draw(st.sampled_from(list(SessionState)[:3])),
        closed_at=draw(instants) if closed else None,
        why=draw(st.none() | st.sampled_from(CloseWhy)),
        account=Account(
            ceiling_lines=settled[0] + draw(st.integers(0, 256)),
            ceiling_bytes=settled[1] + draw(st.integers(0, 65_536)),
            settled_lines=settled[0],
            settled_bytes=settled[1],
            seq=draw(st.integers(0, 99)),
        ),
    )


def scope(source: str = "files") -> Scope:
    return Scope(
        source=source,
        selector=selector_of({"app": Matcher(exact=frozenset({"pay"}))}),
        window=EventWindow(1, None),
        profile="pii-default@1",
    )


def request(number: int = 1, **changes: Any) -> AccessRequest:
    offer = Offer(
        number=1,
        policy="payments",
        rule="one approval",
        outcome=Outcome.REVIEW,
        plans=(),
        terms=Terms(
            scopes=(scope(),), duration_s=600, limits=Limits(lines=100, bytes=1_000, subjects=1_200, queries=5)
        ),
        shape=Shape(activate_within_s=3_600, review_within_s=3_600),
        bundle_sha256="a" * 64,
        revision=1,
    )
    found = AccessRequest(
        id=RequestId(f"req_{number:026d}"),
        requester=PrincipalId("prn_dave"),
        subject=SubjectId("sub_dave"),
        persons=frozenset({PersonId("per_dave")}),
        wish=Wish(scopes=(scope(),), reason="why not"),
        offer=offer,
        eligible=frozenset({PrincipalId("prn_ivo")}),
        terms_bytes=b"{}",
        digest="b" * 64,
        private={"reason_c": ("00" * 16, "why not")},
        submitted_at=NOW,
        expires_at=Instant(NOW + 1_000),
    )
    return replace(found, **changes)


def grant(number: int = 1, **changes: Any) -> Grant:
    asked = request(number)
    found = Grant(
        id=GrantId(f"grt_{number:026d}"),
        request=asked.id,
        holder=asked.requester,
        policy="payments",
        basis=Outcome.REVIEW,
        reviews=(ReviewId("rev_1"),),
        terms=asked.terms,
        shape=asked.offer.shape,
        digest=asked.digest,
        scheduled_at=NOW,
        activate_by=Instant(NOW + 5_000),
        key_salt=bytes(32),
        epoch=1,
    )
    return replace(found, **changes)


def active(number: int = 1, **changes: Any) -> Grant:
    times = {"valid_from": NOW, "valid_until": Instant(NOW + 9_000), "version": 2}
    return grant(number, state=GrantState.ACTIVE, **times, **changes)


def ended(number: int = 1) -> Grant:
    return replace(active(number), state=GrantState.ENDED, ended_at=NOW, ended_why=EndWhy.RETURNED, version=3)


def after_review(number: int = 1, **changes: Any) -> AfterReview:
    asked = request(number)
    found = AfterReview(
        request=asked.id,
        grant=grant(number).id,
        basis=Outcome.BREAK_GLASS,
        policy="emergency",
        requester=asked.requester,
        person=PersonId("per_dave"),
        persons=asked.persons,
        plan=AfterPlan(plans=(Plan("emergency", (Stage((Slots(("group:leads",), 1),)),)),), within_s=60),
        eligible=frozenset({PrincipalId("prn_ivo")}),
        escalated=frozenset({PrincipalId("prn_ivo"), PrincipalId("prn_priya")}),
        opened_at=NOW,
        due_at=Instant(NOW + 60_000_000),
    )
    return replace(found, **changes)


def looked_at(number: int = 1, state: AfterState = AfterState.NOT_JUSTIFIED) -> AfterReview:
    opinion = AfterOpinion(
        id=ReviewId("rev_after"),
        reviewer=PrincipalId("prn_ivo"),
        person=PersonId("per_ivo"),
        verdict=AfterVerdict(state.value),
        given_at=Instant(NOW + 1),
        channel=Channel.WEB,
        comment="nobody knew of it",
    )
    return after_review(number, state=state, opinions=(opinion,), decided_at=Instant(NOW + 1), version=2)


def session(number: int = 1, **changes: Any) -> Session:
    found = Session(
        id=SessionId(f"ses_{number:026d}"),
        grant=grant().id,
        principal=PrincipalId("prn_dave"),
        kind=SessionKind.TAIL,
        front=Front.LOKI,
        replica="one",
        opened_at=NOW,
        epoch=1,
        state=SessionState.OPEN,
    )
    return replace(found, **changes)


def review(number: int = 1, **changes: Any) -> Review:
    found = Review(
        id=ReviewId(f"rev_{number:026d}"),
        request=request().id,
        reviewer=PrincipalId("prn_ivo"),
        person=PersonId("per_ivo"),
        verdict=Verdict.APPROVE,
        digest="b" * 64,
        given_at=NOW,
        channel=Channel.CLI,
    )
    return replace(found, **changes)


def proposal(number: int = 1, **changes: Any) -> Proposal:
    made = Proposal(
        id=ProposalId(f"prp_{number}"),
        author=PrincipalId("prn_pam"),
        subject=SubjectId("sub_pam"),
        persons=frozenset({PersonId("per_pam")}),
        comment="because",
        files={"policy.yaml": "x"},
        bundle_sha256="ab" * 32,
        base_revision=1,
        base_sha256="cd" * 32,
        changes=(ProposedChange(verdict="WIDENS", kind="AccessPolicy", document="x", text="max 1 -> 2"),),
        verdict="WIDENS",
        needed=2,
        proposed_at=NOW,
    )
    return replace(made, **changes)


def accepted(number: int = 1) -> Proposal:
    return proposal(
        number, state=ProposalState.ACCEPTED, decided_at=NOW, decided_by=PrincipalId("prn_q"), revision=2, version=2
    )


def proposal_review(number: int = 1, **changes: Any) -> ProposalReview:
    made = ProposalReview(
        id=ReviewId(f"rev_p{number}"),
        proposal=ProposalId("prp_1"),
        reviewer=PrincipalId("prn_q"),
        subject=SubjectId("sub_q"),
        person=PersonId("per_q"),
        verdict=Verdict.APPROVE,
        digest="ef" * 32,
        given_at=NOW,
        channel=Channel.WEB,
    )
    return replace(made, **changes)


def bundle(revision: int = 1, **changes: Any) -> StoredBundle:
    made = StoredBundle(revision=revision, bundle_sha256="ab" * 32, files={"policy.yaml": "x"}, loaded_at=NOW)
    return replace(made, **changes)


def principal(number: int = 1, **changes: Any) -> Principal:
    found = Principal(
        id=PrincipalId(f"prn_{number:026d}"),
        issuer="local",
        account=f"user{number}",
        kind=Kind.HUMAN,
        person=PersonId(f"per_{number}"),
        subject=SubjectId(f"sub_{number}"),
        name="Somebody",
    )
    return replace(found, **changes)


def token(number: int = 1, **changes: Any) -> StoredToken:
    found = StoredToken(
        id=TokenId(f"tok_{number:026d}"),
        kind="llp",
        principal=PrincipalId("prn_dave"),
        lookup=f"public{number}",
        secret_sha256=bytes(32),
        rights=frozenset({Right.LOGS_READ, Right.REQUESTS_READ}),
        created_at=NOW,
        expires_at=Instant(NOW + 1_000),
        epoch=1,
    )
    return replace(found, **changes)


def lock(number: int = 1, **changes: Any) -> Lock:
    found = Lock(
        id=LockId(f"lck_{number:026d}"),
        on=LockOn(LockKind.SOURCE, "files"),
        reason="fire",
        added_by=PrincipalId("prn_ivo"),
        added_at=NOW,
    )
    return replace(found, **changes)


def suspension(**changes: Any) -> Suspension:
    found = Suspension(grant=grant().id, cause=SuspendCause.PERSON, reason="look first", since=NOW)
    return replace(found, **changes)


def decided(state: RequestState = RequestState.APPROVED, number: int = 1) -> AccessRequest:
    return request(number, state=state, decided_at=NOW, decided_by=PrincipalId("prn_ivo"), cause="reviews", version=2)


USED = Usage(lines=10, bytes=100, queries=1)
REVOCATION = RevocationRow(
    id=RevocationId("rvk_1"),
    on=LockOn(LockKind.GRANT, "grt_1"),
    grants=(GrantId("grt_1"),),
    by=PrincipalId("prn_ivo"),
    at=NOW,
    reason="gone",
)
