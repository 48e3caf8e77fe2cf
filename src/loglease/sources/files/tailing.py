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
from array import array
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from loglease.model.labels import Labels
from loglease.sources.files.catalogue import FilePosition
from loglease.sources.files.configuration import FileSourceConfig, Watch
from loglease.sources.files.known import KnownFiles, begins_as
from loglease.sources.files.storage import Storage
from loglease.sources.files.tail import Entries, Tail
from loglease.sources.files.watch import (
    Opened,
    PackedUnreadable,
    PathLabels,
    digest_of,
    head_of,
    is_packed,
    open_inside,
    paths_of,
)

TELLING_HEAD_BYTES: Final = 64
OPEN_AT_ONCE: Final = 64
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
        self._left_out = False
        self._open = 0
        self._gathered: KnownFiles | None = None
        self._undecided: dict[FileKey, tuple[int, tuple[int, int]]] = {}

    def close(self) -> None:
        """Close all files."""
        for tail in self._tails.values():
            tail.close()
        self._tails.clear()

    def advance(self, sink: Sink, *, now_ns: int, arrived_ns: int) -> bool:
        """Read one chunk of every file; say whether there may be more at once."""
        more = False
        for key, tail in list(self._tails.items()):
            if tail.parked:
                continue
            before = tail.read_to
            try:
                sink(tail.pull(now_ns, arrived_ns))
            except PackedUnreadable:
                self._put_aside(key, tail)
                continue
            if tail.read_to > before:
                more = True
            elif tail.truncated():
                self._end_truncated(key, tail, sink, now_ns=now_ns, arrived_ns=arrived_ns)
                self.rescan = True
            elif tail.packed:
                self._end_packed(key, tail, sink, now_ns=now_ns, arrived_ns=arrived_ns)
            else:
                sink(tail.overdue(now_ns, arrived_ns))
        return more

    def scan(self, sink: Sink, *, now_ns: int, arrived_ns: int) -> None:
        """See which files there are, begin new ones, end those that were truncated or are gone."""
        self.rescan = self._left_out = False
        self._gathered = None
        for key, tail in list(self._tails.items()):
            if tail.truncated():
                self._end_truncated(key, tail, sink, now_ns=now_ns, arrived_ns=arrived_ns)
        seen: set[FileKey] = set()
        for path in paths_of(self._watch):
            looked_at = self._look(path, sink, now_ns)
            if looked_at is not None:
                seen.add(looked_at)
        if not self._started:
            self._started = True
            self._find_renamed(now_ns)
        for key in [key for key in self._tails if key not in seen]:
            self._maybe_end(key, sink, now_ns=now_ns, arrived_ns=arrived_ns)
        for noted in (self._settled, self._undecided):
            for key in noted.keys() - seen:
                del noted[key]

    def park(self) -> None:
        """Close the files that have had nothing new for longest, where too many are open."""
        resting = [tail for tail in self._tails.values() if not tail.parked]
        surplus = len(resting) - self._configuration.open_files
        resting.sort(key=lambda tail: tail.active_ns)
        for tail in resting:
            if surplus <= 0:
                break
            if tail.park():
                surplus -= 1
                self.rescan |= self._left_out
        self._open = sum(not tail.parked for tail in self._tails.values())

    def _revive(self, key: FileKey, path: str, labels: Labels | None, sink: Sink, now_ns: int) -> bool:
        """Open a parked file again, or end it and say no.

        SECURITY: meanwhile its inode may belong to another file, under other labels, so what does not begin as it did,
        or has other labels now, is not the same.
        Test: tests/sources/files/test_watch.py::test_a_parked_inode_that_was_reused_is_new.
        """
        tail = self._tails[key]
        opened = open_inside(path, self._watch.root)
        if opened is not None:
            same = (opened.device, opened.inode) == key and opened.size >= tail.read_to
            same = same and labels == self._storage.streams[tail.stream] and tail.position.head_size > 0
            if same and begins_as(head_of(opened), tail.position):
                tail.resume(opened)
                tail.active_ns = now_ns
                return True
            opened.close()
        self._finish(key, tail, sink)
        self._gathered = None
        return False

    def _look(self, path: str, sink: Sink, now_ns: int) -> FileKey | None:
        try:
            found = Path(path).stat()
        except OSError:
            return None
        key = (found.st_dev, found.st_ino)
        tail = self._tails.get(key)
        if tail is not None and tail.parked:
            changed = tail.changed_since_parked(found.st_size, found.st_mtime_ns)
            if changed and not self._revive(key, path, self._labels.labels(path), sink, now_ns):
                self._meet(path, now_ns)
        elif tail is not None:
            tail.gone_since_ns = None
        elif self._settled.get(key) != (path, found.st_size, found.st_mtime_ns):
            # Files that are new wait while too many are open, so that clients of the server find descriptors.
            if self._open > self._configuration.open_files + OPEN_AT_ONCE:
                self._left_out = True
            else:
                self._meet(path, now_ns)
        return key

    def _settle(self, opened: Opened) -> None:
        self._settled[opened.device, opened.inode] = (opened.path, opened.size, opened.changed_ns)
        opened.close()

    def _meet(self, path: str, now_ns: int, *, named: str | None = None) -> None:
        """Decide about a file that is not being read; `named` is the old name of one that is the same for sure."""
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
            position = self._position(opened, head, named or path, now_ns)
            if position is None:
                opened.close()  # asked again at the next scan
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
        self._open += 1
        self._undecided.pop(key, None)
        self._known().add(position)

    def _position(self, opened: Opened, head: bytes, path: str, now_ns: int) -> FilePosition | None:
        """Return where to begin; None to wait, for a copy of what is being read or one that is not yet whole."""
        known = self._known().same_file(opened, head)
        if known is not None:
            return replace(known, finished=False)
        original = self._known().original(opened, head)
        if original is None and self._known().undecided(opened, head) and not self._rests(opened, now_ns):
            return None
        fresh = FilePosition(
            id=self._storage.next_file_number(),
            watch=self._watch.key,
            path=path,
            device=opened.device,
            inode=opened.inode,
            head_size=len(head),
            head=digest_of(head),
        )
        if original is None:
            return fresh
        if any(tail.position.id == original.id for tail in self._tails.values()):
            return None
        return replace(
            fresh,
            # Lines written between the copy and the truncation are in the original only.
            offset=original.offset if is_packed(opened.path) else min(original.offset, opened.size),
            format=original.format,
            settled=original.settled,
            last_ns=original.last_ns,
        )

    def _known(self) -> KnownFiles:
        """Return what is known, gathered once in each scan."""
        if self._gathered is None:
            stored = {p.id: p for p in self._storage.positions() if p.watch == self._watch.key}
            reading = {tail.position.id: tail.position for tail in self._tails.values()}
            self._gathered = KnownFiles((stored | reading).values())
        return self._gathered

    def _rests(self, opened: Opened, now_ns: int) -> bool:
        """Say whether a file has not changed for as long as an unfinished line waits."""
        key = (opened.device, opened.inode)
        state = (opened.size, opened.changed_ns)
        since_ns, before = self._undecided.get(key, (now_ns, state))
        if before != state:
            since_ns = now_ns
        self._undecided[key] = (since_ns, state)
        return now_ns - since_ns >= self._configuration.unfinished_line_s * _NS

    def _end_truncated(self, key: FileKey, tail: Tail, sink: Sink, *, now_ns: int, arrived_ns: int) -> None:
        """End what the file was; what it is now is met as a new file, under the labels of its present name."""
        if tail.waiting and not self._has_copy(tail):
            sink(tail.overdue(now_ns, arrived_ns, force=True))
        self._finish(key, tail, sink)

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
                if unknown and begins_as(head_of(opened), tail.position):
                    return True
            except PackedUnreadable:
                continue
            finally:
                opened.close()
        return False

    def _find_renamed(self, now_ns: int) -> None:
        """At start: look for files that were renamed away from the pattern while nobody read them."""
        reading = {tail.position.id for tail in self._tails.values()}
        mine = [p for p in self._storage.positions() if p.watch == self._watch.key]
        for position in mine:
            if position.finished or position.id in reading or is_packed(position.path):
                continue
            path = self._renamed_path(position)
            if path is not None:
                self._meet(path, now_ns, named=position.path)
            if all(tail.position.id != position.id for tail in self._tails.values()):
                self._storage.note(replace(position, finished=True))

    def _renamed_path(self, position: FilePosition) -> str | None:
        """Return where a file is that has no matching name any more.

        SECURITY: it keeps the labels of its old name, so it must be the same file beyond doubt: an inode alone may
        have been given to another one.
        Test: tests/sources/files/test_watch.py::test_an_inode_that_was_reused_gets_no_labels_of_the_old_name.
        """
        if position.head_size < TELLING_HEAD_BYTES:
            return None
        path = _path_of_inode(Path(position.path).parent, position.inode)
        opened = None if path is None else open_inside(path, self._watch.root)
        if opened is None:
            return None
        same = (opened.device, opened.inode) == (position.device, position.inode)
        same = same and not is_packed(opened.path) and opened.size >= position.offset
        same = same and begins_as(head_of(opened), position)
        opened.close()
        return path if same else None

    def _maybe_end(self, key: FileKey, sink: Sink, *, now_ns: int, arrived_ns: int) -> None:
        """End a file that has no matching name any more, once nothing has come for a while."""
        tail = self._tails[key]
        if tail.parked:
            path = self._renamed_path(tail.position)
            labels = self._storage.streams[tail.stream]
            if path is None:
                self._finish(key, tail, sink)
            if path is None or not self._revive(key, path, labels, sink, now_ns):
                return
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
        self._finish(key, tail, sink)

    def _finish(self, key: FileKey, tail: Tail, sink: Sink) -> None:
        sink([_finished(tail)])
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
        self._finish(key, tail, sink)
        self._settled[key] = (opened.path, opened.size, opened.changed_ns)

    def _put_aside(self, key: FileKey, tail: Tail) -> None:
        """Stop reading a compressed file that cannot be unpacked further, until it changes."""
        _log.warning("file_source.packed_unreadable", extra={"file": tail.position.id})
        opened = tail.opened
        tail.close()
        del self._tails[key]
        self._settled[key] = (opened.path, opened.size, opened.changed_ns)


def _finished(tail: Tail) -> Entries:
    return Entries(tail.stream, array("q"), [], replace(tail.position, finished=True))


def _path_of_inode(folder: Path, inode: int) -> str | None:
    try:
        with os.scandir(folder) as entries:
            return next((entry.path for entry in entries if entry.inode() == inode), None)
    except OSError:
        return None
