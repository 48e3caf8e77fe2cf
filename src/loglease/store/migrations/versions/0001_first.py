"""The first schema: requests, reviews, grants, sessions, holds, principals, tokens, policy and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from loglease.store.migrations.audit_tables import make_audit_tables
from loglease.store.migrations.grant_tables import make_grant_tables
from loglease.store.migrations.policy_tables import make_policy_tables
from loglease.store.migrations.served_tables import make_served_tables

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    make_audit_tables()
    make_served_tables()
    op.create_table(
        "answers",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "route", "key", name=op.f("pk_answers")),
    )
    op.create_index(op.f("ix_answers_answered_at"), "answers", ["answered_at"], unique=False)
    op.create_table(
        "locks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=True),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.CheckConstraint("(kind = 'everything') = (name = '')", name=op.f("ck_locks_name")),
        sa.CheckConstraint(
            "kind IN ('grant', 'request', 'principal', 'person', 'group', 'token', 'policy', 'source', 'target', 'everything')",  # noqa: E501 - as Alembic writes it
            name=op.f("ck_locks_kind"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locks")),
    )
    op.create_index(
        "ix_locks_unlifted",
        "locks",
        ["kind", "name"],
        unique=False,
        sqlite_where=sa.text("lifted_at IS NULL"),
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "named_values",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_named_values")),
    )
    op.create_table(
        "replicas",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('running', 'stopped', 'lost')", name=op.f("ck_replicas_state")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_replicas")),
    )
    op.create_table(
        "notices",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'dead', 'dropped')", name=op.f("ck_notices_state")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_notices")),
        sa.UniqueConstraint("fact", "recipient", "channel", name=op.f("uq_notices_fact_recipient_channel")),
        sa.UniqueConstraint("id", name=op.f("uq_notices_id")),
    )
    op.create_index(op.f("ix_notices_at"), "notices", ["at"], unique=False)
    op.create_index(
        "ix_notices_dead",
        "notices",
        ["position"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "ix_notices_order",
        "notices",
        ["about", "channel", "recipient", "position"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_notices_waiting",
        "notices",
        ["channel", "next_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "principals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('human', 'agent', 'service')", name=op.f("ck_principals_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_principals")),
        sa.UniqueConstraint("issuer", "account", name=op.f("uq_principals_issuer_account")),
    )
    op.create_index(op.f("ix_principals_person"), "principals", ["person"], unique=False)
    op.create_index(op.f("ix_principals_revision"), "principals", ["revision"], unique=False)
    op.create_table(
        "requests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("terms_bytes", sa.LargeBinary(), nullable=False),
        sa.Column("present", sa.Text(), nullable=True),
        sa.Column("extends", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name=op.f("ck_requests_decided")),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'denied', 'cancelled', 'expired')", name=op.f("ck_requests_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
    )
    pending = "state = 'pending'"
    for name, column, unique, where in (
        ("ix_requests_due", "expires_at", False, pending),
        ("ix_requests_extending", "extends", True, f"{pending} AND extends IS NOT NULL"),
    ):
        op.create_index(
            name, "requests", [column], unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )
    op.create_index(op.f("ix_requests_requester_state"), "requests", ["requester", "state"], unique=False)
    op.create_index(op.f("ix_requests_source_id"), "requests", ["source", "id"], unique=False)
    op.create_table(
        "revocations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revocations")),
    )
    op.create_table(
        "subjects",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_subjects")),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("lookup", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=True),
        sa.Column("signed_in_at", sa.BigInteger(), nullable=True),
        sa.Column("grant_id", sa.Text(), nullable=True),
        sa.Column("spent_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("lookup", name=op.f("uq_tokens_lookup")),
    )
    op.create_index(
        "ix_tokens_chain",
        "tokens",
        ["chain"],
        unique=False,
        sqlite_where=sa.text("chain IS NOT NULL"),
        postgresql_where=sa.text("chain IS NOT NULL"),
    )
    op.create_index(op.f("ix_tokens_expires_at"), "tokens", ["expires_at"], unique=False)
    op.create_index(
        "ix_tokens_grant_id",
        "tokens",
        ["grant_id"],
        unique=False,
        sqlite_where=sa.text("grant_id IS NOT NULL"),
        postgresql_where=sa.text("grant_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_tokens_principal"), "tokens", ["principal"], unique=False)
    make_grant_tables()
    op.create_table(
        "after_reviews",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.CheckConstraint("(state = 'open') = (decided_at IS NULL)", name=op.f("ck_after_reviews_decided")),
        sa.CheckConstraint("basis IN ('auto', 'break_glass')", name=op.f("ck_after_reviews_basis")),
        sa.CheckConstraint(
            "state IN ('open', 'justified', 'not_justified', 'follow_up')", name=op.f("ck_after_reviews_state")
        ),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_after_reviews_grant_id")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_after_reviews_request_id")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_after_reviews")),
        sa.UniqueConstraint("grant_id", name=op.f("uq_after_reviews_grant_id")),
    )
    for name, columns, where in (
        ("ix_after_reviews_broken", ["policy", "opened_at"], "basis = 'break_glass'"),
        ("ix_after_reviews_undone", ["due_at"], "state = 'open'"),
        ("ix_after_reviews_unjustified", ["person", "due_at"], "state <> 'justified'"),
    ):
        op.create_index(
            name,
            "after_reviews",
            columns,
            unique=False,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    op.create_table(
        "local_accounts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["principal"], ["principals.id"], name=op.f("fk_local_accounts_principal")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_local_accounts")),
        sa.UniqueConstraint("principal", name=op.f("uq_local_accounts_principal")),
    )
    op.create_table(
        "key_salts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(salt) = 32", name=op.f("ck_key_salts_salt")),
        sa.PrimaryKeyConstraint("name", "day", name=op.f("pk_key_salts")),
    )
    op.create_table(
        "keeps",
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("good", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_keeps_grant_id")),
        sa.PrimaryKeyConstraint("grant_id", name=op.f("pk_keeps")),
    )
    op.create_index(op.f("ix_keeps_due_at"), "keeps", ["due_at"], unique=False)
    op.create_table(
        "called",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_called_request_id")),
        sa.PrimaryKeyConstraint("request_id", "principal", name=op.f("pk_called")),
    )
    op.create_index(op.f("ix_called_principal"), "called", ["principal"], unique=False)
    op.create_table(
        "reviews",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.CheckConstraint("verdict IN ('approve', 'deny')", name=op.f("ck_reviews_verdict")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_reviews_request_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_reviews")),
        sa.UniqueConstraint("id", name=op.f("uq_reviews_id")),
        sa.UniqueConstraint("request_id", "person", "verdict", name=op.f("uq_reviews_request_id_person_verdict")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("front", sa.Text(), nullable=False),
        sa.Column("replica", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("ceiling_lines", sa.BigInteger(), nullable=False),
        sa.Column("ceiling_bytes", sa.BigInteger(), nullable=False),
        sa.Column("settled_lines", sa.BigInteger(), nullable=False),
        sa.Column("settled_bytes", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_sessions_closed")),
        sa.CheckConstraint(
            "front IN ('loki', 'plain', 'kubectl', 'web', 'cli', 'forward_auth')", name=op.f("ck_sessions_front")
        ),
        sa.CheckConstraint("kind IN ('query', 'tail', 'export', 'names', 'reveal')", name=op.f("ck_sessions_kind")),
        sa.CheckConstraint("state IN ('opening', 'open', 'ending', 'closed')", name=op.f("ck_sessions_state")),
        sa.CheckConstraint(
            "why IS NULL OR why IN ('complete', 'client', 'limit', 'time', 'idle', 'expired', 'ended', 'revoked', 'suspended', 'locked', 'slow', 'source', 'redaction', 'audit', 'database', 'clock', 'drain', 'error', 'crash')",  # noqa: E501 - as Alembic writes it
            name=op.f("ck_sessions_why"),
        ),
        sa.CheckConstraint(
            "ceiling_lines >= settled_lines AND ceiling_bytes >= settled_bytes", name=op.f("ck_sessions_ceiling")
        ),
        sa.CheckConstraint("settled_lines >= 0 AND settled_bytes >= 0", name=op.f("ck_sessions_settled")),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_sessions_grant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_grant_id_opened_at"), "sessions", ["grant_id", "opened_at"], unique=False)
    op.create_index(
        "ix_sessions_unclosed",
        "sessions",
        ["grant_id", "replica"],
        unique=False,
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_index(
        "ix_sessions_unclosed_principal",
        "sessions",
        ["principal"],
        unique=False,
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_table(
        "suspensions",
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "cause IN ('person', 'standing', 'policy', 'guardrail', 'restore')", name=op.f("ck_suspensions_cause")
        ),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_suspensions_grant_id")),
        sa.PrimaryKeyConstraint("grant_id", "cause", name=op.f("pk_suspensions")),
    )

    make_policy_tables()
