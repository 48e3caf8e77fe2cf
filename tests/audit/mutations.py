"""What may be done to a log by whoever holds its files but not its key, and a little by whoever holds that, too."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.audit.logs import KEY, ORIGIN, log_of, recorded

from loglease.audit.checkpoint import Checkpoint
from loglease.audit.merkle import HASH_BYTES, leaf_hash
from loglease.audit.note import SignedNote, SigningKey, sign_note
from loglease.audit.tiles import CHECKPOINT, ENTRIES, WIDTH, Tile, entries_of, tile_of
from loglease.audit.verify import tile_root

Files = dict[str, bytes]
OTHER_KEY = SigningKey(ORIGIN, b"\x08" * 32)


@dataclass(frozen=True)
class Case:
    """A log, and what somebody made of it.

    Attributes:
        missing: whether files are gone rather than changed, so that it can only be said that it cannot be checked.
        form: whether only the form of an entry is wrong; hashes and signature are right.
        kept: the checkpoint that somebody kept, where nothing but that tells.
        place: the file that has to be named, if it can be known.
        index: the entry that has to be named, if it can be known.
    """

    name: str
    files: Files
    missing: bool = False
    form: bool = False
    kept: bytes | None = None
    place: str | None = None
    index: int | None = None


@dataclass(frozen=True)
class Log:
    """A log that holds, and its entries."""

    entries: tuple[bytes, ...]
    files: Files

    @property
    def size(self) -> int:
        return len(self.entries)


def log(size: int) -> Log:
    entries = tuple(recorded(size))
    return Log(entries, log_of(entries))


def flipped(content: bytes, draw: Random) -> bytes:
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def other_entry(content: bytes, draw: Random) -> bytes:
    """Return an entry that is as good as another, and another."""
    digits = [place for place, letter in enumerate(content) if letter in b"0123456789"]
    place = draw.choice(digits[-40:])
    return content[:place] + bytes([(content[place] - 48 + draw.randint(1, 9)) % 10 + 48]) + content[place + 1 :]


def bundle_path(log: Log, index: int) -> str:
    return path_of(log, ENTRIES, index // WIDTH)


def path_of(log: Log, level: int, number: int) -> str:
    width = min(WIDTH, (log.size >> 8 * max(level, 0)) - number * WIDTH)
    return Tile(level, number, width).path


def put(log: Log, index: int, *entries: bytes) -> tuple[str, bytes]:
    """Return the bundle of an entry with others in its place."""
    path = bundle_path(log, index)
    found = entries_of(log.files[path], tile_of(path).width)
    found[index % WIDTH : index % WIDTH + 1] = entries
    return path, b"".join(len(one).to_bytes(2) + one for one in found)


def bit(log: Log, draw: Random) -> Case:
    path = draw.choice(sorted(log.files))
    return Case("a bit anywhere", {**log.files, path: flipped(log.files[path], draw)}, place=path)


def entry_changed(log: Log, draw: Random) -> Case:
    index = draw.randrange(log.size)
    path, content = put(log, index, other_entry(log.entries[index], draw))
    return Case("an entry", {**log.files, path: content}, place=path, index=index)


def entry_removed(log: Log, draw: Random) -> Case:
    index = draw.randrange(log.size)
    path, content = put(log, index)
    return Case("an entry taken out", {**log.files, path: content}, place=path)


def entry_doubled(log: Log, draw: Random) -> Case:
    index = draw.randrange(log.size)
    path, content = put(log, index, log.entries[index], log.entries[index])
    return Case("an entry twice", {**log.files, path: content}, place=path)


def entries_swapped(log: Log, draw: Random) -> Case | None:
    if log.size < 2:
        return None
    one, other = sorted(draw.sample(range(log.size), 2))
    files = dict(log.files)
    for here, there in ((one, other), (other, one)):
        path, content = put(Log(log.entries, files), here, log.entries[there])
        files[path] = content
    return Case("two entries in each other's place", files, place=bundle_path(log, one), index=one)


def files_swapped(log: Log, draw: Random) -> Case | None:
    tiles = sorted(path for path in log.files if path != CHECKPOINT)
    one, other = draw.sample(tiles, 2)
    if log.files[one] == log.files[other]:
        return None
    return Case("two files in each other's place", {**log.files, one: log.files[other], other: log.files[one]})


def file_removed(log: Log, draw: Random) -> Case:
    path = draw.choice(sorted(log.files))
    return Case("a file removed", {name: content for name, content in log.files.items() if name != path}, missing=True)


def file_cut(log: Log, draw: Random) -> Case:
    path = draw.choice(sorted(log.files))
    cut = log.files[path][: draw.randrange(len(log.files[path]))]
    return Case("a file cut short", {**log.files, path: cut}, place=path)


def file_longer(log: Log, draw: Random) -> Case:
    path = draw.choice(sorted(log.files))
    longer = log.files[path] + draw.choice([b"\x00", b"\n", b"\x00" * HASH_BYTES, log.files[path]])
    return Case("a file with more behind it", {**log.files, path: longer}, place=path)


def leaf_forged(log: Log, draw: Random) -> Case:
    """An entry and its leaf; what is above says otherwise."""
    index = draw.randrange(log.size)
    return Case("an entry and its leaf", rehashed(log, index, other_entry(log.entries[index], draw), levels=1))


def middle_rehashed(log: Log, draw: Random) -> Case | None:
    """An entry, and all hashes above up to some level; the root was not signed anew."""
    index = draw.randrange(log.size)
    top = max(tile_of(path).level for path in log.files if path != CHECKPOINT)
    return Case(
        "an entry and the hashes above",
        rehashed(log, index, other_entry(log.entries[index], draw), levels=draw.randint(1, top + 1)),
    )


def all_rehashed(log: Log, draw: Random) -> Case:
    """Another entry and the whole tree over it, under the old signature."""
    index = draw.randrange(log.size)
    files = whole(log, index, other_entry(log.entries[index], draw))
    return Case("all hashed again", {**files, CHECKPOINT: log.files[CHECKPOINT]}, place=CHECKPOINT)


def root_forged(log: Log, draw: Random) -> Case:
    """Another entry, the whole tree and its root, with the signature of the old root."""
    index = draw.randrange(log.size)
    files = whole(log, index, other_entry(log.entries[index], draw))
    old, new = (SignedNote.parse(one[CHECKPOINT]) for one in (log.files, files))
    return Case("another root", {**files, CHECKPOINT: SignedNote(new.text, old.signatures).encode()}, place=CHECKPOINT)


def signature_forged(log: Log, draw: Random) -> Case:
    note = SignedNote.parse(log.files[CHECKPOINT])
    one = note.signatures[0]
    forged = SignedNote(note.text, (one._replace(blob=draw.randbytes(64)),))
    return Case("a signature made up", {**log.files, CHECKPOINT: forged.encode()}, place=CHECKPOINT)


def other_signer(log: Log, draw: Random) -> Case:
    """Somebody else's key, which has the log's name; another history, or the same."""
    index = draw.randrange(log.size)
    entries = list(log.entries)
    if draw.random() < 0.5:
        entries[index] = other_entry(entries[index], draw)
    return Case("another key", log_of(entries, key=OTHER_KEY), missing=True)


def head_spelled_otherwise(log: Log, draw: Random) -> Case:
    """A head that is signed with the log's key, and is no checkpoint of this log."""
    head = Checkpoint.parse(SignedNote.parse(log.files[CHECKPOINT]).text)
    root = base64.b64encode(head.root).decode()
    texts = [
        f"{ORIGIN}\n0{head.size}\n{root}\n",
        f"{ORIGIN}\n{head.size}\n{root}\nextension\n",
        f"{ORIGIN}\n{head.size}\n{root.rstrip('=')}\n",
        f"{ORIGIN}\n-1\n{root}\n",
        f"{ORIGIN}\n{head.size + 1}\n{root}\n",
        f"{ORIGIN}\n{head.size}\n{base64.b64encode(draw.randbytes(32)).decode()}\n",
    ]
    text = draw.choice(texts)
    files = {**log.files, CHECKPOINT: sign_note(text, [KEY]).encode()}
    return Case("a head of another form", files, missing=f"\n{head.size + 1}\n" in text)


