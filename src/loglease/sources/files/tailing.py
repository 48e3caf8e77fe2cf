"""All files of one watch: which are new, the same under another name, replaced, copied, gone.

The rules, in the order in which they are asked of a file that is not being read yet:

* Device, inode and first bytes are those of a known position: go on there.
* It is compressed, or a copy beside a file whose name begins its own, and its first bytes are those of a file that we
  read: wait until that one ends, then go on at its position. Mostly nothing is left to read, which is what rotating
  and then compressing or truncating asks for.
* Otherwise it is new.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from loglease.sources.files.catalogue import FilePosition
from loglease.sources.files.configuration import FileSourceConfig, Watch
from loglease.sources.files.storage import Storage
from loglease.sources.files.tail import Entries, Tail
from loglease.sources.files.watch import (
    HEAD_BYTES,
    Opened,
    PackedUnreadable,
    PathLabels,
    digest_of,
    head_of,
    is_packed,
    open_inside,
    paths_of,
)

_NS: Final = 10**9
_log = logging.getLogger(__name__)

FileKey = tuple[int, int]
Sink = Callable[[Iterable[Entries]], None]


class WatchTails:
    """The files of one watch that are being read. `rescan` is set where another scan at once would find more."""

    def __init__(self, watch: Watch, configuration: FileSourceConfig, storage: Storage) -> None:
        self._watch = watch
        self._configuration = configuration
        self._storage = storage
        self._labels = PathLabels(watch)
        self._tails: dict[FileKey, Tail] = {}
        self._settled: dict[FileKey, tuple[str, int, int]] = {}
        self._started = False
        self.rescan = False

    def close(self) -> None:
        """Close all files."""
        for tail in self._tails.values():
            tail.close()
        self._tails.clear()

    def positions(self) -> list[FilePosition]:
        """Return the positions of the files that are being read."""
        return [tail.position for tail in self._tails.values()]

    def advance(self, sink: Sink, *, now_ns: int, arrived_ns: int) -> bool:
        """Read one chunk of every file; say whether there may be more at once."""
        more = False
        for key, tail in list(self._tails.items()):
            before = tail.read_to
            try:
                sink(tail.pull(now_ns, arrived_ns))
            except PackedUnreadable:
                self._put_aside(key, tail)
                continue
            if tail.read_to > before:
                more = True
            elif tail.truncated():
                self._restart(tail, sink, now_ns=now_ns, arrived_ns=arrived_ns)
                more = self.rescan = True
            elif tail.packed:
                self._end_packed(key, tail, sink, now_ns=now_ns, arrived_ns=arrived_ns)
            else:
                sink(tail.overdue(now_ns, arrived_ns))
        return more

    def scan(self, sink: Sink, *, now_ns: int, arrived_ns: int) -> None:
        """See which files there are, begin new ones, restart truncated ones, end those that are gone."""
        self.rescan = False
        for tail in self._tails.values():
            if tail.truncated():
                self._restart(tail, sink, now_ns=now_ns, arrived_ns=arrived_ns)
        seen: set[FileKey] = set()
        for path in paths_of(self._watch):
            key = self._look(path, now_ns)
            if key is not None:
                seen.add(key)
        if not self._started:
            self._started = True
            self._find_renamed(now_ns)
        for key in [key for key in self._tails if key not in seen]:
            self._maybe_end(key, sink, now_ns=now_ns, arrived_ns=arrived_ns)
        for key in [key for key in self._settled if key not in seen]:
            del self._settled[key]

    def _look(self, path: str, now_ns: int) -> FileKey | None:
        try:
            found = Path(path).stat()
        except OSError:
            return None
        key = (found.st_dev, found.st_ino)
        tail = self._tails.get(key)
        if tail is not None:
            tail.gone_since_ns = None
        elif self._settled.get(key) != (path, found.st_size, found.st_mtime_ns):
            self._meet(path, now_ns)
        return key

    def _settle(self, opened: Opened) -> None:
        self._settled[opened.device, opened.inode] = (opened.path, opened.size, opened.changed_ns)
        opened.close()

    def _meet(self, path: str, now_ns: int, *, named: str | None = None) -> None:
        """Decide about a file that is not being read; `named` is the path that its labels come from."""
        opened = open_inside(path, self._watch.root)
        if opened is None:
            return
        key = (opened.device, opened.inode)
        labels = self._labels.labels(named or path)
        if labels is None or key in self._tails:
            self._settle(opened)
            return
        try:
            head = head_of(opened)
            position = self._position(opened, head, named or path)
            if position is None:
                opened.close()  # a copy of what is being read: asked again at the next scan
                return
            if opened.size == position.packed_size:
                self._settle(opened)
                return
            stream = self._storage.stream_number(labels)
            tail = Tail(opened, position, stream=stream, watch=self._watch, configuration=self._configuration)
        except PackedUnreadable:
            self._settle(opened)
            return
        tail.active_ns = now_ns
        self._tails[key] = tail

    def _position(self, opened: Opened, head: bytes, path: str) -> FilePosition | None:
        """Return where to begin, None to wait."""
        known = self._known(opened, head)
        if known is not None:
            return replace(known, finished=False)
        fresh = FilePosition(
            id=self._storage.next_file_number(),
            watch=self._watch.key,
            path=path,
            device=opened.device,
            inode=opened.inode,
            head_size=len(head),
            head=digest_of(head),
        )
        original = self._original(opened, head)
        if original is None:
            return fresh
        if any(tail.position.id == original.id for tail in self._tails.values()):
            return None
        return replace(
            fresh,
            offset=original.offset,
            format=original.format,
            settled=original.settled,
            last_ns=original.last_ns,
        )

    def _mine(self) -> Iterator[FilePosition]:
        """Yield the positions of this watch, those being read as they are now, the newest first."""
        reading = {tail.position.id: tail.position for tail in self._tails.values()}
        stored = {p.id: p for p in self._storage.positions() if p.watch == self._watch.key}
        for _, position in sorted((stored | reading).items(), reverse=True):
            yield position

    def _known(self, opened: Opened, head: bytes) -> FilePosition | None:
        for position in self._mine():
            if (position.device, position.inode) != (opened.device, opened.inode):
                continue
            shrunk = opened.size < position.offset and not is_packed(opened.path)
            return None if shrunk or not _begins(head, position) else position
        return None

    def _original(self, opened: Opened, head: bytes) -> FilePosition | None:
        if not head:
            return None
        packed = is_packed(opened.path)
        for position in self._mine():
            named_after = opened.path.startswith(position.path) and opened.path != position.path
            whole = position.head_size == HEAD_BYTES
            if (named_after or (packed and whole)) and position.head_size and _begins(head, position):
                return position
        return None

    def _restart(self, tail: Tail, sink: Sink, *, now_ns: int, arrived_ns: int) -> None:
        if tail.waiting and not self._has_copy(tail):
            sink(tail.overdue(now_ns, arrived_ns, force=True))
        self._storage.note(replace(tail.position, finished=True))
        tail.restart(self._storage.next_file_number())

    def _has_copy(self, tail: Tail) -> bool:
        """Say whether some file holds what was in this one, so that its unfinished line is read there."""
        for path in paths_of(self._watch):
            if not path.startswith(tail.position.path) or path == tail.position.path:
                continue
            opened = open_inside(path, self._watch.root)
            if opened is None:
                continue
            try:
                unknown = (opened.device, opened.inode) not in self._tails
                if unknown and _begins(head_of(opened), tail.position):
                    return True
            except PackedUnreadable:
                continue
            finally:
                opened.close()
        return False

    def _find_renamed(self, now_ns: int) -> None:
        """At start: look for files that were renamed away from the pattern while nobody read them."""
        reading = {tail.position.id for tail in self._tails.values()}
        lost = [p for p in self._mine() if not p.finished and p.id not in reading and not is_packed(p.path)]
        for position in lost:
            path = _path_of_inode(Path(position.path).parent, position.inode)
            if path is not None:
                self._meet(path, now_ns, named=position.path)
            if all(tail.position.id != position.id for tail in self._tails.values()):
                self._storage.note(replace(position, finished=True))

    def _maybe_end(self, key: FileKey, sink: Sink, *, now_ns: int, arrived_ns: int) -> None:
        """End a file that has no matching name any more, once nothing has come for a while."""
        tail = self._tails[key]
        if tail.gone_since_ns is None:
            tail.gone_since_ns = now_ns
        configuration = self._configuration
        linger_s = configuration.unlinked_linger_s if tail.unlinked() else configuration.linger_s
        if now_ns - max(tail.gone_since_ns, tail.active_ns) < linger_s * _NS:
            return
        sink(tail.pull(now_ns, arrived_ns))
        if tail.active_ns == now_ns and tail.waiting:
            return
        sink(tail.overdue(now_ns, arrived_ns, force=True))
        self._finish(key, tail)

    def _finish(self, key: FileKey, tail: Tail) -> None:
        self._storage.note(replace(tail.position, finished=True))
        tail.close()
        del self._tails[key]

    def _end_packed(self, key: FileKey, tail: Tail, sink: Sink, *, now_ns: int, arrived_ns: int) -> None:
        opened = tail.opened
        found = os.fstat(opened.descriptor)
        if (found.st_size, found.st_mtime_ns) != (opened.size, opened.changed_ns):
            tail.close()  # it was still being written: met again at the next scan
            del self._tails[key]
            self.rescan = True
            return
        wait_ns = self._configuration.unfinished_line_s * _NS
        if tail.waiting and now_ns - tail.active_ns < wait_ns:
            return
        sink(tail.overdue(now_ns, arrived_ns, force=True))
        tail.position = replace(tail.position, packed_size=opened.size)
        self._finish(key, tail)
        self._settled[key] = (opened.path, opened.size, opened.changed_ns)

    def _put_aside(self, key: FileKey, tail: Tail) -> None:
        """Stop reading a compressed file that cannot be unpacked further, until it changes."""
        _log.warning("file_source.packed_unreadable", extra={"file": tail.position.id})
        opened = tail.opened
        tail.close()
        del self._tails[key]
        self._settled[key] = (opened.path, opened.size, opened.changed_ns)


def _begins(head: bytes, position: FilePosition) -> bool:
    """Say whether first bytes are those of a known file."""
    return len(head) >= position.head_size and digest_of(head[: position.head_size]) == position.head


def _path_of_inode(folder: Path, inode: int) -> str | None:
    try:
        with os.scandir(folder) as entries:
            return next((entry.path for entry in entries if entry.inode() == inode), None)
    except OSError:
        return None
