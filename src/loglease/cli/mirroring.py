"""A copy of the log as a directory: made of its entries, and held against the signed head before that is written.

Only bundles of entries are fetched. Tiles follow from them, so a copy that has the root of the signed head is right,
and one that goes on from an older copy is the same log: the older tiles are part of the root.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, cast

from loglease.audit.checkpoint import Checkpoint
from loglease.audit.entry import entry_of
from loglease.audit.files import LogFiles
from loglease.audit.frontier import Frontier
from loglease.audit.interface import EntryInvalid
from loglease.audit.log_reading import LogTampered, read_head, width_of
from loglease.audit.merkle import HASH_BYTES, leaf_hash
from loglease.audit.note import NoteInvalid, SignedNote, VerifierKey
from loglease.audit.tiles import CHECKPOINT, ENTRIES, WIDTH, Tile, TileInvalid, entries_of, tiles_of
from loglease.cli.errors import CliError, LogForged, Usage
from loglease.cli.log_fetching import LogServer

STEP_BUNDLES: Final = 8
"""So many bundles are fetched before what became full is written."""

Tell = Callable[[str], None]
"""Is told how far it is."""

_ENTRY_ID: Final = re.compile("ent_[0-9A-HJKMNP-TV-Z]{26}")
_FOLDER_MODE: Final = 0o700
_KEEP: Final = "Keep both, and find out which of them was changed: loglease audit verify."


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied.

    Attributes:
        since: size of the copy before.
        served: how many served lists were written.
    """

    head: Checkpoint
    since: int
    served: int


