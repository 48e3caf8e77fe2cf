"""All repositories on one connection. Whoever opened the transaction commits it."""

from __future__ import annotations

from sqlalchemy import Connection

from loglease.store.acts import SqlActs, SqlLegalHolds
from loglease.store.after_reviews import SqlAfterReviews
from loglease.store.answers import SqlIdempotency, SqlRevocations, SqlValues
from loglease.store.bundle_documents import SqlBundleDocuments
from loglease.store.checkpoints import SqlCheckpoints
from loglease.store.counts import SqlCounts
from loglease.store.decisions import SqlDecisions
from loglease.store.entries import SqlEntries
from loglease.store.erasures import SqlErasures
from loglease.store.grants import SqlGrants
from loglease.store.holds import SqlHolds
from loglease.store.keeps import SqlKeeps
from loglease.store.key_salts import SqlKeySalts
from loglease.store.outbox import SqlOutbox
from loglease.store.principals import SqlPrincipals
from loglease.store.proposals import SqlProposals
from loglease.store.prunings import SqlPrunings
from loglease.store.replicas import SqlReplicas
from loglease.store.requests import SqlRequests
from loglease.store.reviews import SqlReviews
from loglease.store.rosters import Rosters
from loglease.store.served_search import SqlServedIndex
from loglease.store.sessions import SqlSessions
from loglease.store.sinks import SqlSinkStates
from loglease.store.subject_keys import SqlSubjectKeys
from loglease.store.tokens import SqlTokens


class SqlTransaction:
    """`Transaction` on one connection; it outlives single transactions of that connection."""

    def __init__(self, connection: Connection, rosters: Rosters) -> None:
        self.requests = SqlRequests(connection)
        self.reviews = SqlReviews(connection)
        self.grants = SqlGrants(connection)
        self.after_reviews = SqlAfterReviews(connection)
        self.holds = SqlHolds(connection)
        self.keeps = SqlKeeps(connection)
        self.key_salts = SqlKeySalts(connection)
        self.subject_keys = SqlSubjectKeys(connection)
        self.erasures = SqlErasures(connection)
        self.acts = SqlActs(connection)
        self.prunings = SqlPrunings(connection)
        self.legal_holds = SqlLegalHolds(connection)
        self.sessions = SqlSessions(connection)
        self.replicas = SqlReplicas(connection)
        self.principals = SqlPrincipals(connection, rosters)
        self.tokens = SqlTokens(connection)
        self.idempotency = SqlIdempotency(connection)
        self.revocations = SqlRevocations(connection)
        self.proposals = SqlProposals(connection)
        self.bundle_documents = SqlBundleDocuments(connection)
        self.decisions = SqlDecisions(connection)
        self.counts = SqlCounts(connection)
        self.entries = SqlEntries(connection)
        self.checkpoints = SqlCheckpoints(connection)
        self.sinks = SqlSinkStates(connection)
        self.served = SqlServedIndex(connection)
        self.outbox = SqlOutbox(connection)
        self.values = SqlValues(connection)

    @property
    def epoch(self) -> int:
        """The current history generation."""
        return self.entries.head().epoch