def twin(log: Log, draw: Random) -> Case:
    """The same entry in another spelling, with everything hashed and signed anew by the log's key."""
    index = draw.randrange(log.size)
    entry = log.entries[index]
    spelled = draw.choice(
        [
            entry.replace(b'"v":1', b'"v": 1'),
            entry.replace(b'"v":1', b'"v":1.0'),
            entry.replace(b'"type"', b'"\\u0074ype"'),
            entry + b"\n",
            b"{" + entry[entry.index(b'"at"') : -1] + b"," + entry[1 : entry.index(b',"at"')] + b"}",
            entry.replace(b'"v":1', b'"v":1,"v":1'),
            entry.replace(b'"v":1', b'"v":1,"x":1'),
            entry.replace(b'"data":{', b'"data":{"x":null,'),
        ]
    )
    return Case("a twin that is not canonical", whole(log, index, spelled), form=True, index=index)


def tail_dropped(log: Log, draw: Random) -> Case:
    """A shorter log that is well signed: the end is gone, or an old state is shown again."""
    size = draw.randrange(log.size)
    return Case("the end dropped", log_of(log.entries[:size]), kept=log.files[CHECKPOINT], index=size)


def checkpoint_replayed(log: Log, draw: Random) -> Case:
    """The files of now under a checkpoint of then."""
    size = draw.randrange(log.size)
    old = log_of(log.entries[:size])
    return Case("an old checkpoint", {**log.files, **old}, kept=log.files[CHECKPOINT], index=size)