class Mirror:
    """One directory. Made by `mirror_at`."""

    def __init__(self, server: LogServer, place: Path, keys: tuple[VerifierKey, ...], tell: Tell) -> None:
        self._server = server
        self._place = place
        self._keys = keys
        self._tell = tell
        self._files = LogFiles(place, flush_failed=_flush_failed)
        self._served = 0

    def go_on(self, *, served: bool) -> Copied:
        """Bring the directory to the server's signed head.

        Args:
            served: copy the served lists of new entries, too.

        Raises:
            LogForged: the entries do not have the root of the signed head, or the directory is of another log.
            Refused: the server refused; also SignedOut, Unreachable.
            LogUnwritable: the directory cannot be written.
        """
        self._files.remove_fresh()
        known = self._known()
        frontier = Frontier.empty() if known is None else self._frontier(known)
        note, min_index = self._server.begin(None if known is None else known.size)
        head = self._head(note)
        if known is not None:
            _require_same_log(known, head)
        since = frontier.size
        if known is None and min_index:
            frontier = self._pruned(min_index, head.size)
        self._grow(frontier, head.size, served=served)
        if frontier.root() != head.root:
            raise LogForged(
                f"The entries that {head.origin} gave do not have the root of its signed head.", next_step=_KEEP
            )
        self._files.write({tile.path: content for tile, content in frontier.partial(since).items()})
        self._files.write({CHECKPOINT: note})
        for tile in tiles_of(head.size, since):
            if tile.is_full:
                self._files.remove(f"{tile.path}.p")
        return Copied(head, since, self._served)

    def _known(self) -> Checkpoint | None:
        note = self._files.read(CHECKPOINT)
        if note is not None:
            return self._head(note)
        others = [path for path in self._place.iterdir() if path.name not in ("tile", "served")]
        if others:
            raise Usage(
                f"{self._place} holds {others[0].name} and no log.", next_step="Name an empty directory, or a new one."
            )
        return None

    def _head(self, note: bytes) -> Checkpoint:
        try:
            if self._keys:
                return read_head(lambda _: note, self._keys)[0]
            return Checkpoint.parse(SignedNote.parse(note).text)
        except (NoteInvalid, LogTampered) as error:
            raise LogForged(f"A signed head does not hold: {error.message}", next_step=_KEEP) from error

    def _frontier(self, known: Checkpoint) -> Frontier:
        def read(tile: Tile) -> bytes:
            content = self._files.read(tile.path)
            if content is None:
                raise self._broken(f"lacks {tile.path}")
            return content

        try:
            frontier = Frontier.read(known.size, read)
        except TileInvalid as error:
            raise self._broken(f"has a tile of another form: {error.message}") from error
        if frontier.root() != known.root:
            raise self._broken("does not have the root of its signed head")
        return frontier

    def _broken(self, how: str) -> LogForged:
        return LogForged(f"{self._place} {how}.", next_step="Keep it for the inquiry, and export into a new directory.")

    def _pruned(self, size: int, now: int) -> Frontier:
        """Begin behind what the server has pruned, with the higher tiles, which it keeps for ever."""
        for tile in tiles_of(size):
            if tile.level > 0 and tile.is_full:
                self._files.write({tile.path: self._server.tile(tile, now)})

        def read(tile: Tile) -> bytes:
            whole = self._server.tile(tile._replace(width=width_of(now, tile.level, tile.number)), now)
            return whole[: tile.width * HASH_BYTES]

        return Frontier.read(size, read)

    def _grow(self, frontier: Frontier, size: int, *, served: bool) -> None:
        while frontier.size < size:
            number, known = divmod(frontier.size, WIDTH)
            width = min(WIDTH, size - number * WIDTH)
            content = self._server.tile(Tile(ENTRIES, number, width), size)
            try:
                entries = entries_of(content, width)[known:]
            except TileInvalid as error:
                raise LogForged(f"A bundle of entries has another form: {error.message}", next_step=_KEEP) from error
            for entry in entries:
                frontier.append(entry, leaf_hash(entry))
                if served:
                    self._copy_served(entry)
            if number % STEP_BUNDLES == STEP_BUNDLES - 1 or frontier.size == size:
                self._files.write({tile.path: content for tile, content in frontier.taken().items()})
            self._tell(f"{frontier.size:,} of {size:,} entries")

    def _copy_served(self, entry: bytes) -> None:
        if b'"served_c"' not in entry:
            return
        try:
            draft = entry_of(entry).draft
        except EntryInvalid as error:
            raise LogForged(f"An entry has another form: {error.message}", next_step=_KEEP) from error
        if not _ENTRY_ID.fullmatch(draft.id):
            raise LogForged(f"An entry has an id of another form: {draft.id[:80]!r}.", next_step=_KEEP)
        wanted = cast("dict[str, str]", draft.data["settled"])["served_c"]
        path = f"served/{draft.id}"
        content = self._server.file(path)
        if content is None:
            return
        if hashlib.sha256(content).hexdigest() != wanted:
            raise LogForged(f"{path} is not the served list that its entry commits to.", next_step=_KEEP)
        self._files.write({path: content})
        self._served += 1


@contextmanager
def mirror_at(place: Path, server: LogServer, *, keys: tuple[VerifierKey, ...], tell: Tell) -> Iterator[Mirror]:
    """Give the directory to copy into, which is made if it is not there, and keep other commands out of it.

    Raises:
        Usage: it is no directory, or another command is at work in it.
    """
    try:
        place.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Usage(f"{place} cannot be used: {error.strerror}.", next_step="Name a directory of yours.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Usage(f"Another export is at work in {place}.", next_step="Wait for its end.") from error
        yield Mirror(server, place, keys, tell)
    finally:
        os.close(descriptor)


def _require_same_log(known: Checkpoint, head: Checkpoint) -> None:
    if head.origin != known.origin:
        raise LogForged(
            f"The copy is of {known.origin}, the server has {head.origin}.",
            next_step="A new generation began, perhaps after a restore: export it into a directory of its own.",
        )
    if head.size < known.size or (head.size == known.size and head.root != known.root):
        raise LogForged(
            f"The server's head of size {head.size:,} is not one of the log that was copied up to {known.size:,}.",
            next_step=_KEEP,
        )


def _flush_failed(place: str, error: OSError) -> NoReturn:
    raise CliError(
        f"{place} may not be on the disk: {error.strerror}.", next_step="Look at the disk, and export again."
    )
