"""Who is told what of a decision, on a request that exists or on one that nobody made.

What another person would get tells facts about them, so that look is on the record before it is answered.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

import orjson

from loglease.access.caller import Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.errors import NotFound, NotPermitted
from loglease.access.permissions import visible_request
from loglease.access.policy_changes import may_look
from loglease.access.revoke import resolved
from loglease.access.rules import Rules
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.access_request import AccessRequest
from loglease.model.digest import sha256_hex
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import ENTRY, EntryId, NewId, PrincipalId, RequestId
from loglease.model.instant import Instant
from loglease.model.principal import Directory, Principal
from loglease.model.rights import Right
from loglease.policy.decision import decide
from loglease.policy.decision_records import RecordedDecision, read_decision
from loglease.policy.explain import Explanation, Viewer, explain
from loglease.policy.fact_records import facts_of
from loglease.policy.people import People
from loglease.policy.trace import Decision
from loglease.store.interface import Transaction

REPORT: Final = "explanation"
_AT_ONE_INSTANT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What somebody may know of decisions on one person's wishes.

    Attributes:
        viewer: as what they look.
        owned: the policies that name them as their owner.
    """

    viewer: Viewer
    owned: Collection[str]

    def told(self, decision: Decision, *, policy: str | None = None) -> Explanation:
        """Return what they are told of one; `policy` is the one that a request was made under."""
        return explain(decision, self.viewer, owned=self.owned, policy=policy)


def asked_about(tx: Transaction, caller: Caller, name: str | None, rules: Rules) -> Principal:
    """Return whose wish is to be explained: the caller's where nobody is named.

    Args:
        name: account, e-mail or id of a login.

    Raises:
        NotPermitted: another person's is for auditors, policy administrators and owners of policies alone.
        NotFound: nobody has that name.
    """
    if name is None or name in (caller.principal.id, caller.principal.account, caller.principal.email):
        return caller.principal
    directory = tx.principals.directory()
    if not (may_look(caller) or (caller.has(Right.POLICY_READ) and owned_by(caller, rules, directory))):
        raise NotPermitted(
            "What others would get is told to the roles policy_admin, auditor and admin, and to owners of policies.",
            next_step="Ask for yourself: leave out the principal.",
        )
    found = directory.principal(PrincipalId(resolved(tx, LockOn(LockKind.PRINCIPAL, name)).name))
    if found is None:
        raise NotFound(f"There is no principal {name}.", next_step="loglease admin user list")
    return found


def reader_of(caller: Caller, about: Principal, rules: Rules, directory: Directory) -> Reader:
    """Return what the caller may know of decisions about somebody, once they may look at all."""
    owned = owned_by(caller, rules, directory)
    if may_look(caller):
        return Reader(viewer=Viewer.AUDITOR, owned=owned)
    return Reader(viewer=Viewer.REQUESTER if about.id == caller.principal.id else Viewer.OWNER, owned=owned)


def owned_by(caller: Caller, rules: Rules, directory: Directory) -> frozenset[str]:
    """Return the policies whose documents name the caller, or a group of theirs, as the owner."""
    people = People(directory, rules.bundle.approver_sets)
    return frozenset(
        one.id
        for one in rules.bundle.every_policy
        if one.owner is not None and people.is_named(one.owner, caller.principal)
    )


async def record_look(
    told: Explanation,
    about: Principal,
    *,
    caller: Caller,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
) -> None:
    """Record that somebody looked at what another person would get, and what they asked; nothing is told without.

    Raises:
        AuditUnavailable: it cannot be recorded.
    """
    commitments = Commitments(random)
    question = orjson.dumps({"about": about.id, "asked": told.data["asked"]}, option=orjson.OPT_SORT_KEYS).decode()
    data = {
        "report": REPORT,
        "sha256": sha256_hex(orjson.dumps(told.data, option=orjson.OPT_SORT_KEYS)),
        "question_c": commitments.to("question_c", question),
    }
    entry = Draft(
        id=EntryId(new_id(ENTRY)),
        type="report.made",
        actor=caller.principal.subject,
        data=data,
        private=commitments.taken(),
    )

    def work(_tx: Transaction, _now: Instant) -> Recorded[None]:
        return Recorded(None, (entry,))

    await log.commit(work)


def request_explained(tx: Transaction, caller: Caller, request_id: RequestId, rules: Rules) -> Explanation | None:
    """Explain a request: what the policy in force says of it as it was submitted, with what was known then.

    Returns:
        None for a reveal: its terms are those of another grant.

    Raises:
        NotFound: there is none that the caller may see.
    """
    request = visible_request(tx, caller, request_id)
    directory = tx.principals.directory()
    asks = directory.principal(request.requester)
    if asks is None or request.wish.reveal is not None:
        return None
    kept = _kept(tx, request)
    if kept is not None:
        asks = replace(asks, groups=kept.principal.groups)
    decision = decide(
        rules.bundle,
        request.wish,
        asks,
        directory=directory,
        now=request.submitted_at,
        profiles=rules.profiles,
        facts=facts_of(orjson.loads(request.facts)) if kept is None else kept.facts,
        closed=None if kept is None else kept.closed,
    )
    mine = request.requester == caller.principal.id or request.persons == {caller.principal.person}
    if mine or may_look(caller):
        return reader_of(caller, caller.principal, rules, directory).told(decision)
    reader = Reader(viewer=Viewer.APPROVER, owned=owned_by(caller, rules, directory))
    return reader.told(decision, policy=request.offer.policy)


def _kept(tx: Transaction, request: AccessRequest) -> RecordedDecision | None:
    """Return the decision on a request as it was kept; None once it is forgotten."""
    for position, document in tx.decisions.since(request.submitted_at, after=0, limit=_AT_ONE_INSTANT):
        kept = read_decision(document.encode(), position)
        if kept.request == request.id:
            return kept
    return None
