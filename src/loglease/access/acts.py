"""Acts that one administrator proposes and another one approves: what they share, whichever kind they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loglease.access.caller import STEP_UP_S, Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.errors import NoEligibleApprover, NotFound, NotPermitted, ReasonRequired
from loglease.access.once import Once
from loglease.access.permissions import require_may_decide
from loglease.access.records import Data, refs
from loglease.audit.interface import Draft, Recorded
from loglease.model.act import Act, ActKind
from loglease.model.ids import ENTRY, PROPOSAL, EntryId, NewId, PrincipalId, ProposalId
from loglease.model.instant import MICROSECONDS, Instant
from loglease.model.principal import Principal, Role
from loglease.model.proposal import ProposalState
from loglease.model.review import Verdict
from loglease.model.rights import Right
from loglease.policy.proposals import approvers, proposal_refusal
from loglease.store.interface import Transaction

MAX_COMMENT: Final = 2_000
ROLE: Final = Role.ADMIN
"""Who proposes and approves acts."""
_LOOKERS: Final = (Role.ADMIN, Role.AUDITOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActView:
    """An act as of one moment, with those it concerns.

    Attributes:
        about: whose texts are to be erased, where it is about a person.
        texts: how many private texts are kept of them now.
        may_review: whether the caller may approve or deny it.
    """

    act: Act
    state: ProposalState
    author: Principal | None
    about: Principal | None
    texts: int | None
    may_review: bool


def require_administrator(tx: Transaction, caller: Caller, now: Instant) -> None:
    """Refuse whoever may not propose acts, as the directory has them now.

    Raises:
        NotPermitted: the person is no administrator, or the token may not administer.
        StepUpRequired: the sign-in is too old for this.
        Locked: a lock is aimed at the caller.
    """
    caller.require_role(ROLE)
    require_may_decide(tx, caller, now)
    stored = tx.principals.find(caller.principal.id)
    if stored is None or ROLE not in stored.roles:
        raise NotPermitted(f"This takes the role {ROLE}.", next_step="Ask an administrator.")
    caller.require_sign_in(now, STEP_UP_S)


def may_look_at_acts(caller: Caller) -> bool:
    """Say whether somebody may see acts that wait for a second person."""
    return caller.has(Right.AUDIT_READ) and bool(caller.principal.roles & frozenset(_LOOKERS))


def visible_act(tx: Transaction, caller: Caller, act_id: ProposalId) -> Act:
    """Return an act that the caller may see.

    Raises:
        NotPermitted: the caller has no role for it.
        NotFound: there is none.
    """
    if not may_look_at_acts(caller):
        raise NotPermitted("Seeing this takes the role admin or auditor.", next_step="Ask an administrator.")
    found = tx.acts.find(act_id)
    if found is None:
        raise NotFound(f"There is no proposal {act_id}.", next_step="loglease proposals list")
    return found


def act_view(tx: Transaction, caller: Caller, act: Act, now: Instant) -> ActView:
    """Return an act as somebody sees it."""
    directory = tx.principals.directory()
    state = act.state_at(now)
    subject = act.terms.get("subject")
    logins = [] if subject is None else list(tx.erasures.principals_of(subject))
    able = proposal_refusal(act, caller.principal, directory, ROLE) is None
    return ActView(
        act=act,
        state=state,
        author=directory.principal(act.author),
        about=directory.principal(logins[0]) if logins else None,
        texts=None if subject is None else tx.erasures.texts_of(subject),
        may_review=state is ProposalState.PENDING and able,
    )


def proposed(
    tx: Transaction,
    now: Instant,
    *,
    kind: ActKind,
    terms: Mapping[str, str],
    comment: str,
    caller: Caller,
    new_id: NewId,
    random: Random,
    once: Once | None,
) -> Recorded[Act]:
    """Store an act that waits for a second person; that it can be done was looked at by the caller.

    Raises:
        ReasonRequired: no comment, or one that is too long.
        NoEligibleApprover: there is no other administrator.
    """
    if not comment.strip() or len(comment) > MAX_COMMENT:
        raise ReasonRequired(
            f"A proposal needs a comment of at most {MAX_COMMENT:,} characters.", next_step="Say why, in one sentence."
        )
    principal = caller.principal
    act = Act(
        id=ProposalId(new_id(PROPOSAL)),
        kind=kind,
        author=principal.id,
        subject=principal.subject,
        persons=principal.persons,
        terms=dict(terms),
        comment=comment.strip(),
        proposed_at=now,
    )
    if not approvers(act, tx.principals.directory(), ROLE):
        raise NoEligibleApprover(
            "This needs the approval of another administrator, and there is none.",
            next_step="Give somebody the role: loglease admin user change NAME --add-role admin",
        )
    tx.acts.insert(act)
    if once is not None:
        once.remember(tx, act.id, now)
    commitments = Commitments(random)
    data: Data = {
        "kind": str(kind),
        "digest_sha256": act.digest,
        "comment_c": commitments.to("comment_c", act.comment),
    }
    return Recorded(act, (_entry("act.proposed", act, data, principal, new_id, commitments),))


def who_may_approve(tx: Transaction, act: Act, now: Instant) -> frozenset[PrincipalId]:
    """Return who may give the verdict on an act; nobody where it has one, or came too late."""
    if act.state_at(now) is not ProposalState.PENDING:
        return frozenset()
    directory = tx.principals.directory()
    return frozenset(one.id for one in directory.humans() if proposal_refusal(act, one, directory, ROLE) is None)


def earlier(tx: Transaction, once: Once | None, now: Instant) -> Act | None:
    """Return what the first call with an idempotency key proposed."""
    created = None if once is None else once.created(tx, now)
    return None if created is None else tx.acts.find(ProposalId(created))


def reviewed_entry(
    act: Act, verdict: Verdict, comment: str, caller: Caller, now: Instant, *, new_id: NewId, random: Random
) -> Draft:
    """Return the entry that records a verdict on an act."""
    age_s = 0 if caller.signed_in_at is None else max(0, (now - caller.signed_in_at) // MICROSECONDS)
    commitments = Commitments(random)
    data: Data = {
        "verdict": str(verdict),
        "digest_sha256": act.digest,
        "channel": str(caller.channel),
        "auth": {"method": "password", "mfa": False, "age_s": age_s},
    }
    if comment:
        data["comment_c"] = commitments.to("comment_c", comment)
    return _entry("act.reviewed", act, data, caller.principal, new_id, commitments)


def withdrawn_entry(act: Act, caller: Caller, *, new_id: NewId) -> Draft:
    """Return the entry that records that the author withdrew an act."""
    return _entry("act.withdrawn", act, {"why": "author"}, caller.principal, new_id, None)


def _entry(kind: str, act: Act, data: Data, actor: Principal, new_id: NewId, commitments: Commitments | None) -> Draft:
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type=kind,
        actor=actor.subject,
        ref=refs(proposal=act.id),
        data=data,
        private=() if commitments is None else commitments.taken(),
    )
