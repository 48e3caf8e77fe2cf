"""What the rest of the product knows of the database: repositories inside one transaction.

Repositories are plain functions on one connection: no await inside a transaction, so nothing can come in between.
Reads inside `EntryLog.commit` see rows that nobody else can change until it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant
from loglease.model.hold import LockOn
from loglease.model.ids import (
    GrantId,
    PersonId,
    PrincipalId,
    RequestId,
    RevocationId,
    TokenId,
)
from loglease.model.instant import Instant
from loglease.model.principal import Directory, Principal
from loglease.model.review import Review
from loglease.model.rights import Right
from loglease.store.acts_interface import Acts, LegalHolds
from loglease.store.after_review_interface import AfterReviews
from loglease.store.answers_interface import Idempotency, Values
from loglease.store.budgets_interface import Budgets
from loglease.store.bundle_documents_interface import BundleDocuments
from loglease.store.checkpoints_interface import Checkpoints
from loglease.store.counts_interface import Counting
from loglease.store.decisions_interface import Decisions
from loglease.store.entries_interface import Entries
from loglease.store.erasures_interface import Erasures
from loglease.store.holds_interface import Holds
from loglease.store.keeps_interface import Keeps
from loglease.store.key_salts_interface import KeySalts
from loglease.store.outbox_interface import Outbox
from loglease.store.proposals_interface import Proposals
from loglease.store.prunings_interface import Prunings
from loglease.store.replicas_interface import Replicas
from loglease.store.served_index_interface import ServedIndex
from loglease.store.sessions_interface import Sessions
from loglease.store.sinks_interface import SinkStates
from loglease.store.subject_keys_interface import SubjectKeys

HIGH_WATER: Final = "high_water"
"""The named value that holds the latest time the database has seen, in microseconds."""


class StoreUnavailable(LogLeaseError):
    """The database cannot be reached, is full, or did not commit; nothing was changed.

    Its message is for operators at a start, since it may hold what driver or disk said. Callers are all told the same.
    """

    code = "store_unavailable"

    @property
    def told(self) -> str:
        """What callers are told: the same, whatever is the matter."""
        return "The database is not available."

    @property
    def told_next(self) -> str:
        """What callers are told to do."""
        return "Try again; if it stays, tell an operator."


class LostRace(LogLeaseError):
    """Another change was committed first; nothing was written."""

    code = "version_mismatch"


@dataclass(frozen=True, slots=True)
class Login:
    """A principal with the human being behind it."""

    principal: PrincipalId
    person: PersonId


class Requests(Protocol):
    """Access requests."""

    def insert(self, request: AccessRequest) -> None:
        """Store a new request."""

    def find(self, request_id: RequestId) -> AccessRequest | None:
        """Return a request, whoever asks; visibility is the caller's business."""

    def update(self, after: AccessRequest) -> None:
        """Store a new version. The terms never change.

        Raises:
            LostRace: the stored version is not the one before.
        """

    def note(self, request_id: RequestId, present: str) -> None:
        """Store what the requester's latest call said of itself; no part of the terms, and no new version."""

    def due(self, now: Instant, limit: int) -> Sequence[AccessRequest]:
        """Return pending requests whose time is over, oldest first."""

    def pending_of(self, principal: PrincipalId) -> Sequence[AccessRequest]:
        """Return the pending requests of one principal."""

    def extending(self, grant_id: GrantId) -> AccessRequest | None:
        """Return the request, stored as pending, to extend a grant; there is one at most."""

    def waiting(self) -> Sequence[AccessRequest]:
        """Return the requests that are stored as pending, oldest first."""

    def call(self, request_id: RequestId, principals: Collection[PrincipalId]) -> None:
        """Store that an escalation has named these people; the same one twice is once."""

    def called(self, request_id: RequestId) -> frozenset[PrincipalId]:
        """Return whom escalations have named."""

    def page(
        self,
        *,
        state: RequestState | None = None,
        requester: PrincipalId | None = None,
        source: str | None = None,
        concerning: Login | None = None,
        before: RequestId | None = None,
        limit: int = 50,
    ) -> Sequence[AccessRequest]:
        """Return requests, newest first, older than `before`. States are the stored ones.

        Args:
            concerning: leave out those in which this login does not occur at all; whoever asks tests the rest.
        """


