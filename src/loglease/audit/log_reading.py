"""A log as files: its checkpoint, tiles and entry bundles, read through a function from a path to bytes.

Nothing here is checked against a root. What is missing and what is there but wrong are different errors: the one means
that nobody knows, the other that somebody changed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from loglease.audit.checkpoint import Checkpoint, is_later, open_checkpoint
from loglease.audit.merkle import HASH_BYTES, check_inclusion, inclusion_proof, leaf_hash
from loglease.audit.note import NoteInvalid, SignedNote, VerifierKey, signers_of
from loglease.audit.proof import InclusionProof
from loglease.audit.tiles import (
    CHECKPOINT,
    ENTRIES,
    HEIGHT,
    WIDTH,
    Tile,
    TileInvalid,
    entries_of,
    entry_in,
    hashes_from,
)
from loglease.model.errors import LogLeaseError

Read = Callable[[str], bytes | None]
"""Return the file at a path below the log's prefix; None if there is none."""

_LENGTH_BYTES: Final = 2


class LogIncomplete(LogLeaseError):
    """A file of the log is not there, so what it holds cannot be checked.

    Args:
        path: of the file, below the log's prefix.
    """

    code = "log_incomplete"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is missing, so this log cannot be checked.",
            next_step="Check the address, fetch the file again, or check from a later entry on with --from.",
        )
        self.path = path


