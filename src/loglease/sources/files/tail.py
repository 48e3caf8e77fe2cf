"""One file that is being read: from its bytes to entries with times, and the position that goes with them."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace

from loglease.sources.files.catalogue import FilePosition
from loglease.sources.files.configuration import FileSourceConfig, Watch
from loglease.sources.files.formats import FileTimes
from loglease.sources.files.joiner import LineSplitter, Run, joiner_of
from loglease.sources.files.watch import HEAD_BYTES, Content, Opened, PackedContent, PlainContent, digest_of, is_packed

CHUNK_BYTES = 256 << 10
_NS = 10**9


@dataclass(slots=True)
class Entries:
    """Entries of one stream in order, and the position of their file once they are stored; perhaps only the latter."""

    stream: int
    times: array[int]
    text: list[bytes]
    position: FilePosition


class Tail:
    """Reads one open file on. The position moves with the entries it gives; what waits inside lies behind it."""

    def __init__(
        self,
        opened: Opened,
        position: FilePosition,
        *,
        stream: int,
        watch: Watch,
        configuration: FileSourceConfig,
    ) -> None:
        self.opened = opened
        self.position = position
        self.stream = stream
        self.packed = is_packed(opened.path)
        self.parked = False
        self.gone_since_ns: int | None = None
        self.active_ns = 0
        self._configuration = configuration
        self._unpacked: PackedContent | None = None
        self._stat = (-1, -1)
        self._replaced = False
        self.read_to = position.offset
        midline = False
        if self.packed:
            self._unpacked = PackedContent(opened.descriptor, opened.path, self.read_to)
            self._content: Content = self._unpacked
        else:
            self._content = PlainContent(opened.descriptor, self.read_to)
            midline = self.read_to > 0 and os.pread(opened.descriptor, 1, self.read_to - 1) not in {b"\n", b""}
        self._splitter = LineSplitter(configuration.max_line_bytes, midline=midline)
        self._joiner = joiner_of(watch.multiline, wait_ns=round(configuration.group_wait_s * _NS))
        self._times = FileTimes(watch.timestamp, watch.zone, position.last_ns)
        if position.settled:
            self._times.settle(position.format)

    def close(self) -> None:
        """Close the file."""
        if self._unpacked is not None:
            self._unpacked.close()
        if not self.parked:
            self.opened.close()

    def park(self) -> bool:
        """Close the descriptor until the file changes, if nothing waits; say whether that was done."""
        if self.parked or self.packed or self.waiting or self.gone_since_ns is not None:
            return False
        found = os.fstat(self.opened.descriptor)
        if found.st_size != self.read_to or self._has_another_head():
            return False
        self._stat = (found.st_size, found.st_mtime_ns)
        self.opened.close()
        self.parked = True
        return True

    def resume(self, opened: Opened) -> None:
        """Go on with a new descriptor of the same file."""
        self.opened = opened
        self.parked = False
        self._content = PlainContent(opened.descriptor, self.read_to)

    def changed_since_parked(self, size: int, changed_ns: int) -> bool:
        """Say whether a parked file is not as it was when it was last looked at."""
        return (size, changed_ns) != self._stat

    @property
    def waiting(self) -> bool:
        """Whether bytes were read that no entry has used up."""
        return self.position.offset < self.read_to

    def pull(self, now_ns: int, arrived_ns: int) -> Iterator[Entries]:
        """Read one chunk and yield the entries that it completes.

        Args:
            now_ns: boot time, for waits.
            arrived_ns: wall time, the latest that a file's own time may say.

        Raises:
            PackedUnreadable: a compressed file ends too early or is damaged.
        """
        data = self._content.read(CHUNK_BYTES)
        if data and not self._replaced_while_reading(data):
            self.active_ns = now_ns
            self.read_to += len(data)
            for run in self._splitter.feed(data):
                for joined in self._joiner.feed(run, now_ns):
                    yield self._entries(joined, arrived_ns)

    def overdue(self, now_ns: int, arrived_ns: int, *, force: bool = False) -> Iterator[Entries]:
        """Yield what has waited long enough for the end of its line or group; with `force` all that waits."""
        wait_ns = round(self._configuration.unfinished_line_s * _NS)
        if force or now_ns - self.active_ns >= wait_ns:
            run = self._splitter.flush()
            if run is not None:
                for joined in self._joiner.feed(run, now_ns):
                    yield self._entries(joined, arrived_ns)
        group = self._joiner.due(now_ns, force=force)
        if group is not None:
            yield self._entries(group, arrived_ns)

    def _entries(self, run: Run, arrived_ns: int) -> Entries:
        file_ns = min(os.fstat(self.opened.descriptor).st_mtime_ns, arrived_ns)
        times = self._times.times(run.entries, file_ns=file_ns)
        self.position = replace(
            self.position,
            offset=self.position.offset + run.size,
            format=self._times.format,
            settled=self._times.settled,
            last_ns=self._times.last_ns,
        )
        return Entries(self.stream, times, run.entries, self.position)

    def truncated(self) -> bool:
        """Say whether the file was cut or written anew."""
        if self.packed or self.parked:
            return False
        found = os.fstat(self.opened.descriptor)
        if found.st_size < self.read_to or self._replaced:
            return True
        if (found.st_size, found.st_mtime_ns) == self._stat:
            return False
        self._stat = (found.st_size, found.st_mtime_ns)
        return self._has_another_head()

    def _replaced_while_reading(self, data: bytes) -> bool:
        """Say whether what was just read may be from the middle of a file that began anew; it is dropped then.

        The first bytes are looked at after the read, so that no truncation can slip in between the two.
        """
        if self.packed:
            return False
        if self.read_to == 0:
            head = data[:HEAD_BYTES]
            self.position = replace(self.position, head_size=len(head), head=digest_of(head))
        else:
            self._replaced = self._has_another_head()
        return self._replaced

    def _has_another_head(self) -> bool:
        """Compare the first bytes with those that are known, and take in what is new of them."""
        head = os.pread(self.opened.descriptor, HEAD_BYTES, 0)
        size = self.position.head_size
        if digest_of(head[:size]) != self.position.head:
            return True
        if size < HEAD_BYTES and len(head) > size:
            self.position = replace(self.position, head_size=len(head), head=digest_of(head))
        return False

    def unlinked(self) -> bool:
        """Say whether no name leads to the file any more."""
        return os.fstat(self.opened.descriptor).st_nlink == 0
