"""The tables as SQLAlchemy Core knows them. Migrations make them; a test proves that the two agree.

What is searched, counted or guarded has a column; the rest of a value is its JSON document. Triggers, which Core does
not describe, are in `guards`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from loglease.model.access_request import RequestState
from loglease.model.after_review import AfterState
from loglease.model.grant import EndWhy, GrantState
from loglease.model.hold import LockKind, SuspendCause
from loglease.model.notice import NoticeState
from loglease.model.offer import Outcome
from loglease.model.principal import Kind
from loglease.model.proposal import ProposalState
from loglease.model.replica import ReplicaState
from loglease.model.review import Verdict
from loglease.model.session import CloseWhy, Front, SessionKind, SessionState
from loglease.store.columns import NUMBER, metadata, one_of, partial

requests: Final = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("requester", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("submitted_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_at", BigInteger),
    Column("decided_by", Text),
    Column("cause", Text),
    Column("version", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("terms_bytes", LargeBinary, nullable=False),
    Column("present", Text),
    Column("extends", Text),
    Column("document", Text, nullable=False),
    one_of("state", RequestState),
    CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="decided"),
    Index(None, "requester", "state"),
    Index(None, "source", "id"),
    partial("ix_requests_due", "expires_at", where="state = 'pending'"),
    partial("ix_requests_extending", "extends", where="state = 'pending' AND extends IS NOT NULL", unique=True),
)

called: Final = Table(
    "called",
    metadata,
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("principal", Text, primary_key=True),
    Index(None, "principal"),
)

reviews: Final = Table(
    "reviews",
    metadata,
    Column("position", NUMBER, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("person", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("document", Text, nullable=False),
    one_of("verdict", Verdict),
    UniqueConstraint("request_id", "person", "verdict"),
)

grants: Final = Table(
    "grants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False, unique=True),
    Column("holder", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("valid_from", BigInteger),
    Column("valid_until", BigInteger),
    Column("idle_at", BigInteger),
    Column("lapses_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("ended_why", Text),
    Column("ended_by", Text),
    Column("reason", Text),
    Column("epoch", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("lines_limit", BigInteger),
    Column("bytes_limit", BigInteger),
    Column("queries_limit", BigInteger),
    Column("subjects_limit", BigInteger),
    Column("lines_used", BigInteger, nullable=False),
    Column("bytes_used", BigInteger, nullable=False),
    Column("queries_used", BigInteger, nullable=False),
    Column("subjects_used", BigInteger, nullable=False),
    Column("extends", Text, ForeignKey("grants.id")),
    Column("starts_at", BigInteger),
    Column("document", Text, nullable=False),
    one_of("state", (state for state in GrantState if state is not GrantState.SUSPENDED)),
    one_of("ended_why", EndWhy, optional=True),
    CheckConstraint("lines_used >= 0 AND bytes_used >= 0 AND queries_used >= 0 AND subjects_used >= 0", name="used"),
    CheckConstraint("(state IN ('ended', 'revoked')) = (ended_at IS NOT NULL)", name="ended"),
    CheckConstraint("state <> 'active' OR (valid_from IS NOT NULL AND valid_until > valid_from)", name="active"),
    CheckConstraint("starts_at IS NULL OR extends IS NOT NULL", name="extends"),
    CheckConstraint("starts_at IS NULL OR valid_from IS NULL OR valid_from = starts_at", name="starts"),
    Index(None, "holder", "id"),
    partial("ix_grants_live", "lapses_at", where="state IN ('scheduled', 'active')"),
    partial(
        "ix_grants_extending",
        "extends",
        where="state IN ('scheduled', 'active') AND extends IS NOT NULL",
        unique=True,
    ),
    partial("ix_grants_starting", "starts_at", where="state = 'scheduled' AND starts_at IS NOT NULL"),
)

grant_subjects: Final = Table(
    "grant_subjects",
    metadata,
    Column("grant_id", Text, ForeignKey("grants.id"), primary_key=True),
    Column("pseudonym", Text, primary_key=True),
)

after_reviews: Final = Table(
    "after_reviews",
    metadata,
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("grant_id", Text, ForeignKey("grants.id"), nullable=False, unique=True),
    Column("policy", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_at", BigInteger),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    one_of("state", AfterState),
    one_of("basis", (Outcome.AUTO, Outcome.BREAK_GLASS)),
    CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="decided"),
    partial("ix_after_reviews_unjustified", "person", "due_at", where="state <> 'justified'"),
    partial("ix_after_reviews_undone", "due_at", where="state = 'open'"),
    partial("ix_after_reviews_broken", "policy", "opened_at", where="basis = 'break_glass'"),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("grant_id", Text, ForeignKey("grants.id"), nullable=False),
    Column("principal", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("front", Text, nullable=False),
    Column("replica", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("closed_at", BigInteger),
    Column("why", Text),
    Column("ceiling_lines", BigInteger, nullable=False),
    Column("ceiling_bytes", BigInteger, nullable=False),
    Column("settled_lines", BigInteger, nullable=False),
    Column("settled_bytes", BigInteger, nullable=False),
    Column("seq", Integer, nullable=False),
    one_of("state", SessionState),
    one_of("kind", SessionKind),
    one_of("front", Front),
    one_of("why", CloseWhy, optional=True),
    CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
    CheckConstraint("settled_lines >= 0 AND settled_bytes >= 0", name="settled"),
    CheckConstraint("ceiling_lines >= settled_lines AND ceiling_bytes >= settled_bytes", name="ceiling"),
    Index(None, "grant_id", "opened_at"),
    partial("ix_sessions_unclosed", "grant_id", "replica", where="state <> 'closed'"),
    partial("ix_sessions_unclosed_principal", "principal", where="state <> 'closed'"),
)

locks: Final = Table(
    "locks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("until_at", BigInteger),
    Column("lifted_at", BigInteger),
    Column("lifted_by", Text),
    one_of("kind", LockKind),
    CheckConstraint("(kind = 'everything') = (name = '')", name="name"),
    partial("ix_locks_unlifted", "kind", "name", where="lifted_at IS NULL"),
)

suspensions: Final = Table(
    "suspensions",
    metadata,
    Column("grant_id", Text, ForeignKey("grants.id"), primary_key=True),
    Column("cause", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since_at", BigInteger, nullable=False),
    Column("by", Text),
    one_of("cause", SuspendCause),
)

key_salts: Final = Table(
    "key_salts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    CheckConstraint("length(salt) = 32", name="salt"),
)

keeps: Final = Table(
    "keeps",
    metadata,
    Column("grant_id", Text, ForeignKey("grants.id"), primary_key=True),
    Column("due_at", BigInteger, nullable=False),
    Column("good", Text, nullable=False),
    Index(None, "due_at"),
)

principals: Final = Table(
    "principals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("document", Text, nullable=False),
    one_of("kind", Kind),
    UniqueConstraint("issuer", "account"),
    Index(None, "person"),
    Index(None, "revision"),
)

subjects: Final = Table(
    "subjects",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("principal", Text),
)

local_accounts: Final = Table(
    "local_accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("principal", Text, ForeignKey("principals.id"), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("must_change", Boolean, nullable=False),
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("lookup", Text, nullable=False, unique=True),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("rights", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("label", Text, nullable=False),
    Column("chain", Text),
    Column("signed_in_at", BigInteger),
    Column("grant_id", Text),
    Column("spent_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
    Index(None, "principal"),
    partial("ix_tokens_chain", "chain", where="chain IS NOT NULL"),
    partial("ix_tokens_grant_id", "grant_id", where="grant_id IS NOT NULL"),
    Index(None, "expires_at"),
)

answers: Final = Table(
    "answers",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("created", Text, nullable=False),
    Column("answered_at", BigInteger, nullable=False),
    Index(None, "answered_at"),
)

policy_bundles: Final = Table(
    "policy_bundles",
    metadata,
    Column("revision", NUMBER, primary_key=True, autoincrement=False),
    Column("bundle_sha256", Text, nullable=False),
    Column("loaded_at", BigInteger, nullable=False),
    Column("proposal_id", Text, ForeignKey("proposals.id"), unique=True),
    Column("document", Text, nullable=False),
)

bundle_documents: Final = Table(
    "bundle_documents",
    metadata,
    Column("bundle_sha256", Text, primary_key=True),
    Column("kept_at", BigInteger, nullable=False),
    Column("files", LargeBinary, nullable=False),
)

proposals: Final = Table(
    "proposals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("author", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("base_revision", BigInteger, nullable=False),
    Column("proposed_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_at", BigInteger),
    Column("decided_by", Text),
    Column("revision", BigInteger, unique=True),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    one_of("state", ProposalState),
    CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="decided"),
    CheckConstraint("(state = 'accepted') = (revision IS NOT NULL)", name="accepted"),
    CheckConstraint("revision IS NULL OR revision = base_revision + 1", name="next"),
    partial("ix_proposals_pending", "id", where="state = 'pending'"),
)

proposal_reviews: Final = Table(
    "proposal_reviews",
    metadata,
    Column("position", NUMBER, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("proposal_id", Text, ForeignKey("proposals.id"), nullable=False),
    Column("person", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("document", Text, nullable=False),
    one_of("verdict", Verdict),
    UniqueConstraint("proposal_id", "person", "verdict"),
)

revocations: Final = Table(
    "revocations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("document", Text, nullable=False),
)

named_values: Final = Table(
    "named_values",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

replicas: Final = Table(
    "replicas",
    metadata,
    Column("name", Text, primary_key=True),
    Column("run", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    one_of("state", ReplicaState),
)

decisions: Final = Table(
    "decisions",
    metadata,
    Column("position", NUMBER, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "at"),
)

notices: Final = Table(
    "notices",
    metadata,
    Column("position", NUMBER, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("event", Text, nullable=False),
    Column("fact", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("error", Text),
    one_of("state", NoticeState),
    UniqueConstraint("fact", "recipient", "channel"),
    partial("ix_notices_waiting", "channel", "next_at", where="state = 'waiting'"),
    partial("ix_notices_order", "about", "channel", "recipient", "position", where="state = 'waiting'"),
    partial("ix_notices_dead", "position", where="state = 'dead'"),
    Index(None, "at"),
)