def history_rewritten(log: Log, draw: Random) -> Case:
    """Another history, as long or longer, well signed."""
    index = draw.randrange(log.size)
    entries = [*log.entries, *recorded(draw.choice([0, 1, 300]), log.size)]
    entries[index] = other_entry(entries[index], draw)
    return Case("another history", log_of(entries), kept=log.files[CHECKPOINT])


def whole(log: Log, index: int, entry: bytes) -> Files:
    """Return the log with another entry, hashed and signed as if it had always been so."""
    return log_of([*log.entries[:index], entry, *log.entries[index + 1 :]])


def rehashed(log: Log, index: int, entry: bytes, *, levels: int) -> Files:
    """Return the log with another entry, and the hashes over it in tiles of so many levels."""
    path, content = put(log, index, entry)
    files = {**log.files, path: content}
    mark, number = leaf_hash(entry), index
    for level in range(levels):
        tile, place = divmod(number, WIDTH)
        path = path_of(log, level, tile)
        if path not in files:
            break
        packed = bytearray(files[path])
        packed[place * HASH_BYTES : (place + 1) * HASH_BYTES] = mark
        files[path] = bytes(packed)
        if tile_of(path).width < WIDTH:
            break
        mark, number = tile_root(bytes(packed)), tile
    return files


MUTATIONS: tuple[Callable[[Log, Random], Case | None], ...] = (
    bit,
    bit,
    bit,
    entry_changed,
    entry_removed,
    entry_doubled,
    entries_swapped,
    files_swapped,
    file_removed,
    file_cut,
    file_longer,
    leaf_forged,
    middle_rehashed,
    all_rehashed,
    root_forged,
    signature_forged,
    other_signer,
    head_spelled_otherwise,
    twin,
    tail_dropped,
    checkpoint_replayed,
    history_rewritten,
)


def drawn(logs: list[Log], count: int, seed: int) -> list[Case]:
    """Return so many cases, each kind as often as the others."""
    draw = Random(seed)  # noqa: S311 - it draws tests
    cases: list[Case] = []
    while len(cases) < count:
        made = MUTATIONS[len(cases) % len(MUTATIONS)](draw.choice(logs), draw)
        if made is not None:
            cases.append(made)
    return cases
