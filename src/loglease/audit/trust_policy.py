"""Trust policies: which logs and witnesses are known, and whose cosignatures make a checkpoint one to rely on.

Source: C2SP tlog-policy. Names are opaque bytes: they are read as UTF-8, with a stand-in for each byte that is none, so
that different bytes are always different names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from loglease.audit.checkpoint import Checkpoint, open_checkpoint
from loglease.audit.note import COSIGNATURE, ED25519, NoteInvalid, SignedNote, VerifierKey, signers_of
from loglease.model.errors import FieldFault, LogLeaseError

MAX_POLICY_BYTES: Final = 1 << 20
NONE: Final = "none"
"""The quorum that needs nobody."""

_FORBIDDEN: Final = re.compile(rb"[^\x09\x0a\x20-\x7e\x80-\xff]")
_SPACE: Final = re.compile(r"[ \t]+")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}")
_MOST_FAULTS: Final = 20


class TrustPolicyInvalid(LogLeaseError):
    """A policy file does not have its form; `faults` has a pointer such as ``/line/3`` for each mistake."""

    code = "log_invalid"


class QuorumMissing(LogLeaseError):
    """Too few of the witnesses that a policy asks for have cosigned a checkpoint."""

    code = "log_invalid"


class KnownLog(NamedTuple):
    """A log whose checkpoints are accepted; the name of its key is its origin."""

    key: VerifierKey
    url: str | None


class KnownWitness(NamedTuple):
    """A witness.

    Attributes:
        name: what the policy calls it; the name of its key is another one.
        url: where checkpoints are sent to, without ``/add-checkpoint``.
    """

    name: str
    key: VerifierKey
    url: str | None


class WitnessGroup(NamedTuple):
    """So many of its members have to witness, and then the group has."""

    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """What a policy file says.

    Attributes:
        witnesses: by name, in the order of the file.
        groups: by name; members stand before the groups that name them.
        quorum: a witness, a group, or `NONE`.
    """

    logs: tuple[KnownLog, ...]
    witnesses: Mapping[str, KnownWitness]
    groups: Mapping[str, WitnessGroup]
    quorum: str

    @classmethod
    def parse(cls, content: bytes) -> TrustPolicy:
        """Read a policy file.

        Raises:
            TrustPolicyInvalid: with one fault for each line that is wrong.
        """
        return _Reader().read(content)

    @property
    def log_keys(self) -> list[VerifierKey]:
        """The keys of the logs."""
        return [log.key for log in self.logs]

    def met_by(self, names: Iterable[str]) -> bool:
        """Say whether these witnesses, by their names in the policy, are enough."""
        if self.quorum == NONE:
            return True
        met = set(names) & set(self.witnesses)
        for name, group in self.groups.items():
            if sum(member in met for member in group.members) >= group.needed:
                met.add(name)
        return self.quorum in met

    def demand(self) -> str:
        """Say in words whom the quorum needs."""
        group = self.groups.get(self.quorum)
        if group is None:
            return "no witness" if self.quorum == NONE else f"the witness {_shown(self.quorum)}"
        return f"{group.needed} of {', '.join(map(_shown, group.members))}"


def witnesses_of(note: SignedNote, policy: TrustPolicy) -> list[KnownWitness]:
    """Return the witnesses of a policy that have cosigned a checkpoint.

    Raises:
        NoteInvalid: a line that names one of their keys is not its signature.
    """
    found = signers_of(note, [witness.key for witness in policy.witnesses.values()])
    return [witness for witness in policy.witnesses.values() if witness.key in found]


def quorum_met(note: SignedNote, policy: TrustPolicy) -> bool:
    """Say whether enough witnesses of a policy have cosigned a checkpoint; whether a log signed it is not looked at.

    Raises:
        NoteInvalid: a line that names a key of theirs is not its signature.
    """
    return policy.met_by(witness.name for witness in witnesses_of(note, policy))


def open_witnessed(content: bytes, policy: TrustPolicy, keys: Iterable[VerifierKey] = ()) -> Checkpoint:
    """Read a checkpoint that a log has signed and enough witnesses have cosigned.

    Args:
        keys: of logs, beside those of the policy.

    Raises:
        NoteInvalid: it is none, no known log has signed it, or a signature does not hold.
        QuorumMissing: too few have cosigned it.
    """
    checkpoint = open_checkpoint(content, [*keys, *policy.log_keys])
    there = [witness.name for witness in witnesses_of(SignedNote.parse(content), policy)]
    if not policy.met_by(there):
        raise QuorumMissing(
            f"The checkpoint of size {checkpoint.size} is cosigned by {', '.join(map(_shown, there)) or 'no witness'}; "
            f"the policy asks for {policy.demand()}.",
            next_step="Ask the log's operator for a checkpoint with the missing cosignatures.",
        )
    return checkpoint


class _Wrong(Exception):
    """A line is wrong."""


class _Reader:
    """Reads one file, line by line, and collects what is wrong."""

    def __init__(self) -> None:
        self._logs: list[KnownLog] = []
        self._witnesses: dict[str, KnownWitness] = {}
        self._groups: dict[str, WitnessGroup] = {}
        self._grouped: set[str] = set()
        self._quorum: str | None = None

    def read(self, content: bytes) -> TrustPolicy:
        if len(content) > MAX_POLICY_BYTES:
            raise _invalid([(1, f"a policy has at most {MAX_POLICY_BYTES:,} bytes")])
        if forbidden := _FORBIDDEN.search(content):
            line = content.count(b"\n", 0, forbidden.start()) + 1
            raise _invalid([(line, f"the byte {forbidden.group()[0]:#04x} may not occur in a policy")])
        *lines, rest = content.decode("utf-8", "surrogateescape").split("\n")
        wrong: list[tuple[int, str]] = []
        for number, text in enumerate(lines, 1):
            words = [word for word in _SPACE.split(text) if word]
            if not words or words[0].startswith("#"):
                continue
            try:
                self._take(words[0], words[1:])
            except _Wrong as error:
                wrong.append((number, str(error)))
        if rest:
            wrong.append((len(lines) + 1, "the last line is not ended; perhaps the file is cut short"))
        elif self._quorum is None and not wrong:
            wrong.append((max(len(lines), 1), "there is no quorum line, such as: quorum none"))
        if wrong:
            raise _invalid(wrong)
        return TrustPolicy(tuple(self._logs), self._witnesses, self._groups, self._quorum or NONE)

    def _take(self, keyword: str, words: list[str]) -> None:
        match keyword, words:
            case "log", [key] | [key, _]:
                self._log(key, words[1] if words[1:] else None)
            case "witness", [name, key] | [name, key, _]:
                self._witness(name, key, words[2] if words[2:] else None)
            case "group", [name, needed, _, *_]:
                self._group(name, needed, words[2:])
            case "quorum", [name]:
                self._set_quorum(name)
            case (("log" | "witness" | "group" | "quorum"), _):
                raise _Wrong(f"it has another form: {_FORMS[keyword]}")
            case _:
                raise _Wrong(f"{_shown(keyword)} is none of log, witness, group, quorum, and no comment behind a #")

    def _log(self, text: str, url: str | None) -> None:
        key = _key(text, ED25519, "a log signs with a key of type 0x01")
        if any(log.key.public == key.public for log in self._logs):
            raise _Wrong(f"the key of {key.name} is the same as that of another log")
        self._logs.append(KnownLog(key, url))

    def _witness(self, name: str, text: str, url: str | None) -> None:
        self._require_new(name)
        key = _key(text, COSIGNATURE, "a witness signs with a key of type 0x04; others are not supported")
        same = next((one for one in self._witnesses.values() if one.key.public == key.public), None)
        if same is not None:
            raise _Wrong(f"the key of {_shown(name)} is the same as that of {_shown(same.name)}")
        self._witnesses[name] = KnownWitness(name, key, url)

    def _group(self, name: str, needed: str, members: list[str]) -> None:
        self._require_new(name)
        for place, member in enumerate(members):
            self._require_known(member)
            if member in self._grouped or member in members[:place]:
                raise _Wrong(f"{_shown(member)} is a member already; each can be one once")
        counts = {"all": len(members), "any": 1}
        count = counts.get(needed) or (int(needed) if _NUMBER.fullmatch(needed) else 0)
        if not 1 <= count <= len(members):
            raise _Wrong(f"{_shown(needed)} is neither all, any, nor a number from 1 to {len(members)}")
        self._grouped.update(members)
        self._groups[name] = WitnessGroup(count, tuple(members))

    def _set_quorum(self, name: str) -> None:
        if self._quorum is not None:
            raise _Wrong("there is a second quorum line")
        if name != NONE:
            self._require_known(name)
        self._quorum = name

    def _require_new(self, name: str) -> None:
        if name == NONE:
            raise _Wrong(f"{NONE} is the quorum that needs nobody, and no name")
        if name in self._witnesses or name in self._groups:
            raise _Wrong(f"{_shown(name)} is defined twice")

    def _require_known(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise _Wrong(f"{_shown(name)} is no witness or group of a line before this one")


_FORMS: Final = {
    "log": "log VKEY [URL]",
    "witness": "witness NAME VKEY [URL]",
    "group": "group NAME all|any|NUMBER MEMBER…",
    "quorum": "quorum NAME",
}


def _key(text: str, kind: int, wanted: str) -> VerifierKey:
    try:
        text.encode()
        key = VerifierKey.parse(text)
    except UnicodeEncodeError:
        raise _Wrong("the name of its key is no UTF-8") from None
    except NoteInvalid as error:
        raise _Wrong(f"{_shown(text)} is no key: {error.message}") from None
    if key.kind != kind:
        raise _Wrong(f"the key of {key.name} has the type {key.kind:#04x}; {wanted}")
    return key


def _shown(text: str) -> str:
    return text[:80].encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _invalid(wrong: list[tuple[int, str]]) -> TrustPolicyInvalid:
    number, told = wrong[0]
    more = f" {len(wrong) - 1} more lines are wrong." if wrong[1:] else ""
    return TrustPolicyInvalid(
        f"Line {number} of the policy is wrong: {told}.{more}",
        next_step="Correct it; docs/how-to/run-a-witness.md shows a policy.",
        faults=tuple(FieldFault(f"/line/{line}", "invalid_field", text) for line, text in wrong[:_MOST_FAULTS]),
    )
