"""Segments and catalogue on disk: durable appends, recovery at start, retention.

Not here: where lines come from (`tailing`), and how they are read (`reading`). One thread writes; any thread may read
the catalogue and the segment files, which only grow until they are removed as a whole.
"""

from __future__ import annotations

import fcntl
import logging
import os
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from loglease.model.clock import Clock
from loglease.model.labels import Labels
from loglease.sources.files.catalogue import Block, Catalogue, Change, FilePosition, Segment, file_position_of
from loglease.sources.files.configuration import FileSourceConfig
from loglease.sources.files.segments import (
    Frame,
    FrameDamaged,
    Lines,
    encode_frame,
    frames,
    header_of,
    streams_of,
)
from loglease.sources.files.sqlite_library import sqlite
from loglease.sources.interface import SourceUnavailable

SUFFIX: Final = ".frames"
KEPT_FINISHED: Final = 10_000
KEPT_REMOVED: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)


class Storage:
    """One directory of segments and its catalogue, owned by this process.

    Raises:
        SourceUnavailable: another process owns the directory, or it cannot be written.
    """

    def __init__(self, configuration: FileSourceConfig, clock: Clock) -> None:
        self._configuration = configuration
        self._clock = clock
        self.directory = configuration.directory
        self._descriptor = -1
        self._lock = _locked(self.directory)
        try:
            self.catalogue = _open_catalogue(self.directory / "catalogue.sqlite3")
            self.streams: dict[int, Labels] = self.catalogue.streams()
            self.files: dict[int, FilePosition] = self.catalogue.files()
            self._next_segment = self.catalogue.last_segment() + 1
            self._next_block = self.catalogue.last_block() + 1
            self._change = Change({}, {}, {}, {})
            self._paths: dict[int, Path] = {}
            self._segment: Segment | None = None
            self._block: Block | None = None
            self._recover()
        except OSError as error:
            os.close(self._lock)
            raise SourceUnavailable("The directory of a file source cannot be read.") from error
        self._numbers = {labels: number for number, labels in self.streams.items()}
        self._defined: set[int] = set()
        self._last_file = 0
        self._defined_files: dict[int, FilePosition] = {}
        self.removed: list[Block] = []
        """The blocks that retention took away last, in order."""

    def close(self) -> None:
        """Close everything; what was not committed is found again in its files."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self.catalogue.close()
        os.close(self._lock)

    def segment_path(self, number: int) -> Path:
        """Return where a segment lies; nothing is there any more if retention has removed it."""
        return self._paths.get(number, self.directory / "segments" / "removed")

    # Appending

    def stream_number(self, labels: Labels) -> int:
        """Return the number of a stream, a new one at first sight."""
        number = self._numbers.get(labels)
        if number is None:
            number = max(self.streams, default=0) + 1
            self._numbers[labels] = number
            self.streams[number] = labels
            self._change.streams[number] = labels
        return number

    def next_file_number(self) -> int:
        """Return a number that no file has had; never the same twice."""
        self._last_file = max((self._last_file, *self.files, *self._change.files)) + 1
        return self._last_file

    def positions(self) -> Iterable[FilePosition]:
        """Return all positions, with those that the next commit will write."""
        return {**self.files, **self._change.files}.values()

    def append(self, lines: Lines, positions: Iterable[FilePosition] = ()) -> None:
        """Write lines and the positions that hold with them as one frame; neither counts before `commit`.

        Raises:
            OSError: the disk is full or broken; everything since the last commit is undone.
        """
        try:
            segment = self._writable_segment()
            positions = list(positions)
            used = {lines.stream} if isinstance(lines.stream, int) else set(lines.stream)
            header = self._header(used if lines.text else set(), positions)
            frame = encode_frame(lines, header, compress=self._configuration.compress)
            _write(self._descriptor, frame)
        except OSError:
            self._undo()
            raise
        self._index(segment, len(frame), lines.ts, used)
        if lines.text:
            self._change.used |= used
        for position in positions:
            self._change.files[position.id] = position

    def commit(self) -> frozenset[int]:
        """Make everything appended durable and visible; return the streams that have new lines.

        Raises:
            OSError: the disk refused; everything since the last commit is undone.
        """
        change = self._change
        if not (change.segments or change.files):
            return frozenset()
        try:
            if change.segments:
                os.fdatasync(self._descriptor)
            self.catalogue.apply(change)
        except (OSError, sqlite.Error) as error:
            self._undo()
            raise OSError(str(error)) from error
        self.files.update(change.files)
        self._change = Change({}, {}, {}, {})
        return frozenset(change.used)

    def note(self, position: FilePosition) -> None:
        """Set a position that comes without lines; it is written with the next commit."""
        self._change.files[position.id] = position

    def _header(self, used: set[int], positions: Iterable[FilePosition]) -> dict[str, Any]:
        header: dict[str, Any] = {}
        new = used - self._defined
        if new:
            header["s"] = {str(number): self.streams[number] for number in sorted(new)}
            self._defined |= new
        for position in positions:
            known = self._defined_files.get(position.id)
            if known is not None and _same_but_place(known, position):
                header.setdefault("p", {})[str(position.id)] = [position.offset, position.last_ns]
            else:
                header.setdefault("f", []).append(asdict(position))
            self._defined_files[position.id] = position
        return header

    def _index(self, segment: Segment, size: int, times: array[int], used: set[int]) -> Segment:
        start, written = segment.length, self._clock.now()
        if not times:
            segment = replace(segment, length=start + size, written_us=written)
        else:
            first, last = min(times), max(times)
            block = self._block
            full = block is None or block.length + size > self._configuration.block_bytes
            # Frames without lines may lie between two blocks, never inside a block's stretch uncounted.
            if block is None or full or block.start + block.length != start:
                block = Block(self._next_block, segment.id, start, size, len(times), first, last, frozenset(used))
                self._next_block += 1
            else:
                block = replace(
                    block,
                    length=block.length + size,
                    lines=block.lines + len(times),
                    first_ns=min(block.first_ns, first),
                    last_ns=max(block.last_ns, last),
                    streams=block.streams | used,
                )
            self._block = self._change.blocks[block.id] = block
            fresh = segment.last_ns == 0
            segment = replace(
                segment,
                length=start + size,
                first_ns=first if fresh else min(segment.first_ns, first),
                last_ns=max(segment.last_ns, last),
                written_us=written,
            )
        self._segment = self._change.segments[segment.id] = segment
        return segment

    def _writable_segment(self) -> Segment:
        segment, day = self._segment, _day(self._clock.now())
        if segment is not None:
            if segment.length < self._configuration.segment_bytes and segment.path.split("/")[1] == day:
                return segment
            self._seal(segment)
        folder = self.directory / "segments" / day
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{self._next_segment:010d}{SUFFIX}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        for parent in (folder, folder.parent, self.directory):
            _sync_folder(parent)
        segment = Segment(self._next_segment, str(path.relative_to(self.directory)))
        self._paths[segment.id] = path
        self._next_segment += 1
        self._block = None
        self._defined = set()
        self._defined_files = {}
        self._change.segments[segment.id] = segment
        self._segment = segment
        # Every segment begins with all positions, so that retention of older ones loses none of them.
        known = {**self.files, **self._change.files}
        if known:
            frame = encode_frame(Lines(0, array("q"), []), self._header(set(), known.values()))
            _write(self._descriptor, frame)
            segment = self._index(segment, len(frame), array("q"), set())
        return segment

    def _seal(self, segment: Segment) -> None:
        os.fdatasync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        self._change.segments[segment.id] = replace(segment, sealed=True)
        self._segment = None

    def _undo(self) -> None:
        """Take back what was appended since the last commit."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        committed = {segment.id: segment for segment in self.catalogue.segments()}
        for segment in self._change.segments.values():
            path, before = self.directory / segment.path, committed.get(segment.id)
            if before is None:
                path.unlink(missing_ok=True)
            else:
                os.truncate(path, before.length)
        streams = self._change.streams
        self._change = Change(streams, {}, {}, {})
        self._segment = self._block = None

    # Recovery

    def _recover(self) -> None:
        known = {segment.id: segment for segment in self.catalogue.segments()}
        last_known = self._next_segment - 1
        there: set[int] = set()
        for path in sorted((self.directory / "segments").glob(f"*/*{SUFFIX}"), key=lambda path: path.name):
            number = int(path.name.removesuffix(SUFFIX))
            if number not in known and number <= last_known:
                path.unlink()  # retention had removed it, and was interrupted
                continue
            there.add(number)
            self._paths[number] = path
            segment = known.get(number) or Segment(number, str(path.relative_to(self.directory)))
            self._repair(path, segment)
        if missing := set(known) - there:
            _log.warning("file_source.segments_missing", extra={"count": len(missing)})
            self.catalogue.remove_segments(missing)

    def _repair(self, path: Path, segment: Segment) -> None:
        size = path.stat().st_size
        if segment.sealed and size == segment.length:
            return
        if size < segment.length:
            _log.warning("file_source.segment_shortened", extra={"segment": segment.id})
            self.catalogue.cut_segment(segment.id)
            segment = replace(segment, length=0, first_ns=0, last_ns=0)
        if size > segment.length:
            with path.open("rb") as file:
                file.seek(segment.length)
                segment = self._adopt(file.read(), segment)
            if segment.length < size:
                os.truncate(path, segment.length)
        self._change.segments[segment.id] = replace(segment, sealed=True)
        self._next_segment = max(self._next_segment, segment.id + 1)
        self.catalogue.apply(self._change)
        self.files.update(self._change.files)
        self._change = Change({}, {}, {}, {})
        self._segment = self._block = None

    def _adopt(self, data: bytes, segment: Segment) -> Segment:
        """Index the whole frames behind the committed length and return how far they go."""
        self._block = None
        try:
            for frame in frames(data):
                header = header_of(data, frame)
                self._adopt_header(header)
                used = streams_of(data, frame)
                numbers = {used} if isinstance(used, int) else set(used)
                spans = array("q", [frame.first_ns, frame.last_ns] if frame.count else [])
                segment = self._index(segment, frame.end - frame.start, spans, numbers)
                self._count(frame)
        except FrameDamaged as damage:
            _log.warning("file_source.segment_cut", extra={"segment": segment.id, "offset": damage.args[0]})
        return segment

    def _count(self, frame: Frame) -> None:
        block = self._block
        if frame.count and block is not None:  # the span stood for two lines
            block = replace(block, lines=block.lines + frame.count - 2)
            self._block = self._change.blocks[block.id] = block

    def _adopt_header(self, header: Mapping[str, object]) -> None:
        streams = cast("Mapping[str, list[list[str]]]", header.get("s", {}))
        for number, pairs in streams.items():
            labels = tuple((name, value) for name, value in pairs)
            if int(number) not in self.streams:
                self.streams[int(number)] = self._change.streams[int(number)] = labels
        for raw in cast("list[Mapping[str, Any]]", header.get("f", [])):
            position = file_position_of(raw)
            self._change.files[position.id] = position
        for number, (offset, last_ns) in cast("Mapping[str, tuple[int, int | None]]", header.get("p", {})).items():
            known = self._change.files.get(int(number)) or self.files.get(int(number))
            if known is not None:
                self._change.files[known.id] = replace(known, offset=offset, last_ns=last_ns)

    # Retention

    def retain(self) -> None:
        """Remove the segments that are too old or too much, never the open one, and forget files long gone."""
        retention = self._configuration.retention
        segments = [s for s in self.catalogue.segments() if self._segment is None or s.id != self._segment.id]
        doomed: list[Segment] = []
        if retention.age_s is not None:
            oldest_us = self._clock.now() - retention.age_s * 1_000_000
            doomed = [s for s in segments if max(s.last_ns // 1_000, s.written_us) < oldest_us]
        if retention.size_bytes is not None:
            left = [s for s in segments if s not in doomed]
            total = sum(s.length for s in left) + (self._segment.length if self._segment else 0)
            for segment in left:
                if total <= retention.size_bytes:
                    break
                doomed.append(segment)
                total -= segment.length
        if doomed:
            self._remove(doomed)
        self._forget_finished()

    def _remove(self, doomed: list[Segment]) -> None:
        for segment in doomed:
            self.removed += self.catalogue.blocks_of(segment.id)
        del self.removed[:-KEPT_REMOVED]
        self.catalogue.remove_segments([segment.id for segment in doomed])
        for segment in doomed:
            path = self.directory / segment.path
            self._paths.pop(segment.id, None)
            path.unlink(missing_ok=True)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()

    def _forget_finished(self) -> None:
        finished = [position.id for position in self.files.values() if position.finished]
        surplus = sorted(finished)[: max(0, len(finished) - KEPT_FINISHED)]
        if surplus:
            self.catalogue.forget_files(surplus)
            for number in surplus:
                self.files.pop(number, None)


def _same_but_place(one: FilePosition, other: FilePosition) -> bool:
    return replace(one, offset=0, last_ns=None) == replace(other, offset=0, last_ns=None)


def _day(now_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=now_us)).strftime("%Y-%m-%d")


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SourceUnavailable("The directory of a file source cannot be made.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SourceUnavailable(
            "The directory of a file source belongs to another process.",
            next_step="Stop the other process, or give this source a directory of its own.",
        ) from error
    return descriptor


def _open_catalogue(path: Path) -> Catalogue:
    try:
        return Catalogue(path)
    except sqlite.DatabaseError:
        _log.warning("file_source.catalogue_rebuilt")
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return Catalogue(path)
