"""What the database refuses even to a hand that has it open with another program: the rules, in words of SQL.

They are those of the model's transition tables and of the audit log. How each database is told is in `guards`.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Rule(NamedTuple):
    """A change that is refused.

    Attributes:
        name: of the trigger.
        on: what is about to be done, such as ``UPDATE OF state ON requests``.
        when: the condition under which it is refused, in what all databases understand; empty is always.
        text: what is said then.
        replacing: whether it is about a row in place of another, which only SQLite has a statement for.
    """

    name: str
    on: str
    when: str
    text: str
    replacing: bool = False


def _once(table: str, known: str) -> Rule:
    """`INSERT OR REPLACE` fires no DELETE trigger, so replacing a row is refused where it begins."""
    when = f"EXISTS (SELECT 1 FROM {table} WHERE {known})"  # noqa: S608 - two constants of this module
    return Rule(f"{table}_once", f"INSERT ON {table}", when, f"{table} are never replaced", replacing=True)


_CLOSED: Final = "NOT EXISTS (SELECT 1 FROM erasing)"
_AND_CLOSED: Final = f" AND {_CLOSED}"
"""For what may change only while texts are erased: `erasures` opens that door inside its transaction, and closes it."""

RULES: Final = (
    # Terminal states are never left, and nothing that people decided about is changed afterwards.
    Rule(
        "requests_terminal",
        "UPDATE OF state ON requests",
        "OLD.state <> 'pending' AND NEW.state <> OLD.state",
        "a decided request keeps its state",
    ),
    Rule(
        "requests_terms",
        "UPDATE OF id, requester, terms_bytes, digest, document ON requests",
        "NEW.id <> OLD.id OR NEW.requester <> OLD.requester OR NEW.terms_bytes <> OLD.terms_bytes"
        " OR NEW.digest <> OLD.digest OR (NEW.document <> OLD.document" + _AND_CLOSED + ")",
        "the terms of a request never change",
    ),
    Rule("requests_kept", "DELETE ON requests", "", "requests are kept"),
    Rule(
        "reviews_fixed",
        "UPDATE ON reviews",
        "NEW.id <> OLD.id OR NEW.request_id <> OLD.request_id OR NEW.person <> OLD.person OR NEW.verdict <> OLD.verdict"
        " OR " + _CLOSED,
        "a review never changes",
    ),
    Rule("reviews_kept", "DELETE ON reviews", "", "reviews are kept"),
    Rule(
        "grants_terminal",
        "UPDATE OF state ON grants",
        "OLD.state IN ('ended', 'revoked') AND NEW.state <> OLD.state",
        "a grant that ended stays so",
    ),
    Rule(
        "grants_backwards",
        "UPDATE OF state ON grants",
        "OLD.state = 'active' AND NEW.state = 'scheduled'",
        "an active grant is never scheduled again",
    ),
    Rule(
        "grants_terms",
        "UPDATE OF id, request_id, holder, policy, document, lines_limit, bytes_limit, queries_limit, subjects_limit,"
        " extends, starts_at ON grants",
        "NEW.id <> OLD.id OR NEW.request_id <> OLD.request_id OR NEW.holder <> OLD.holder OR NEW.policy <> OLD.policy"
        " OR (NEW.document <> OLD.document" + _AND_CLOSED + ")"
        " OR NEW.lines_limit IS DISTINCT FROM OLD.lines_limit"
        " OR NEW.bytes_limit IS DISTINCT FROM OLD.bytes_limit OR NEW.queries_limit IS DISTINCT FROM OLD.queries_limit"
        " OR NEW.subjects_limit IS DISTINCT FROM OLD.subjects_limit"
        " OR NEW.extends IS DISTINCT FROM OLD.extends OR NEW.starts_at IS DISTINCT FROM OLD.starts_at",
        "the terms of a grant never change",
    ),
    Rule(
        "grants_clock",
        "UPDATE OF valid_from, valid_until ON grants",
        "OLD.valid_until IS NOT NULL"
        " AND (NEW.valid_until IS DISTINCT FROM OLD.valid_until OR NEW.valid_from IS DISTINCT FROM OLD.valid_from)",
        "the clock of a grant never restarts",
    ),
    Rule(
        "grants_in_turn",
        "UPDATE OF state ON grants",
        "NEW.state = 'active' AND OLD.state = 'scheduled' AND OLD.extends IS NOT NULL AND NOT EXISTS (SELECT 1 FROM"
        " grants AS before WHERE before.id = OLD.extends AND before.valid_until <= NEW.valid_from"
        " AND before.state IN ('active', 'ended') AND coalesce(before.ended_why, 'expired') = 'expired')",
        "an extension begins where the grant before it has run out",
    ),
    Rule("grants_kept", "DELETE ON grants", "", "grants are kept"),
    Rule("grant_subjects_fixed", "UPDATE ON grant_subjects", "", "a data subject that was counted stays so"),
    Rule("grant_subjects_kept", "DELETE ON grant_subjects", "", "data subjects that were counted are kept"),
    Rule(
        "after_reviews_terminal",
        "UPDATE ON after_reviews",
        "(OLD.state = 'justified'" + _AND_CLOSED + ") OR (OLD.state = 'justified' AND NEW.state <> OLD.state)"
        " OR (OLD.state <> 'open' AND NEW.state = 'open')"
        " OR (OLD.state = 'not_justified' AND NEW.state = 'follow_up')",
        "an after-review that was done is not undone",
    ),
    Rule(
        "after_reviews_subject",
        "UPDATE OF request_id, grant_id, policy, basis, person, opened_at, due_at ON after_reviews",
        "",
        "whom an after-review is about, and until when, never changes",
    ),
    Rule("after_reviews_kept", "DELETE ON after_reviews", "", "after-reviews are kept"),
    Rule(
        "sessions_terminal",
        "UPDATE ON sessions",
        "OLD.state = 'closed'",
        "a closed session keeps its state and its account",
    ),
    Rule(
        "sessions_owner",
        "UPDATE OF id, grant_id, principal ON sessions",
        "NEW.id <> OLD.id OR NEW.grant_id <> OLD.grant_id OR NEW.principal <> OLD.principal",
        "a session belongs to one grant",
    ),
    Rule(
        "locks_terminal",
        "UPDATE ON locks",
        "OLD.lifted_at IS NOT NULL AND (NEW.lifted_at IS DISTINCT FROM OLD.lifted_at OR " + _CLOSED + ")",
        "a lifted lock stays lifted",
    ),
    Rule("locks_kept", "DELETE ON locks", "", "locks are kept"),
    Rule(
        "tokens_terminal",
        "UPDATE OF revoked_at, spent_at ON tokens",
        "(OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NULL)"
        " OR (OLD.spent_at IS NOT NULL AND NEW.spent_at IS NULL)",
        "a revoked or spent token stays so",
    ),
    Rule("sessions_kept", "DELETE ON sessions", "", "sessions are kept"),
    Rule(
        "proposals_terminal",
        "UPDATE OF state, revision ON proposals",
        "OLD.state <> 'pending' AND (NEW.state <> OLD.state OR NEW.revision IS DISTINCT FROM OLD.revision)",
        "a decided proposal keeps its state",
    ),
    Rule(
        "proposals_terms",
        "UPDATE OF id, author, digest, base_revision, document ON proposals",
        "NEW.id <> OLD.id OR NEW.author <> OLD.author OR NEW.digest <> OLD.digest"
        " OR NEW.base_revision <> OLD.base_revision OR (NEW.document <> OLD.document" + _AND_CLOSED + ")",
        "what was proposed never changes",
    ),
    Rule("proposals_kept", "DELETE ON proposals", "", "proposals are kept"),
    Rule(
        "proposal_reviews_fixed",
        "UPDATE ON proposal_reviews",
        "NEW.id <> OLD.id OR NEW.proposal_id <> OLD.proposal_id OR NEW.person <> OLD.person"
        " OR NEW.verdict <> OLD.verdict OR " + _CLOSED,
        "a review never changes",
    ),
    Rule("proposal_reviews_kept", "DELETE ON proposal_reviews", "", "reviews are kept"),
    Rule(
        "acts_terminal",
        "UPDATE OF state, decided_at, decided_by ON acts",
        "OLD.state <> 'pending'",
        "a decided act keeps its state",
    ),
    Rule(
        "acts_terms",
        "UPDATE OF id, kind, author, digest, proposed_at, document ON acts",
        "NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.author <> OLD.author OR NEW.digest <> OLD.digest"
        " OR NEW.proposed_at <> OLD.proposed_at OR (NEW.document <> OLD.document" + _AND_CLOSED + ")",
        "what was proposed never changes",
    ),
    Rule("acts_kept", "DELETE ON acts", "", "acts are kept"),
    Rule(
        "legal_holds_span",
        "UPDATE ON legal_holds",
        "NEW.id <> OLD.id OR NEW.from_at <> OLD.from_at OR NEW.to_at <> OLD.to_at"
        " OR (OLD.released_at IS NOT NULL AND NEW.released_at IS DISTINCT FROM OLD.released_at)",
        "a hold is released, and never changed",
    ),
    Rule("legal_holds_kept", "DELETE ON legal_holds", "", "holds are kept"),
    Rule("policy_bundles_fixed", "UPDATE ON policy_bundles", "", "a revision of the policy never changes"),
    Rule("policy_bundles_kept", "DELETE ON policy_bundles", "", "revisions of the policy are kept"),
    Rule("bundle_documents_fixed", "UPDATE ON bundle_documents", "", "the documents of a bundle never change"),
    Rule("bundle_documents_kept", "DELETE ON bundle_documents", "", "the documents of bundles are kept"),
    Rule(
        "policy_bundles_forward",
        "INSERT ON policy_bundles",
        "NEW.revision <= (SELECT max(revision) FROM policy_bundles)",
        "revisions of the policy only rise",
    ),
    Rule(
        "policy_bundles_accepted",
        "INSERT ON policy_bundles",
        "NEW.proposal_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM proposals"
        " WHERE id = NEW.proposal_id AND state = 'accepted' AND revision = NEW.revision)",
        "only an accepted proposal comes into force",
    ),
    _once("requests", "id = NEW.id"),
    _once("reviews", "id = NEW.id OR position = NEW.position"),
    _once("grants", "id = NEW.id OR request_id = NEW.request_id"),
    _once("after_reviews", "request_id = NEW.request_id OR grant_id = NEW.grant_id"),
    _once("sessions", "id = NEW.id"),
    _once("proposals", "id = NEW.id"),
    _once("acts", "id = NEW.id"),
    _once("legal_holds", "id = NEW.id"),
    _once("proposal_reviews", "id = NEW.id OR position = NEW.position"),
    _once("locks", "id = NEW.id"),
    _once("tokens", "id = NEW.id OR lookup = NEW.lookup"),
    # The audit log grows at its end and nowhere else.
    Rule("entries_fixed", "UPDATE ON entries", "", "an audit entry never changes"),
    Rule(
        "entries_kept",
        "DELETE ON entries",
        "OLD.idx >= (SELECT min_index FROM seq_head)",
        "audit entries are kept",
    ),
    Rule(
        "entries_dense",
        "INSERT ON entries",
        "NEW.idx <> coalesce((SELECT max(idx) + 1 FROM entries), (SELECT min_index FROM seq_head))"
        " OR EXISTS (SELECT 1 FROM entries WHERE id = NEW.id)",
        "audit entries are appended one after the other, each once",
    ),
    # Nobody signs what is not there, and what was signed stays.
    Rule("checkpoints_fixed", "UPDATE ON checkpoints", "", "a checkpoint never changes"),
    Rule("checkpoints_kept", "DELETE ON checkpoints", "", "checkpoints are kept"),
    Rule(
        "checkpoints_covered",
        "INSERT ON checkpoints",
        "NEW.size > (SELECT next FROM seq_head)",
        "a checkpoint covers entries that are there",
    ),
    _once("checkpoints", "size = NEW.size OR prev_size = NEW.prev_size"),
    Rule(
        "seq_head_forward",
        "UPDATE ON seq_head",
        "NEW.next < OLD.next OR NEW.last_at < OLD.last_at OR NEW.min_index < OLD.min_index"
        " OR NEW.generation < OLD.generation OR NEW.epoch < OLD.epoch",
        "the head of the log only moves forward",
    ),
    Rule("seq_head_kept", "DELETE ON seq_head", "", "the head of the log is kept"),
    _once("seq_head", "id = NEW.id"),
)
