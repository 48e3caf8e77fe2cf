"""`loglease admin key rotate log`: another key for the audit log, on the machine of a server that is stopped.

Whoever can read the key's file can sign with it, so the file is what guards it: no call of the API reaches it, and a
second person's approval would bind nobody. The order is such that a server can start after each step. First the files:
the present key also as ``log.key.old``, then the new one in its place. Then `key.rotated`, which the next start records
if this was cut off. Until it is recorded, the present key signs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from loglease.audit.interface import Recorded
from loglease.audit.note import VerifierKey
from loglease.model.errors import LogLeaseError
from loglease.model.instant import Instant, instant_text, parse_duration
from loglease.server.clock import SystemNewId, system_random
from loglease.server.lifecycle import ORIGIN
from loglease.server.local import FAILED, OK, print_error
from loglease.server.log_key import (
    LOG_KEY,
    OVERLAP_S,
    LogKeys,
    NamedKey,
    fresh_key,
    log_keys,
    named_keys,
    require_vouched,
    rotation,
)
from loglease.server.log_key_files import remove_old, replace_key
from loglease.server.settings import Settings, SettingsInvalid, load_settings
from loglease.server.stopped import Stopped, require_all_signed, stopped_server
from loglease.store.interface import Transaction

NO_OVERLAP: Final = "0"
_LONGEST_S: Final = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Rotated:
    """The key that was, the key that is, and until when both sign; None if the old one signs no more."""

    old: VerifierKey
    new: VerifierKey
    until: Instant | None


def rotate_log_key(
    *,
    config: Path | None = None,
    data_dir: Path | None = None,
    overlap: str | None = None,
    end_overlap: bool = False,
    as_json: bool = False,
    out: TextIO | None = None,
) -> int:
    """Rotate the key of the audit log and print both public keys; return the exit code."""
    overrides = {} if data_dir is None else {"data_dir": str(data_dir)}
    try:
        overlap_s = OVERLAP_S if overlap is None else overlap_of(overlap)
        settings = load_settings(config=config, overrides=overrides)
        rotated = asyncio.run(rotated_log_key(settings, overlap_s=overlap_s, end_overlap=end_overlap))
    except LogLeaseError as error:
        print_error(error, sys.stderr)
        return FAILED
    _print(rotated, out or sys.stdout, as_json=as_json)
    return OK


def overlap_of(text: str) -> int:
    """Return so many seconds for an overlap such as 30d; 0 for none.

    Raises:
        DurationInvalid: it is none.
        SettingsInvalid: it is longer than a year.
    """
    seconds = 0 if text == NO_OVERLAP else parse_duration(text)
    if seconds > _LONGEST_S:
        raise SettingsInvalid(f"An overlap of {text} is longer than a year.", next_step="Give one such as 30d.")
    return seconds


async def rotated_log_key(settings: Settings, *, overlap_s: int = OVERLAP_S, end_overlap: bool = False) -> Rotated:
    """Rotate the key of the audit log; finish a rotation that was cut off instead of beginning another.

    Args:
        overlap_s: for how long the present key signs beside the new one; 0 for not at all.
        end_overlap: rotate although the key before the present one still signs; it signs no more.

    Raises:
        SettingsInvalid: a key file is missing, wrong or cannot be replaced, or a rotation is under way already.
        StoreUnavailable: the database does not open, perhaps because the server runs.
        LogBehind, LogDamaged, Tampered: the log is not as it was signed.
    """
    path = settings.audit.key_file or settings.keys_at / LOG_KEY
    async with stopped_server(settings) as server:
        origin, named = await server.store.read(lambda tx: (tx.values.find(ORIGIN), named_keys(tx)))
        if origin is None or not named:
            raise SettingsInvalid(
                "The audit log has no key yet: this server has never run.", next_step="Start it first: loglease serve"
            )
        keys = log_keys(path, wanted=settings.audit.origin, known=origin, random=system_random)
        require_vouched(named, keys)
        await require_all_signed(server, [*(one.key for one in named), keys.key.verifier])
        if keys.key.verifier == named[-1].key:
            await _require_due(server, named, end_overlap=end_overlap)
            replace_key(path, fresh_key(origin, system_random), keys.key)
            keys = log_keys(path, wanted=origin, known=origin, random=system_random)
        rotated = await _recorded(server, keys, overlap_s)
        if rotated.until is None:
            remove_old(path)
        return rotated


async def _require_due(server: Stopped, named: list[NamedKey], *, end_overlap: bool) -> None:
    """Check that no rotation is under way, and that the present key has signed all that was recorded under it."""
    last = named[-1]
    if last.overlap_until is not None and server.clock.now() < last.overlap_until and not end_overlap:
        raise SettingsInvalid(
            f"The key was rotated already: {named[-2].key} signs beside {last.key}"
            f" until {instant_text(last.overlap_until)}.",
            next_step="Wait until then, or let the older one sign no more: --end-overlap",
        )
    size, signed = await server.store.read(lambda tx: (tx.entries.size(), tx.checkpoints.last()))
    if signed is None or signed.size < size:
        raise SettingsInvalid(
            f"The last {size - (0 if signed is None else signed.size)} entries of the audit log are not signed yet.",
            next_step="Start the server and stop it again, so that the present key signs them; then repeat this.",
        )


async def _recorded(server: Stopped, keys: LogKeys, overlap_s: int) -> Rotated:
    new_id = SystemNewId()

    def work(tx: Transaction, now: Instant) -> Recorded[VerifierKey]:
        named = named_keys(tx)
        entry = rotation(named, keys, now, new_id, overlap_s=overlap_s)
        return Recorded(named[-1].key, () if entry is None else (entry,))

    old = await server.log.commit(work, urgent=True)
    last = (await server.store.read(named_keys))[-1]
    return Rotated(old, last.key, last.overlap_until)


def _print(rotated: Rotated, out: TextIO, *, as_json: bool) -> None:
    until = None if rotated.until is None else instant_text(rotated.until)
    if as_json:
        body = {"use": "log", "old_vkey": str(rotated.old), "new_vkey": str(rotated.new)}
        print(json.dumps(body | ({} if until is None else {"overlap_until_at": until})), file=out)
        return
    lines = [
        f"Old key   {rotated.old}",
        f"New key   {rotated.new}",
        f"Overlap   {'none: the old key signs no more' if until is None else f'both sign until {until}'}",
        f"Next      start the server, keep a copy of {LOG_KEY}, and give the new key to everybody who checks the log",
    ]
    print("\n".join(lines), file=out)
