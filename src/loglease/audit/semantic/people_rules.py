"""Rules about people and policy: S22, S23, S24."""

from __future__ import annotations

from typing import Final

from loglease.audit.semantic.facts import Data, Fact
from loglease.audit.semantic.objects import Proposal
from loglease.audit.semantic.people import HUMAN, Lock
from loglease.audit.semantic.state import State

SYSTEM: Final = "system"
_TWO: Final = 2
_SIGNED: Final = "signed"
_MANAGED: Final = "managed"
_LINKS: Final = frozenset({"linked", "unlinked"})


def revision_rises(state: State, data: Data) -> None:
    """S22: no revision comes twice, or after a higher one."""
    if not state.bundles or (state.machine.restored or 0) > state.bundles[-1].index:
        return
    last = state.bundles[-1]
    if data["revision"] <= last.revision:
        state.breach("S22", f"policy revision {data['revision']} comes after {last.revision}", last.index)


def has_signers(state: State, data: Data) -> None:
    """S22: a signed bundle has as many signers as it needs."""
    if data["trust"] == _SIGNED and len(set(data["signers"])) < data["needed"]:
        state.breach("S22", f"policy revision {data['revision']} has too few signers")


def has_approvals(state: State, proposal: Proposal | None, data: Data) -> None:
    """S22: a managed bundle is what was proposed, and enough other people approved it."""
    if data["trust"] != _MANAGED:
        return
    revision = data["revision"]
    if proposal is None:
        if state.partial:
            state.unchecked("S22", "which proposals were made before the first entry that is there")
        else:
            state.breach("S22", f"policy revision {revision} is in force without a proposal")
        return
    fault = _approval_fault(state, proposal, data)
    if fault is not None:
        state.breach("S22", f"policy revision {revision} {fault}", proposal.index, proposal.denied)
    elif data["widens"] and len(set(data["reviewers"])) < _TWO:
        state.finding("S22", f"policy revision {revision} widens access with one approval", proposal.index)


def _approval_fault(state: State, proposal: Proposal, data: Data) -> str | None:
    people = state.people
    approvals = {people.person(who) for _, who in proposal.approvals.values()}
    counted = {people.person(one) for one in data["reviewers"]}
    needed = max(data["needed"], proposal.data["needed"])
    if data["bundle_sha256"] != proposal.data["bundle_sha256"]:
        return "is not what was proposed"
    if proposal.denied is not None:
        return "was denied"
    if counted & people.own([proposal.author]):
        return "is approved by its author"
    if not counted <= approvals:
        return "names a reviewer who did not approve it"
    return f"has {len(counted)} approvals of {needed}" if len(counted) < needed else None


def approver_is_human(state: State, one: str, proposal: Proposal) -> None:
    """S22: people approve, and nobody else."""
    kind = state.people.kinds.get(one)
    if kind != HUMAN and not (kind is None and state.partial):
        state.breach("S22", f"{one} reviews {proposal.id} and is no person", proposal.index)


def has_second_person(state: State, entry: Fact) -> None:
    """S23: acts that need two people have two."""
    actor, data = entry.actor, entry.data
    second = data.get("approved_by")
    if second is not None:
        fault, index = _second_fault(state, second, actor)
        if fault is not None:
            state.breach("S23", f"{entry.type} is approved by {second}, who {fault}", index)
        return
    if actor == SYSTEM:
        return
    if entry.type == "config.changed" or data.get("change") in _LINKS:
        state.breach("S23", f"{entry.type} has no second person")
    elif data.get("change") == "roles":
        state.finding("S23", f"{actor} changes the roles of {data['subject']} without a second person")


def _second_fault(state: State, second: str, actor: str) -> tuple[str | None, int | None]:
    people = state.people
    kind = people.kinds.get(second)
    if people.person(second) in people.own([actor]):
        return "did it, or owns who did", None
    if kind != HUMAN and not (kind is None and state.partial):
        return "is no person", None
    held = people.held(second, state.at)
    return (None, None) if held is None else held


def act_is_approved_by_another(state: State, entry: Fact, proposal: Proposal) -> None:
    """S23: whoever proposed an act does not approve it."""
    people = state.people
    if entry.data["verdict"] == "approve" and people.person(entry.actor) in people.own([proposal.author]):
        state.breach("S23", f"{proposal.id} is approved by {entry.actor}, who proposed it", proposal.index)


def is_not_lifted_by_its_setter(state: State, lock: Lock, actor: str) -> None:
    """S23: a lock on everything is lifted by somebody else."""
    if lock.on == "everything" and actor != SYSTEM and state.people.person(actor) == state.people.person(lock.by):
        state.breach("S23", f"{actor} lifts the lock on everything that they set", lock.index)


def may_act(state: State, subject: str, what: str) -> None:
    """S24: whoever is locked or disabled does nothing."""
    held = state.people.held(subject, state.at)
    if held is not None:
        state.breach("S24", f"{what} of {subject}, who {held[0]}", held[1])