class Reviews(Protocol):
    """Counted reviews; one per request and person and verdict."""

    def insert(self, review: Review) -> None:
        """Store a review.

        Raises:
            LostRace: this person's review of this request with this verdict is there already.
        """

    def of_request(self, request_id: RequestId) -> Sequence[Review]:
        """Return the reviews of a request in the order they were given."""


class Grants(Budgets, Protocol):
    """Grants and their budgets."""

    def insert(self, grant: Grant) -> None:
        """Store a new grant."""

    def find(self, grant_id: GrantId) -> Grant | None:
        """Return a grant, whoever asks."""

    def some(self, grant_ids: Collection[GrantId]) -> Mapping[GrantId, Grant]:
        """Return those of some grants that there are, whoever asks."""

    def of_request(self, request_id: RequestId) -> Grant | None:
        """Return the grant of a request, if there is one."""

    def update(self, after: Grant) -> None:
        """Store a new version; a terminal state cannot be left.

        Raises:
            LostRace: the stored version is not the one before.
        """

    def due(self, now: Instant, limit: int) -> Sequence[Grant]:
        """Return scheduled and active grants that the clock has ended, also for lying idle, earliest first."""

    def extension_of(self, grant_id: GrantId) -> Grant | None:
        """Return the newest grant that goes on from one, whatever became of it."""

    def starting(self, now: Instant, limit: int) -> Sequence[Grant]:
        """Return scheduled grants whose time to begin by themselves has come, earliest first."""

    def live(self) -> Sequence[Grant]:
        """Return all stored as scheduled or active, whatever the clock says."""

    def page(
        self,
        *,
        holder: PrincipalId | None = None,
        live_at: Instant | None = None,
        concerning: Login | None = None,
        before: GrantId | None = None,
        limit: int = 50,
    ) -> Sequence[Grant]:
        """Return grants, newest first, older than `before`; with `live_at` those not ended then.

        Args:
            concerning: leave out those in whose requests this login does not occur at all.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAccount:
    """A sign-in with a password: the account's principal and its Argon2id hash."""

    principal: PrincipalId
    name: str
    password_hash: str
    must_change: bool = False


class Principals(Protocol):
    """Principals, local accounts and groups."""

    def insert(self, principal: Principal) -> None:
        """Store a principal that was seen for the first time."""

    def update(self, principal: Principal) -> None:
        """Store what changed: name, groups, roles, enabled, person."""

    def find(self, principal_id: PrincipalId) -> Principal | None:
        """Return a principal."""

    def by_account(self, issuer: str, account: str) -> Principal | None:
        """Return the principal that an identity provider knows by this account."""

    def of_person(self, person: PersonId) -> Sequence[Principal]:
        """Return all logins of one human being."""

    def directory(self) -> Directory:
        """Return a snapshot of all principals, and of who is on call."""

    def rotas_of(self, principal: Principal) -> frozenset[str]:
        """Return the rotas in which a principal is on call now."""

    def insert_local(self, account: LocalAccount) -> None:
        """Store a local account."""

    def update_local(self, account: LocalAccount) -> None:
        """Store a new password hash."""

    def local(self, name: str) -> LocalAccount | None:
        """Return the local account of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """A token as it is kept: never the token, only what finds and checks it.

    Attributes:
        kind: ``llp`` personal, ``lls`` service, ``lla`` access, ``llr`` refresh, ``llg`` of one grant, ``llv`` viewer
            code, ``llw`` web session.
        lookup: public part by which it is found; `secret_sha256` is compared in constant time.
        chain: the first token of the sign-in that it belongs to; reuse of a spent refresh token ends the chain.
        signed_in_at: when the person proved who they are; None for tokens that are no sign-in.
        grant: for ``llg`` and ``llv``.
        spent_at: when a one-time token was used.
    """

    id: TokenId
    kind: str
    principal: PrincipalId
    lookup: str
    secret_sha256: bytes
    rights: frozenset[Right]
    created_at: Instant
    expires_at: Instant
    epoch: int
    label: str = ""
    chain: TokenId | None = None
    signed_in_at: Instant | None = None
    grant: GrantId | None = None
    spent_at: Instant | None = None
    revoked_at: Instant | None = None
    last_used_at: Instant | None = None


class Tokens(Protocol):
    """Tokens and sign-ins."""

    def insert(self, token: StoredToken) -> None:
        """Store a token."""

    def by_lookup(self, lookup: str) -> StoredToken | None:
        """Return the token with that public part, valid or not."""

    def find(self, token_id: TokenId) -> StoredToken | None:
        """Return a token by its id."""

    def spend(self, token_id: TokenId, now: Instant) -> bool:
        """Mark a one-time token as used; False if it was already."""

    def revoke(
        self,
        now: Instant,
        *,
        token_id: TokenId | None = None,
        chain: TokenId | None = None,
        principal: PrincipalId | None = None,
        grant: GrantId | None = None,
    ) -> int:
        """Revoke the tokens that match all that is named; return how many were not revoked before."""

    def of_principal(self, principal: PrincipalId) -> Sequence[StoredToken]:
        """Return the unexpired tokens that a person manages (``llp``, ``lls``), newest first."""

    def delete_expired(self, now: Instant) -> int:
        """Remove tokens that expired more than a day ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRow:
    """One act of revocation, for its status: which grants it ended. `by` is None where policy did it."""

    id: RevocationId
    on: LockOn
    grants: tuple[GrantId, ...]
    by: PrincipalId | None
    at: Instant
    reason: str


