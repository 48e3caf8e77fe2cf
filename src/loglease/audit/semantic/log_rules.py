"""Rules about the log itself and the processes that write it: S2, S26, S27."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from loglease.audit.checkpoint import is_later
from loglease.audit.semantic.facts import Data, instant_of
from loglease.audit.semantic.state import BEGINNING, LOST, Key, State
from loglease.model.instant import MICROSECONDS, duration_text

NO_KEY: Final = "none"
UNKNOWN_ORIGIN: Final = "unknown"
BUNDLE: Final = 256
_BEGINNINGS: Final = frozenset({"service.started", "log.restored"})


def begins_with_a_start(state: State, entry_type: str) -> None:
    """S2: entry 0 is the first start, or the restore that it comes after."""
    if state.index == 0 and entry_type not in _BEGINNINGS:
        state.breach("S2", f"the log begins with {entry_type}")


def has_one_origin(state: State, data: Data) -> None:
    """S2: each start names the same origin."""
    wanted = state.machine.origin or state.inputs.origin
    if wanted is not None and data["origin"] != wanted:
        state.breach("S2", f"a start names the origin {data['origin']}, and the log is {wanted}", state.machine.started)
    state.machine.origin = wanted or data["origin"]


def has_a_known_key(state: State, data: Data) -> None:
    """S2: the key that a start names is the first one, or one that a rotation named."""
    keys, vkey = state.machine.keys, data["vkey"]
    if vkey == NO_KEY:
        return
    if not keys:
        keys.append(Key(vkey, state.index))
    elif vkey not in {key.vkey for key in keys}:
        state.breach("S2", "a start names another key, which no rotation named", keys[-1].since)
        keys.append(Key(vkey, state.index))


def checkpoints_are_signed(state: State) -> None:
    """S2, at the end: each checkpoint is signed by a key that was valid at its size."""
    if state.inputs.checkpoints is None:
        state.unchecked("S2", "whether checkpoints are signed by keys that were valid: none were given")
        return
    if not state.machine.keys:
        state.unchecked("S2", "whether checkpoints are signed by keys that were valid: the log names no key")
        return
    for one in state.inputs.checkpoints():
        valid = {key.vkey for key in state.machine.keys if _is_valid(key, one.size, since=_since(state, key))}
        if not valid & one.keys:
            state.breach("S2", f"the checkpoint of size {one.size} is not signed by a key that was valid at its size")


def _is_valid(key: Key, size: int, *, since: int) -> bool:
    return since < size and (key.ended is None or size <= key.ended)


def _since(state: State, key: Key) -> int:
    """Return the index of the entry that names a key; the first one signs what comes before that, too.

    A log has a signed head from before its first entry on, and no other key that could have signed that.
    """
    return -1 if key is state.machine.keys[0] and not state.partial else key.since


def tells_how_it_ended(state: State, data: Data) -> None:
    """S26: a start says truly how its server ended before; without a stop it is a finding."""
    machine, name, after = state.machine, data["replica"], data["after"]
    before = machine.replicas.get(name)
    wanted = "none" if before is None else (before.over or "crash")
    # A database that was put back, and the part of a log that is not there, know of other starts.
    if before is None:
        is_known = not state.partial and machine.restored is None
    else:
        is_known = (machine.restored or 0) <= before.started
    if is_known and after != wanted:
        text = f"{name} starts after {after}, and the log has {_WORDS[wanted]} of it before"
        state.breach("S26", text, None if before is None else before.started)
    elif after == "crash":
        since = ""
        if before is not None:
            gap = duration_text(max(0, state.at - before.at) // MICROSECONDS)
            since = f", {gap or '0s'} after the start before it"
        state.finding(
            "S26", f"{name} starts without a stop before it{since}", None if before is None else before.started
        )


_WORDS: Final = {"none": "no start", "stop": "a stop", "crash": "a start without a stop", LOST: "the end"}


def was_running(state: State, name: str) -> bool:
    """S26: only what started stops."""
    found = state.machine.replicas.get(name)
    if found is not None and found.over is None:
        return True
    if found is not None or not state.partial:
        state.breach("S26", f"{name} stops and had not started", state.machine.started or None)
    return False


def was_silent(state: State, name: str) -> None:
    """S26: a server that the others gave up is a finding, and had been silent for long."""
    found, heard = state.machine.replicas[name], state.machine.heard.get(name, BEGINNING)
    silent_s = (state.at - heard) // MICROSECONDS
    text = f"{name} is given up, {duration_text(silent_s) or '0s'} after it was last heard of"
    state.finding("S26", text, found.started)


def has_started(state: State, replica: str, what: str) -> None:
    """S26: only who started serves."""
    found = state.machine.replicas.get(replica)
    if found is not None and found.over is None:
        return
    if found is None and state.partial:
        state.unchecked("S26", "which replica ran before the first start that is there")
        return
    text = (
        f"{what} is opened by {replica}, which did not start"
        if found is None
        else f"{what} is opened by {replica}, which had stopped"
    )
    state.breach("S26", text, state.machine.started if found is None else found.started)


def epoch_does_not_fall(state: State, epoch: int) -> None:
    """S27: no start is of an older epoch."""
    known = state.machine.epoch
    if known is not None and epoch < known:
        state.breach("S27", f"a start is of epoch {epoch}, after epoch {known}")


def epoch_rises(state: State, epoch: int) -> None:
    """S27: a restore raises the epoch."""
    known = state.machine.epoch
    if known is not None and epoch <= known:
        state.breach("S27", f"a restore leaves the epoch at {epoch}, after epoch {known}", state.machine.restored)


def begins_a_generation(state: State, data: Data) -> bool:
    """Say whether a restore goes on from an earlier generation: only where nobody has asked for anything yet.

    S2: what it goes on from is an earlier log of the same name.
    """
    origin, old = state.machine.origin, data["old_origin"]
    if origin is None or old in (origin, UNKNOWN_ORIGIN):
        return False
    if not is_later(origin, old) or any(state.seen[kind] for kind in ("request", "grant", "session")):
        state.breach("S2", f"a restore goes on from {old}, and the log is {origin}", state.machine.started)
        return False
    return True


def was_affirmed(state: State, grant: str, what: str) -> None:
    """S27: a grant of an earlier generation is used only after somebody resumed it in this one."""
    if state.machine.carried and grant not in state.seen["grant"] and grant not in state.machine.affirmed:
        state.breach("S27", f"{what} under {grant}, which nobody resumed after the restore", state.machine.restored)


def prunes_forward(state: State, data: Data) -> None:
    """S27: pruning goes forward, by whole bundles, and keeps what has to be kept."""
    low, before, machine = data["min_index"], instant_of(data["before_at"]), state.machine
    if low < machine.min_index or low % BUNDLE or low > state.index:
        state.breach("S27", f"pruning leaves entries from {low} on, after {machine.min_index}")
        return
    newest = machine.bundle_times.get(low // BUNDLE - 1, BEGINNING)
    if newest >= before:
        state.breach("S27", f"pruning takes entries of {data['before_at']} and later, and says that it does not")
    oldest = machine.bundle_times.get(machine.min_index // BUNDLE, BEGINNING)
    if any(begin <= newest and oldest <= end for begin, end in machine.holds.values()):
        state.breach("S27", f"pruning takes entries below {low}, of which some are under a hold")
    needed = min(_firsts(state), default=low)
    if needed < low:
        state.breach("S27", f"pruning takes entries below {low}, of which some are of what is not over", needed)
    if state.inputs.retain_s is None:
        state.unchecked("S27", "whether pruning respects audit.retain: it was not given")
    elif state.at - before < state.inputs.retain_s * MICROSECONDS:
        state.breach("S27", f"pruning takes entries up to {data['before_at']}, younger than audit.retain")


def _firsts(state: State) -> Iterator[int]:
    """Yield the first entries of requests and grants that are not over."""
    for request in state.requests.values():
        yield request.index
    for grant in state.grants.values():
        if grant.over is None:
            yield grant.request.index


def what_is_missing_was_pruned(state: State) -> None:
    """S27, at the end: whether the log says that the entries before the first one that is there were pruned."""
    if state.machine.min_index < state.first:
        state.unchecked("S27", f"whether the entries before #{state.first} may be missing: the log does not say so")


def clock_is_trusted(state: State, what: str) -> None:
    """S13: nothing opens, is activated or raised while a clock cannot be trusted."""
    for replica, index in state.machine.suspect.items():
        state.breach("S13", f"{what} while the clock of {replica} cannot be trusted", index)
