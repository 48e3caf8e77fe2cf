"""`loglease audit restore`: how the audit log of a stopped server goes on where its database or its key was lost.

With a copy of the published log, entries that an older database lacks are put back. Without one, or without the key,
nobody can go on with the log: then its next generation begins, under another name and with a key of its own. What was
stays where it can be verified. Either way rights only shrink: every live grant waits until somebody resumes it.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from loglease.access.restore import KnownHead, LeftLog, left_log, suspend_restored
from loglease.access.served_index import NAME as SERVED_INDEX
from loglease.audit.checkpoint import Checkpoint, next_origin, open_checkpoint
from loglease.audit.files import LogFiles
from loglease.audit.integrator import SignedHead
from loglease.audit.lost import LogBehind, put_back_lost
from loglease.audit.merkle import EMPTY_ROOT
from loglease.audit.note import NoteInvalid, SigningKey, VerifierKey
from loglease.audit.tiles import CHECKPOINT
from loglease.model.errors import LogLeaseError
from loglease.server.clock import SystemNewId, system_random
from loglease.server.lifecycle import ORIGIN, has_signed, keep_head
from loglease.server.local import FAILED, OK, print_error
from loglease.server.log_key import LOG_KEY, fresh_key, named_keys
from loglease.server.log_key_files import move_aside, old_path, read_key, write_first
from loglease.server.publishing import LOG_FOLDER
from loglease.server.settings import Settings, SettingsInvalid, load_settings
from loglease.server.stopped import Stopped, stopped_server
from loglease.store.durability import end_process
from loglease.store.interface import Transaction

_COPY: Final = "Name another copy of the published log, or begin the next generation: --next-generation --yes"


@dataclass(frozen=True, slots=True)
class PutBack:
    """What was put back: how many entries, and how many grants wait now; None where nothing was missing."""

    entries: int
    suspended: int | None


@dataclass(frozen=True, slots=True)
class Begun:
    """The generation that was left, and the key of the one that begins."""

    left: LeftLog
    key: VerifierKey
    folder: Path


def restore_log(
    *,
    config: Path | None = None,
    data_dir: Path | None = None,
    source: Path | None = None,
    as_json: bool = False,
    out: TextIO | None = None,
) -> int:
    """Put entries back from a copy of the log, or, without one, begin the next generation; return the exit code."""
    overrides = {} if data_dir is None else {"data_dir": str(data_dir)}
    try:
        settings = load_settings(config=config, overrides=overrides)
        if source is None:
            body, lines = _told_of_generation(asyncio.run(begun_generation(settings)))
        else:
            body, lines = _told_of_entries(asyncio.run(put_back_from(settings, source)))
    except LogLeaseError as error:
        print_error(error, sys.stderr)
        return FAILED
    print(json.dumps(body) if as_json else "\n".join(lines), file=out or sys.stdout)
    return OK


async def put_back_from(settings: Settings, source: Path) -> PutBack:
    """Put back the entries that a copy of the published log has and the database lacks.

    Raises:
        SettingsInvalid: there is no such log here or there.
        LogBehind: the copy does not have all that was signed, or another history.
        StoreUnavailable: the database does not open, perhaps because the server runs.
    """
    async with stopped_server(settings) as server:
        keys = await _keys(server)
        files = LogFiles(source, flush_failed=end_process)
        found = _head_in(source, files, keys)
        if found is None:
            raise SettingsInvalid(f"There is no checkpoint in {source}.", next_step="Name a directory of this log.")
        head, known = found.checkpoint, server.head.known()
        signed = max(0 if known is None else known.signed_size, _size(_own_head(server, keys)))
        if head.size < signed:
            raise LogBehind(f"{source} has {head.size} entries, and {signed} were signed.", next_step=_COPY)
        put_back = 0
        if not await server.store.read(lambda tx: has_signed(tx, found)):
            put_back = await put_back_lost(
                server.store, files, read_key(_key_path(settings)), found, begins=server.head.forget
            )
        suspended = await suspend_restored(
            known,
            put_back=put_back,
            origin=ORIGIN,
            log=server.log,
            new_id=SystemNewId(),
            random=system_random,
        )
        if suspended is not None:
            await keep_head(server.head, server.store)
        return PutBack(put_back, suspended)


async def begun_generation(settings: Settings) -> Begun:
    """Leave the log as it is and begin its next generation, which the next start records.

    Each step can be repeated: a copy of the database, the old keys aside, the new key, the old directory aside. Last
    comes the one transaction that takes the old entries out of the database.

    Raises:
        SettingsInvalid: the log can go on, has no generation, or a file cannot be written.
        StoreUnavailable: the database does not open, perhaps because the server runs.
    """
    place, path = settings.data_dir, _key_path(settings)
    async with stopped_server(settings) as server:
        origin, done = await server.store.read(lambda tx: (tx.values.find(ORIGIN), left_log(tx)))
        key = read_key(path)
        if done is not None and key is not None and key.verifier.name == origin:
            return Begun(done, key.verifier, place / _aside(done.origin))
        following = None if origin is None else next_origin(origin)
        if origin is None or following is None:
            raise SettingsInvalid(
                f"The audit log {origin or 'here'} has no generation that another one could follow.",
                next_step="Start the server, or name the log with a number at the end.",
            )
        keys = await _keys(server)
        known = server.head.known()
        aside = place / _aside(origin)
        left = await _left(server, origin, keys, [place / LOG_FOLDER, aside], known)
        if key is None or key.verifier.name != following:
            await _require_lost(server, path, key, left)
        try:
            await _copied(server, aside)
            key = _moved_keys(path, aside, key, following)
            _moved_folder(place / LOG_FOLDER, aside)
        except OSError as error:
            raise SettingsInvalid(
                f"The next generation cannot begin: {error.strerror}, {error.filename}.",
                next_step="Let the account of the server write there, then repeat the command.",
            ) from error

        def change(tx: Transaction) -> None:
            tx.values.put(ORIGIN, following)
            tx.values.delete(SERVED_INDEX)
            tx.replicas.forget()
            left.keep(tx)

        await server.store.begin_generation(change, epoch=0 if known is None else known.epoch)
        return Begun(left, key.verifier, aside)


async def _keys(server: Stopped) -> list[VerifierKey]:
    """Return all keys that may have signed this log, with or without the files of the private ones."""
    path = _key_path(server.settings)
    named = await server.store.read(named_keys)
    files = [read_key(one) for one in (path, old_path(path))]
    found = [*(one.key for one in named), *(one.verifier for one in files if one is not None)]
    if not found:
        raise SettingsInvalid("The audit log has no key yet: this server has never run.", next_step="Start it first.")
    return list(dict.fromkeys(found))


def _key_path(settings: Settings) -> Path:
    return settings.audit.key_file or settings.keys_at / LOG_KEY


def _head_in(folder: Path, files: LogFiles, keys: Sequence[VerifierKey]) -> SignedHead | None:
    note = files.read(CHECKPOINT) if folder.is_dir() else None
    if note is None:
        return None
    try:
        return SignedHead(open_checkpoint(note, keys), note)
    except NoteInvalid as error:
        raise SettingsInvalid(
            f"{folder / CHECKPOINT} is no head of this log: {error.message}", next_step="Name a directory of this log."
        ) from error


def _own_head(server: Stopped, keys: Sequence[VerifierKey]) -> SignedHead | None:
    return _head_in(server.settings.data_dir / LOG_FOLDER, server.files, keys)


def _size(head: SignedHead | None) -> int:
    return 0 if head is None else head.checkpoint.size


async def _left(
    server: Stopped, origin: str, keys: Sequence[VerifierKey], folders: Sequence[Path], known: KnownHead | None
) -> LeftLog:
    """Return how far the log was signed, as far as anything here still says so."""
    last = await server.store.read(lambda tx: tx.checkpoints.last())
    heads = [] if last is None else [Checkpoint(origin, last.size, last.root)]
    for one in folders:
        # What nobody can vouch for any more is kept with the rest, and says nothing here.
        with suppress(SettingsInvalid):
            published = _head_in(one, LogFiles(one, flush_failed=end_process), keys)
            heads += [] if published is None else [published.checkpoint]
    if known is not None and known.signed_root:
        heads.append(Checkpoint(origin, known.signed_size, bytes.fromhex(known.signed_root)))
    newest = max(heads, key=lambda one: one.size, default=Checkpoint(origin, 0, EMPTY_ROOT))
    return LeftLog(origin=origin, size=newest.size, root=newest.root.hex())


async def _require_lost(server: Stopped, path: Path, key: SigningKey | None, left: LeftLog) -> None:
    """Check that the log cannot go on: its key is gone, or its database lacks what was signed.

    Raises:
        SettingsInvalid: it can.
    """
    if key is not None and key.verifier.name != left.origin:
        raise SettingsInvalid(
            f"{path} is the key of {key.verifier.name}, and this audit log is {left.origin}.",
            next_step=f"Put the key of {left.origin} there, or move this one away if that is lost.",
        )
    named = await server.store.read(named_keys)
    there = [one.verifier for one in (key, read_key(old_path(path))) if one is not None]
    if named and named[-1].key not in there:
        return
    found = await server.store.read(lambda tx: tx.checkpoints.at(left.size))
    if (found is None or found.root.hex() != left.root) and left.size:
        return
    raise SettingsInvalid(
        f"The audit log {left.origin} can go on: its key is there, and the database has all that was signed.",
        next_step="Start the server. To have another key: loglease admin key rotate log",
    )


def _aside(origin: str) -> str:
    """Return what the directory of a generation is called that was left, and what the files beside it begin with."""
    return f"{LOG_FOLDER}-{origin.rpartition('/')[2]}"


async def _copied(server: Stopped, aside: Path) -> None:
    """Keep the whole database of the generation that is left: texts and served lists are nowhere else."""
    target = aside.with_name(f"{aside.name}.db")
    fresh = aside.with_name(f"{aside.name}.db.new")
    fresh.unlink(missing_ok=True)
    if not target.exists():
        await server.store.copy(fresh)
        fresh.replace(target)


def _moved_folder(folder: Path, aside: Path) -> None:
    if folder.exists():
        if aside.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(aside))
        folder.rename(aside)


def _moved_keys(path: Path, aside: Path, key: SigningKey | None, following: str) -> SigningKey:
    """Put the keys of the old generation aside and make the new one's; return it."""
    if key is not None and key.verifier.name == following:
        return key
    for one, name in ((path, f"{aside.name}.key"), (old_path(path), f"{aside.name}.key.old")):
        if one.exists():
            move_aside(one, path.with_name(name))
    key = fresh_key(following, system_random)
    write_first(path, key)
    return key


def _told_of_entries(done: PutBack) -> tuple[dict[str, str | int], list[str]]:
    if done.suspended is None:
        return {"put_back": 0}, ["Nothing is missing: the database has all that was signed."]
    body: dict[str, str | int] = {"put_back": done.entries, "suspended": done.suspended}
    return body, [
        f"Put back  {done.entries} entries",
        f"Waiting   {done.suspended} grants, until somebody resumes them: loglease grants; loglease resume",
        "Next      start the server",
    ]


def _told_of_generation(done: Begun) -> tuple[dict[str, str | int], list[str]]:
    left, key = done.left, done.key
    body: dict[str, str | int] = {
        "old_origin": left.origin, "old_size": left.size, "old_root": left.root, "origin": key.name, "vkey": str(key),
        "folder": str(done.folder),
    }  # fmt: skip
    return body, [
        f"Left      {left.origin}, signed up to {left.size} entries, root {left.root}",
        f"Kept      {done.folder}, {done.folder}.db: keep both, with the old public key",
        f"Begins    {key.name}",
        f"Key       {key}",
        f"Next      keep a copy of {LOG_KEY}, start the server, and tell all who check the log its new name and key",
    ]