class Revocations(Protocol):
    """Acts of revocation."""

    def insert(self, revocation: RevocationRow) -> None:
        """Store an act."""

    def find(self, revocation_id: RevocationId) -> RevocationRow | None:
        """Return an act."""


class Transaction(Protocol):
    """All repositories, inside one transaction."""

    @property
    def requests(self) -> Requests:
        """Access requests."""

    @property
    def reviews(self) -> Reviews:
        """Reviews."""

    @property
    def grants(self) -> Grants:
        """Grants."""

    @property
    def after_reviews(self) -> AfterReviews:
        """After-reviews."""

    @property
    def holds(self) -> Holds:
        """Locks and suspensions."""

    @property
    def keeps(self) -> Keeps:
        """Looks at grants that are due while they are active."""

    @property
    def key_salts(self) -> KeySalts:
        """Salts that grants share."""

    @property
    def subject_keys(self) -> SubjectKeys:
        """Keys of private texts."""

    @property
    def erasures(self) -> Erasures:
        """Erasing for good."""

    @property
    def prunings(self) -> Prunings:
        """How the oldest part of the log goes."""

    @property
    def acts(self) -> Acts:
        """Acts that need a second person."""

    @property
    def legal_holds(self) -> LegalHolds:
        """Holds on the log."""

    @property
    def sessions(self) -> Sessions:
        """Sessions of the gateway."""

    @property
    def replicas(self) -> Replicas:
        """The server processes that use the database."""

    @property
    def principals(self) -> Principals:
        """Principals and accounts."""

    @property
    def tokens(self) -> Tokens:
        """Tokens and sign-ins."""

    @property
    def idempotency(self) -> Idempotency:
        """Answers to creating calls."""

    @property
    def revocations(self) -> Revocations:
        """Acts of revocation."""

    @property
    def proposals(self) -> Proposals:
        """Proposals of policy, and its revisions."""

    @property
    def bundle_documents(self) -> BundleDocuments:
        """The documents of every bundle that was in force."""

    @property
    def entries(self) -> Entries:
        """The audit log."""

    @property
    def checkpoints(self) -> Checkpoints:
        """What was signed of the audit log."""

    @property
    def sinks(self) -> SinkStates:
        """How far those are that keep signed heads elsewhere."""

    @property
    def served(self) -> ServedIndex:
        """What was served, by what it was."""

    @property
    def decisions(self) -> Decisions:
        """Kept decisions."""

    @property
    def counts(self) -> Counting:
        """How much there is of what operators watch."""

    @property
    def outbox(self) -> Outbox:
        """Notices to people and programs."""

    @property
    def values(self) -> Values:
        """Named values."""

    @property
    def epoch(self) -> int:
        """The current history generation."""
