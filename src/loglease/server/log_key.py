"""The key that signs the heads of the audit log, and the log's name, which is also the key's.

The key is in a file of its own, never in the database, its backups or an entry. Both are made at the first start; later
starts demand that they still belong together, since a log that goes on under another key is another log.

A key is rotated on a stopped server (`local_keys`): the key that was is put aside as ``log.key.old``, and whichever
comes first, that command or the next start, records the new one. For a month both sign, so that whoever knows the old
one alone has time to learn of the new one.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loglease.access.commitments import Random
from loglease.access.records import Data
from loglease.audit.entry import entry_of
from loglease.audit.interface import SYSTEM, Draft
from loglease.audit.note import SigningKey, VerifierKey
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant, after, instant_text, parse_instant
from loglease.server.log_key_files import old_path, read_key, write_first
from loglease.server.settings import SettingsInvalid
from loglease.store.interface import Transaction

LOG_KEY: Final = "log.key"
OVERLAP_S: Final = 30 * 86_400
"""For how long an old key signs beside the new one."""

_NAMES_KEYS: Final = frozenset({"service.started", "key.rotated"})
_SEED_BYTES: Final = 32
_DRAWN: Final = 10


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The key that signs, and the one that it takes the place of, where that is still there."""

    key: SigningKey
    old: SigningKey | None = None

    @property
    def both(self) -> tuple[SigningKey, ...]:
        """All that may have signed the newest heads."""
        return (self.key,) if self.old is None else (self.key, self.old)


def log_keys(path: Path, *, wanted: str | None, known: str | None, random: Random) -> LogKeys:
    """Return the log's keys; a new log gets one, and a log whose key was put aside another one.

    Args:
        wanted: the origin of the settings, if they name one.
        known: the origin that the log in the database has; None for a new log.

    Raises:
        SettingsInvalid: a file is missing, open to others or no key, or the name of the log is another one.
    """
    if known is not None and wanted is not None and wanted != known:
        raise SettingsInvalid(
            f"The audit log in this database is {known}, and the settings call it {wanted}. Its name never changes.",
            next_step=f'Set audit.origin = "{known}", or leave it out.',
        )
    old = read_key(old_path(path))
    key = read_key(path)
    if key is None:
        if known is not None and old is None:
            raise SettingsInvalid(
                f"{path} is missing, the key of the audit log {known}.",
                next_step=f"Put {path.name} back from where you keep it. If it is lost for good, nobody can go on with"
                " this log; another one begins with: loglease audit restore --next-generation",
            )
        _require_name(old, old_path(path), known or wanted)
        key = fresh_key(known or wanted or _drawn(random), random)
        write_first(path, key)
    _require_name(key, path, known or wanted)
    _require_name(old, old_path(path), key.verifier.name)
    # Both files hold one key where a rotation was cut off before the new one was in its place.
    return LogKeys(key, None if old is None or old.verifier == key.verifier else old)


def fresh_key(origin: str, random: Random) -> SigningKey:
    """Return a new key of a log."""
    return SigningKey(origin, random(_SEED_BYTES))


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key that the log has named, and until when the one before it signs, too."""

    key: VerifierKey
    overlap_until: Instant | None = None


def named_keys(tx: Transaction) -> list[NamedKey]:
    """Return the keys that the log was signed with, oldest first, as its entries name them."""
    found: list[NamedKey] = []
    seen = 0
    while part := tx.entries.since(seen, types=_NAMES_KEYS):
        for row in part:
            data = entry_of(row.content).draft.data
            if "vkey" in data and data.get("use", "log") == "log" and (not found or "use" in data):
                until = parse_instant(str(data["overlap_until_at"])) if "overlap_until_at" in data else None
                found.append(NamedKey(VerifierKey.parse(str(data["vkey"])), until))
        seen = part[-1].index + 1
    return found


def require_vouched(named: Sequence[NamedKey], keys: LogKeys) -> None:
    """Check that the key is the one that the log named last, or that this one is there to vouch for it.

    Raises:
        SettingsInvalid: it is another one.
    """
    if named and named[-1].key not in {one.verifier for one in keys.both}:
        raise SettingsInvalid(
            f"{LOG_KEY} is another key than {named[-1].key.key_id.hex()}, which this audit log named last.",
            next_step=f"Put that one back, as {LOG_KEY}, or as {LOG_KEY}.old beside the new one.",
        )


def rotation(
    named: Sequence[NamedKey], keys: LogKeys, now: Instant, new_id: NewId, *, overlap_s: int = OVERLAP_S
) -> Draft | None:
    """Return the entry that names the key that signs from now on; None if it is the one that was named last.

    Args:
        overlap_s: for how long the one before signs beside it; 0 for not at all.
    """
    key = keys.key.verifier
    if not named or key == named[-1].key:
        return None
    data: Data = {
        "use": "log",
        "old_id": named[-1].key.key_id.hex(),
        "new_id": key.key_id.hex(),
        "vkey": str(key),
    }
    if overlap_s:
        data["overlap_until_at"] = instant_text(after(now, overlap_s))
    return Draft(id=EntryId(new_id(ENTRY)), type="key.rotated", actor=SYSTEM, data=data)


def _require_name(key: SigningKey | None, path: Path, name: str | None) -> None:
    if key is not None and name is not None and key.verifier.name != name:
        raise SettingsInvalid(
            f"{path} is the key of {key.verifier.name}, and this audit log is {name}.",
            next_step=f"Put the key of {name} there, or start with the database that belongs to this key.",
        )


def _drawn(random: Random) -> str:
    name = base64.b32encode(random(_DRAWN)).decode().lower()[:_DRAWN]
    return f"loglease.local/{name}/1"
