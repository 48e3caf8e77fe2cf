"""What entries about processes, people, locks and policy do, and the rules that are asked on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loglease.audit.semantic import log_rules, people_rules
from loglease.audit.semantic.facts import Fact, instant_of
from loglease.audit.semantic.objects import Grant, Proposal
from loglease.audit.semantic.people import Deputy, Lock
from loglease.audit.semantic.state import LOST, Bundle, Key, Outage, Replica, State, is_on

_GROUP: Final = "group"
_TILES: Final = "tiles"


def started(state: State, entry: Fact) -> None:
    """A server starts; whatever ran before under its name does not any more."""
    data, machine = entry.data, state.machine
    name = data["replica"]
    log_rules.has_one_origin(state, data)
    log_rules.has_a_known_key(state, data)
    log_rules.tells_how_it_ended(state, data)
    log_rules.epoch_does_not_fall(state, data["epoch"])
    machine.replicas[name] = Replica(state.index, state.at)
    machine.started = state.index
    machine.epoch = data["epoch"]
    machine.heard[name] = state.at
    machine.suspect.pop(name, None)
    left = frozenset(one.id for one in state.sessions.values() if one.replica == name)
    if left:
        machine.left[name] = left


def stopped(state: State, entry: Fact) -> None:
    """A server stops, or the others give it up."""
    name, why = entry.data["replica"], entry.data["why"]
    if log_rules.was_running(state, name):
        if why == LOST:
            log_rules.was_silent(state, name)
        state.machine.replicas[name].over = LOST if why == LOST else "stop"
    state.machine.heard.pop(name, None)


def restored(state: State, entry: Fact) -> None:
    """The database is older than it was: nothing that it holds may serve before somebody said so."""
    epoch, machine = entry.data["epoch"], state.machine
    log_rules.epoch_rises(state, epoch)
    if log_rules.begins_a_generation(state, entry.data):
        # What the generation before introduced is not told again, as in a log that was pruned.
        state.partial = machine.carried = True
    machine.epoch, machine.restored = epoch, state.index
    machine.affirmed.clear()
    machine.suspect.clear()
    if entry.data["from"] == _TILES:
        # The database is older than the log: it has sessions, bundles and how a process ended as they were before.
        machine.forgotten = frozenset(state.sessions)
        for bundle in state.bundles:
            bundle.until = None
    for grant in state.grants.values():
        grant.restored = state.index


def pruned(state: State, entry: Fact) -> None:
    """Entries below an index are not read any more."""
    log_rules.prunes_forward(state, entry.data)
    people_rules.has_second_person(state, entry)
    state.machine.min_index = max(state.machine.min_index, entry.data["min_index"])


def held(state: State, entry: Fact) -> None:
    """Entries of some time have to be kept, or need not any more."""
    data, holds = entry.data, state.machine.holds
    if data["state"] == "set":
        holds[data["hold"]] = instant_of(data["from_at"]), instant_of(data["to_at"])
    else:
        holds.pop(data["hold"], None)


def resumed(state: State, entry: Fact) -> None:
    """A replica could record nothing for a while."""
    data = entry.data
    state.outages.append(Outage(data["replica"], instant_of(data["from_at"]), instant_of(data["until_at"])))


def clock_suspected(state: State, entry: Fact) -> None:
    """The clock of a replica cannot be trusted."""
    state.machine.suspect.setdefault(entry.data["replica"], state.index)


def clock_trusted(state: State, entry: Fact) -> None:
    """The clock of a replica can be trusted again."""
    state.machine.suspect.pop(entry.data["replica"], None)


def rotated(state: State, entry: Fact) -> None:
    """A key takes the place of another; only that of the log matters here."""
    data, keys = entry.data, state.machine.keys
    if data["use"] != "log" or "vkey" not in data:
        return
    if keys:
        overlap = data.get("overlap_until_at")
        keys[-1].until = state.at if overlap is None else instant_of(overlap)
        state.machine.next_end = min(state.machine.next_end, keys[-1].until)
    keys.append(Key(data["vkey"], state.index))


def added(state: State, entry: Fact) -> None:
    """A login is known."""
    data, people = entry.data, state.people
    people.version += 1
    people.kinds[data["subject"]] = data["kind"]
    if "owner" in data:
        people.owners[data["subject"]] = data["owner"]


def changed(state: State, entry: Fact) -> None:
    """Something about a login is another."""
    data, people = entry.data, state.people
    people.version += 1
    people_rules.has_second_person(state, entry)
    subject, other = data["subject"], data.get("other")
    match data["change"]:
        case "suspected" | "linked" if other is not None:
            people.join(subject, other)
        case "unlinked" if other is not None:
            people.part(subject, other)
        case "groups":
            people.groups[subject] = frozenset(data["names"])
        case "owner" if other is not None:
            people.owners[subject] = other
        case "disabled":
            people.disabled[subject] = state.index
            _cut(state, lambda grant: grant.holder == subject, "is of somebody who was disabled")
        case "enabled":
            people.disabled.pop(subject, None)
        case _:
            pass


def configured(state: State, entry: Fact) -> None:
    """Settings are others."""
    people_rules.has_second_person(state, entry)


def locked(state: State, entry: Fact) -> None:
    """A thing is locked."""
    data = entry.data
    state.introduce("lock", data["lock"])
    lock = _lock(state, entry, data["on"], data.get("object", ""))
    if lock.on == _GROUP:
        state.people.version += 1
        state.people.locks[data["lock"]] = lock
        _cut(state, lambda grant: lock.thing in state.people.groups.get(grant.holder, ()), "was locked")
        return
    state.things[data["lock"]] = lock
    _cut(state, lambda grant: is_on(lock, grant), "was locked")


def _lock(state: State, entry: Fact, on: str, thing: str) -> Lock:
    until = entry.data.get("until_at")
    return Lock(on, thing, None if until is None else instant_of(until), state.index, entry.actor)


def lifted(state: State, entry: Fact) -> None:
    """A lock is lifted."""
    one = entry.data["lock"]
    lock = state.things.pop(one, None) or state.people.locks.pop(one, None)
    if lock is None:
        state.unknown("lock", one)
    else:
        people_rules.is_not_lifted_by_its_setter(state, lock, entry.actor)


def person_locked(state: State, entry: Fact) -> None:
    """A subject is locked; a lock on a person has an entry for each."""
    data = entry.data
    subject, locks = data["subject"], state.people.locks
    state.people.version += 1
    if data["lock"] not in locks:
        state.introduce("lock", data["lock"])
        locks[data["lock"]] = _lock(state, entry, "principal", "")
    locks[data["lock"]].subjects.add(subject)
    _cut(state, lambda grant: grant.holder == subject, "was locked")


def person_unlocked(state: State, entry: Fact) -> None:
    """A lock on a subject is lifted."""
    data, locks = entry.data, state.people.locks
    lock = locks.get(data["lock"])
    if lock is None or data["subject"] not in lock.subjects:
        state.unknown("lock", data["lock"])
        return
    lock.subjects.discard(data["subject"])
    if not lock.subjects:
        del locks[data["lock"]]


def _cut(state: State, concerns: Callable[[Grant], bool], word: str) -> None:
    """End the sessions of the grants that something concerns."""
    for session in state.sessions.values():
        if concerns(session.grant):
            state.cut(session.grant, word, state.index)


def signed_in(state: State, entry: Fact) -> None:
    """Somebody signs in."""
    people_rules.may_act(state, entry.actor, "a sign-in")


def token_issued(state: State, entry: Fact) -> None:
    """A token is made."""
    data = entry.data
    state.introduce("token", data["token"])
    people_rules.may_act(state, data["subject"], "a token")


def stands_in(state: State, entry: Fact) -> None:
    """Somebody reviews in another's place for a time."""
    data = entry.data
    state.people.version += 1
    state.people.deputies[data["subject"]] = Deputy(data["stand_in"], state.at, instant_of(data["until_at"]))