class LogTampered(LogLeaseError):
    """Something in the log is there and is not what was signed.

    Args:
        place: the file.
        detail: what is wrong, as it follows the place.
        index: of the first entry that is concerned; None where nothing of the log holds.
        holds: the entries that were found to hold, from the first that was checked to the last; None if there is none.
    """

    code = "log_tampered"

    def __init__(self, place: str, detail: str, *, index: int | None = None, holds: range | None = None) -> None:
        held = f"; #{holds.start} to #{holds[-1]} hold" if holds else ""
        super().__init__(
            f"{detail}{held}",
            next_step="Keep this copy and compare it with another one, and with heads that others kept.",
        )
        self.place = place
        self.detail = detail
        self.index = index
        self.holds = holds

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it come from another process."""
        return partial(LogTampered, index=self.index, holds=self.holds), (self.place, self.detail)


class KeyUnknown(LogLeaseError):
    """None of the keys that were given has signed the checkpoint."""

    code = "log_key_unknown"


def width_of(size: int, level: int, number: int) -> int:
    """Return how many hashes or entries a tile has in a log of `size`."""
    return min(WIDTH, (size >> max(level, 0) * HEIGHT) - number * WIDTH)


def read_head(
    read: Read, keys: tuple[VerifierKey, ...], path: str = CHECKPOINT
) -> tuple[Checkpoint, list[VerifierKey]]:
    """Return the signed head of a log, and which of the keys signed it.

    Raises:
        LogIncomplete: there is no checkpoint.
        LogTampered: it is none, or a signature of one of the keys does not hold.
        KeyUnknown: none of the keys has signed it.
    """
    content = read(path)
    if content is None:
        raise LogIncomplete(path)
    try:
        note = SignedNote.parse(content)
        checkpoint = Checkpoint.parse(note.text)
        known = [key for key in keys if key.name == checkpoint.origin]
        signers = signers_of(note, known)
    except NoteInvalid as error:
        raise LogTampered(path, f"{path} is not a signed head: {error.message}") from error
    if not signers:
        named = ", ".join(f"{one.name}+{one.key_id.hex()}" for one in note.signatures)
        raise KeyUnknown(
            f"None of the keys that were given has signed {path} of {checkpoint.origin}; it is signed by {named}.",
            next_step=_key_wanted(checkpoint.origin, keys),
        )
    return open_checkpoint(content, signers), signers


def _key_wanted(origin: str, keys: Sequence[VerifierKey]) -> str:
    older = next((one.name for one in keys if is_later(origin, one.name)), None)
    if older is None:
        return "Give the log's public key with --key, as its operator published it."
    return (
        f"It is a later generation of {older}, with a key of its own: ask its operator why it began, and for the key."
        f" Its entry log.restored says how far {older} went; verify that one where it was left."
    )


def unsigned_head(read: Read) -> tuple[Checkpoint, bytes]:
    """Return the head of a log as its checkpoint says, and the checkpoint; no signature is checked.

    Raises:
        LogIncomplete: there is no checkpoint.
        LogTampered: it is none.
    """
    note = read(CHECKPOINT)
    if note is None:
        raise LogIncomplete(CHECKPOINT)
    try:
        return Checkpoint.parse(SignedNote.parse(note).text), note
    except NoteInvalid as error:
        raise LogTampered(CHECKPOINT, f"{CHECKPOINT} is not a signed head: {error.message}") from error


def tile_content(read: Read, tile: Tile) -> bytes:
    """Return the hashes of a tile, joined. A full one stands in for a partial one that was removed.

    Raises:
        LogIncomplete: neither is there.
        LogTampered: it has another length.
    """
    content, place, width = _content(read, tile)
    if len(content) != width * HASH_BYTES:
        raise LogTampered(
            place,
            f"{place} has {len(content):,} bytes, not {width * HASH_BYTES:,}",
            index=tile.number << (tile.level + 1) * HEIGHT,
        )
    return content[: tile.width * HASH_BYTES]


def bundle_content(read: Read, number: int, width: int) -> tuple[bytes, list[bytes], str | None]:
    """Return a bundle, the entries in it and, if they are not as many as they should, what is wrong with it.

    Raises:
        LogIncomplete: it is not there.
    """
    content, place, whole = _content(read, Tile(ENTRIES, number, width))
    try:
        return content, entries_of(content, whole)[:width], None
    except TileInvalid as error:
        return content, list(_whole_entries(content))[:width], f"{place} is damaged: {error.message}"


def entry_at(read: Read, index: int, size: int) -> bytes:
    """Return the bytes of one entry, as they stand in its bundle.

    Raises:
        LogIncomplete: the bundle is not there.
        LogTampered: the bundle is damaged.
    """
    number, offset = divmod(index, WIDTH)
    width = width_of(size, ENTRIES, number)
    content, place, _ = _content(read, Tile(ENTRIES, number, width))
    entry = entry_in(content, offset)
    if entry is None:
        first = number * WIDTH + len(list(_whole_entries(content)))
        raise LogTampered(place, f"{place} is damaged: it ends before entry {index}", index=first)
    return entry


def index_of(read: Read, entry_id: str, size: int) -> int | None:
    """Return the index of the entry with this id, the newest bundle searched first; None if there is none.

    Raises:
        LogIncomplete: a bundle is not there.
    """
    wanted = b'"id":"%b"' % entry_id.encode()
    for number in reversed(range((size + WIDTH - 1) // WIDTH)):
        content, entries, _ = bundle_content(read, number, width_of(size, ENTRIES, number))
        if wanted not in content:
            continue
        for offset, entry in enumerate(entries):
            if wanted in entry:
                return number * WIDTH + offset
    return None


def prove(read: Read, index: int, *, extra: bool = False) -> tuple[InclusionProof, bytes]:
    """Return the proof that an entry is in the log, and the entry.

    The proof leads to the root in the checkpoint; whether a trusted key signed that is for whoever checks the proof.

    Args:
        index: of the entry.
        extra: put the entry's bytes into the proof.

    Raises:
        LogIncomplete: a file that is needed is not there.
        LogTampered: the checkpoint is none, or what is there does not lead to it.
        ProofInvalid: there is no such entry.
    """
    checkpoint, note = unsigned_head(read)
    hashes = inclusion_proof(
        index, checkpoint.size, hashes_from(lambda tile: tile_content(read, tile), checkpoint.size)
    )
    content = entry_at(read, index, checkpoint.size)
    try:
        check_inclusion(leaf_hash(content), index, checkpoint.size, checkpoint.root, hashes)
    except LogLeaseError as error:
        place = Tile(ENTRIES, index // WIDTH, width_of(checkpoint.size, ENTRIES, index // WIDTH)).path
        raise LogTampered(
            place,
            f"entry {index} in {place} and the tiles above it do not lead to the root in {CHECKPOINT}",
            index=index,
        ) from error
    return InclusionProof(index, tuple(hashes), note, content if extra else None), content


def _content(read: Read, tile: Tile) -> tuple[bytes, str, int]:
    """Return a file, its path and the width that it should have."""
    content = read(tile.path)
    if content is not None:
        return content, tile.path, tile.width
    if not tile.is_full:
        full = tile._replace(width=WIDTH)
        content = read(full.path)
        if content is not None:
            return content, full.path, WIDTH
    raise LogIncomplete(tile.path)


def _whole_entries(content: bytes) -> Iterator[bytes]:
    """Yield the entries of a damaged bundle as far as their lengths say."""
    place = 0
    while place + _LENGTH_BYTES <= len(content):
        begin = place + _LENGTH_BYTES
        place = begin + int.from_bytes(content[place:begin])
        if place > len(content):
            return
        yield content[begin:place]
