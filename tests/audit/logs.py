"""Whole logs as files, made fast: entries as a server records them while people read, tiles, and a signed head."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.entry import entry_bytes
from loglease.audit.interface import Draft
from loglease.audit.log_directory import FileLog
from loglease.audit.merkle import leaf_hash, root_nodes
from loglease.audit.note import SigningKey
from loglease.audit.tiles import CHECKPOINT, ENTRIES, WIDTH, Tile, bundle_of
from loglease.audit.verify import tile_root
from loglease.model.ids import EntryId
from loglease.model.instant import Instant, instant_text

ORIGIN = "logs.example.com/loglease/1"
KEY = SigningKey(ORIGIN, b"\x07" * 32)

_SITTING = 20
"""Of so many entries one opens a session, and one says what is read in it."""


def recorded(count: int, first: int = 0) -> Iterator[bytes]:
    """Yield entries as they are recorded: sessions that open, what they ask, and batch after batch of what they get."""
    opened, asked, served = _templates()
    sitting, gaps = -1, {}
    for index in range(first, first + count):
        if index == 0:
            yield _started()
            continue
        if index // _SITTING != sitting:
            sitting = index // _SITTING
            digest = hashlib.sha256(b"%d" % sitting).hexdigest().encode()
            gaps = {b"sitting": b"%026d" % sitting, b"digest": digest}
        place = index % _SITTING
        gaps[b"at"] = b"2026-09-%02dT%02d:%02d:%02d.%06dZ" % _moment(index)
        gaps[b"index"] = b"%020d" % index
        if place == 1:
            yield opened % gaps
        elif place == 2:
            yield asked % gaps
        else:
            gaps[b"seq"] = b"%d" % place
            gaps[b"lines"] = b"%d" % (index % 128)
            gaps[b"bytes"] = b"%d" % (index % 128 * 97)
            gaps[b"masked"] = b"%d" % (index % 9)
            gaps[b"total"] = b"%d" % (index * 64)
            yield served % gaps


def _moment(index: int) -> tuple[int, int, int, int, int]:
    """Return day, hour, minute, second and microsecond of an entry; the log grows by 8,000 entries a second."""
    seconds, rest = divmod(index, 8_000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return day + 1, hour, minute, second, rest * 125


@cache
def _templates() -> tuple[bytes, bytes, bytes]:
    """Return entries of three types with gaps for what differs; each was an entry of `entry_bytes` before."""
    ref = {
        "request": f"req_{_FILLED['sitting']}",
        "grant": f"grt_{_FILLED['sitting']}",
        "session": f"ses_{_FILLED['sitting']}",
    }
    digest = _FILLED["digest"]

    def template(kind: str, data: dict[str, object]) -> bytes:
        one = Draft(id=_id(_FILLED["index"]), type=kind, actor="sub_" + "a" * 26, ref=ref, data=data)  # type: ignore[arg-type]
        made = entry_bytes(one, START)
        for name, filled in _FILLED.items():
            made = made.replace(str(filled).encode(), b"%%(%b)b" % name.encode())
        return made

    opened = template(
        "session.opened", {"kind": "query", "front": "cli", "replica": "rep_1", "epoch": 1, "address_c": digest}
    )
    scope = {
        "source": "files",
        "selector": [{"label": "app", "op": "eq", "value": "pay-api"}, {"label": "env", "op": "eq", "value": "prod"}],
        "live": False,
        "rules_c": [digest],
        "profiles": [{"name": "pii", "sha256": digest}],
    }
    query = {"query": 1, "text_c": digest, "scopes": [scope], "live": False, "limit": 5_000, "plan": "evaluate"}
    asked = template("query.recorded", query)
    settled = {
        "unit": "line",
        "lines": _FILLED["lines"],
        "bytes": _FILLED["bytes"],
        "first_ns": "1788220800000000000",
        "last_ns": "1788220800999999999",
        "masked": [{"rule": "email", "count": _FILLED["masked"]}],
        "served_c": digest,
        "overflow": False,
    }
    batch = {
        "query": 1,
        "seq": _FILLED["seq"],
        "settled": settled,
        "total": {"lines": _FILLED["total"], "bytes": _FILLED["total"]},
        "reserved": {"lines": 256, "bytes": 65_536},
    }
    return opened, asked, template("batch.served", batch)


START = Instant(1_788_220_800_000_000)
_FILLED: dict[str, Any] = {
    "at": instant_text(START),
    "index": "9" * 20,
    "sitting": "8" * 26,
    "digest": "abcdef01" * 8,
    "seq": 444_444,
    "lines": 222_222,
    "bytes": 111_111,
    "masked": 333_333,
    "total": 666_666,
}
"""What stands in the gaps of a template when it is made."""


def _id(number: str) -> EntryId:
    return EntryId(f"ent_01K5M8{number}")


def _started() -> bytes:
    one = Draft(
        id=_id("0" * 20),
        type="service.started",
        actor="system",
        data={
            "replica": "rep_1",
            "version": "1.0",
            "plugins": [],
            "schema": 1,
            "config_sha256": "0" * 64,
            "epoch": 1,
            "origin": ORIGIN,
            "vkey": str(KEY.verifier),
            "after": "none",
        },
    )
    return entry_bytes(one, START)


def log_files(
    entries: Iterable[bytes], *, key: SigningKey = KEY, sign: Callable[[Checkpoint], bytes] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a log: full tiles and bundles as they fill, then partial ones, then the checkpoint.

    Args:
        entries: in their order; they need not be entries of ours.
        key: of the log; its name is the origin.
        sign: makes the checkpoint from the head; without, one that is signed by `key`.
    """
    levels: list[list[bytes]] = []
    size = 0
    source = iter(entries)

    def add(level: int, hashes: list[bytes]) -> Iterator[tuple[str, bytes]]:
        if level == len(levels):
            levels.append([])
        count = counts.setdefault(level, 0)
        levels[level] += hashes
        if len(levels[level]) == WIDTH:
            packed = b"".join(levels[level])
            yield Tile(level, count).path, packed
            levels[level], counts[level] = [], count + 1
            yield from add(level + 1, [tile_root(packed)])

    counts: dict[int, int] = {}
    while part := list(islice(source, WIDTH)):
        yield Tile(ENTRIES, size // WIDTH, len(part)).path, bundle_of(part)
        size += len(part)
        yield from add(0, [leaf_hash(one) for one in part])
    for level, hashes in enumerate(levels):
        if hashes:
            yield Tile(level, counts[level], len(hashes)).path, b"".join(hashes)
    edge = [hashes for hashes in reversed(levels) if hashes]
    head = Checkpoint(key.verifier.name, size, tile_root_over(edge))
    yield CHECKPOINT, sign_checkpoint(head, [key]) if sign is None else sign(head)


def tile_root_over(edge: list[list[bytes]]) -> bytes:
    """Return the root over partial tiles, the topmost first; written out, so that it is no code of the verifier."""
    if not edge:
        return hashlib.sha256(b"").digest()
    parts = [
        tile_root(b"".join(hashes[node.number << node.level : node.number + 1 << node.level]))
        for hashes in edge
        for node in root_nodes(len(hashes))
    ]
    root = parts.pop()
    while parts:
        root = hashlib.sha256(b"\x01" + parts.pop() + root).digest()
    return root


def log_of(entries: Iterable[bytes], *, key: SigningKey = KEY) -> dict[str, bytes]:
    """Return a log in memory, by path."""
    return dict(log_files(entries, key=key))


@dataclass(frozen=True)
class NotedReader:
    """A reader that notes in a directory which processes read; it can be sent to them.

    Attributes:
        log: the log's directory.
        notes: has a file for each process, named by its number.
    """

    log: Path
    notes: Path

    def __call__(self, path: str) -> bytes | None:
        (self.notes / str(os.getpid())).touch()
        return FileLog(self.log)(path)

    def processes(self) -> set[int]:
        """Return who has read since the last call."""
        notes = list(self.notes.iterdir())
        for note in notes:
            note.unlink()
        return {int(note.name) for note in notes}


def write_log(place: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    """Write files below a directory, and return it."""
    for path, content in files:
        target = place / path
        try:
            target.write_bytes(content)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return place