def stands_in_no_longer(state: State, entry: Fact) -> None:
    """Somebody is not another's stand-in any more."""
    state.people.deputies.pop(entry.data["subject"], None)


def proposed(state: State, entry: Fact) -> None:
    """Policy documents are proposed."""
    one = entry.ref["proposal"]
    state.introduce("proposal", one)
    state.proposals[one] = Proposal(one, state.index, entry.actor, entry.data)


def policy_reviewed(state: State, entry: Fact) -> None:
    """Somebody approves or denies a proposal."""
    ref, data, actor = entry.ref, entry.data, entry.actor
    state.introduce("review", ref["review"])
    proposal = _proposal(state, ref["proposal"])
    if proposal is None:
        return
    people_rules.may_act(state, actor, "a review")
    people_rules.approver_is_human(state, actor, proposal)
    if data["verdict"] == "deny":
        proposal.denied = state.index
    elif data["digest_sha256"] == proposal.data["digest_sha256"]:
        proposal.approvals[ref["review"]] = (state.index, actor)


def _proposal(state: State, one: str) -> Proposal | None:
    found = state.proposals.get(one)
    if found is None:
        state.unknown("proposal", one)
    return found


def withdrawn(state: State, entry: Fact) -> None:
    """A proposal is not to be decided any more."""
    proposal = _proposal(state, entry.ref["proposal"])
    if proposal is not None:
        del state.proposals[proposal.id]


def act_reviewed(state: State, entry: Fact) -> None:
    """Another administrator approves or denies an act; either way it is decided."""
    proposal = _proposal(state, entry.ref["proposal"])
    if proposal is None:
        return
    people_rules.may_act(state, entry.actor, "a review")
    people_rules.approver_is_human(state, entry.actor, proposal)
    people_rules.act_is_approved_by_another(state, entry, proposal)
    del state.proposals[proposal.id]


def loaded(state: State, entry: Fact) -> None:
    """Other policy documents are in force."""
    data, one = entry.data, entry.ref.get("proposal")
    proposal = None if one is None else _proposal(state, one)
    people_rules.revision_rises(state, data)
    people_rules.has_signers(state, data)
    if one is None or proposal is not None:
        people_rules.has_approvals(state, proposal, data)
    if proposal is not None:
        del state.proposals[proposal.id]
    for bundle in state.bundles:
        # Several, where a restore had them all count again.
        bundle.until = state.at if bundle.until is None else bundle.until
    state.bundles = [*state.bundles[-_BUNDLES:], Bundle(data["bundle_sha256"], data["revision"], state.index)]


_BUNDLES: Final = 64
"""How many bundles before the one in force are kept: each counts for seconds after it."""


def erased(state: State, entry: Fact) -> None:
    """Private text is gone."""
    people_rules.has_second_person(state, entry)


def about_an_entry(state: State, entry: Fact) -> None:
    """A field is disclosed, or a report signed: of an entry that is there."""
    one = entry.ref["entry"]
    if one in state.entries and one != entry.id:
        return
    if state.partial:
        state.unchecked("S3", "what was introduced before the first entry that is there")
    else:
        state.breach("S3", f"{one} is no earlier entry")


STEPS: Final = {
    "service.started": started,
    "service.stopped": stopped,
    "log.restored": restored,
    "log.pruned": pruned,
    "hold.changed": held,
    "audit.resumed": resumed,
    "clock.suspect": clock_suspected,
    "clock.trusted": clock_trusted,
    "key.rotated": rotated,
    "principal.added": added,
    "principal.changed": changed,
    "config.changed": configured,
    "lock.added": locked,
    "lock.lifted": lifted,
    "principal.locked": person_locked,
    "principal.unlocked": person_unlocked,
    "signin.succeeded": signed_in,
    "token.issued": token_issued,
    "stand_in.named": stands_in,
    "stand_in.ended": stands_in_no_longer,
    "policy.proposed": proposed,
    "policy.reviewed": policy_reviewed,
    "policy.withdrawn": withdrawn,
    "policy.loaded": loaded,
    "act.proposed": proposed,
    "act.reviewed": act_reviewed,
    "act.withdrawn": withdrawn,
    "subject.erased": erased,
    "log.disclosed": about_an_entry,
    "report.signed": about_an_entry,
    "target.registered": erased,
    "target.retired": erased,
    "target.frozen": erased,
    "target.unfrozen": erased,
}
