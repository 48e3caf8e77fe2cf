"""From bytes of a file to entries: lines, and groups of lines that belong together.

Both stages say how many bytes of the file each result used up, so that a position is committed exactly with the
entries that lie before it.

Pure: the time is an argument, in nanoseconds of a clock that never steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import re2

MAX_GROUP_LINES: Final = 1_000
MAX_GROUP_BYTES: Final = 1 << 20
GROUP_WAIT_NS: Final = 10**9

_CHAINED: Final = (b"During handling of the above exception", b"The above exception was the direct cause")
_TRACEBACK: Final = b"Traceback (most recent call last):"


@dataclass(slots=True)
class Run:
    """Some entries in order, and how many bytes of the file they used up."""

    entries: list[bytes]
    size: int


class LineSplitter:
    """Cuts bytes into lines. Memory is bounded: of a line longer than `limit` only `limit` + 1 bytes are kept.

    A kept line is longer than the limit exactly if it was cut, so whoever masks long lines as a whole masks it, and
    its end is not taken for the end of what was logged.

    Args:
        limit: bytes of the longest line that is kept whole.
        midline: whether the bytes go on behind an unfinished line that was already taken as it was; a newline that
            comes first then ends that line and is no empty line.
    """

    def __init__(self, limit: int, *, midline: bool = False) -> None:
        self._limit = limit
        self._midline = midline
        self._skipped = 0
        self._parts: list[bytes] = []
        self._kept = 0
        self._size = 0

    @property
    def unfinished(self) -> int:
        """Bytes taken that no run has used up."""
        return self._size + self._skipped

    def feed(self, data: bytes) -> Iterator[Run]:
        """Take bytes and yield the lines that they finish, still with a carriage return if there was one."""
        if self._midline and data:
            self._midline = False
            self._skipped = 2 if data.startswith(b"\r\n") else int(data.startswith(b"\n"))
            data = data[self._skipped :]
        if self._size:
            end = data.find(b"\n")
            if end < 0:
                self._keep(data)
                return
            self._keep(data[:end])
            yield self._finished(end_bytes=1)
            data = data[end + 1 :]
        cut = data.rfind(b"\n") + 1
        if cut:
            yield from self._whole(data[: cut - 1])
        if cut < len(data):
            self._keep(data[cut:])

    def flush(self) -> Run | None:
        """Give up waiting for the end of the unfinished line and return it as it is."""
        if not self._size:
            return None
        self._midline = True
        return self._finished(end_bytes=0)

    def drop(self) -> None:
        """Forget the unfinished line."""
        self._parts, self._kept, self._size = [], 0, 0

    def _run(self, lines: list[bytes], size: int) -> Run:
        run = Run(lines, size + self._skipped)
        self._skipped = 0
        return run

    def _whole(self, text: bytes) -> Iterator[Run]:
        lines = text.split(b"\n")
        if len(text) <= self._limit or max(map(len, lines)) <= self._limit:
            yield self._run(lines, len(text) + 1)
            return
        for line in lines:
            yield self._run([self._cut(line[: self._limit + 1], len(line))], len(line) + 1)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        room = self._limit + 1 - self._kept
        if room > 0 and data:
            self._parts.append(data[:room])
            self._kept += min(room, len(data))

    def _cut(self, kept: bytes, size: int) -> bytes:
        # A cut line must stay longer than the limit, so no carriage return may be at its end to be taken away.
        return kept[:-1] + b"." if size > len(kept) and kept.endswith(b"\r") else kept

    def _finished(self, *, end_bytes: int) -> Run:
        run = self._run([self._cut(b"".join(self._parts), self._size)], self._size + end_bytes)
        self.drop()
        return run


class PlainLines:
    """Every line is an entry."""

    pending = 0

    def feed(self, run: Run, now_ns: int) -> Iterator[Run]:  # noqa: ARG002 - the shape of a joiner
        """Take lines, yield entries."""
        if any(line.endswith(b"\r") for line in run.entries):
            yield Run([_bare(line) for line in run.entries], run.size)
        else:
            yield run

    def due(self, now_ns: int, *, force: bool = False) -> Run | None:
        """Return a group that has waited long enough: there is never one."""


class Continues(Enum):
    """What a line means for the group that is open."""

    STARTS = auto()
    JOINS = auto()
    WAITS = auto()


class StartRule:
    """An entry starts where a pattern matches, at the first byte of a line."""

    def __init__(self, pattern: str) -> None:
        options = re2.Options()
        options.log_errors = False
        self._match = re2.compile(pattern.encode(), options).match

    def judge(self, line: bytes) -> Continues:
        """Say what the line is."""
        return Continues.STARTS if self._match(line) else Continues.JOINS


class TraceRule:
    """Stack traces: indented lines, ``Caused by:``, ``… more``, Python tracebacks with the line that ends them."""

    def __init__(self) -> None:
        self._in_traceback = False
        self._after_exception = False

    def judge(self, line: bytes) -> Continues:
        """Say what the line is."""
        if line[:1] in {b" ", b"\t"} and line.strip():
            return Continues.JOINS
        if line.startswith(_TRACEBACK):
            self._in_traceback, self._after_exception = True, False
            return Continues.JOINS
        if self._in_traceback and line:
            self._in_traceback, self._after_exception = False, True
            return Continues.JOINS
        if line.startswith((b"Caused by:", b"Suppressed:")) or _more(line):
            return Continues.JOINS
        if self._after_exception:
            if not line:
                return Continues.WAITS
            if line.startswith(_CHAINED):
                return Continues.JOINS
        self._in_traceback = self._after_exception = False
        return Continues.STARTS


def _more(line: bytes) -> bool:
    return line.startswith((b"... ", "… ".encode())) and line.rstrip().endswith((b" more", b"common frames omitted"))


class Joiner:
    """Joins lines into groups, which end at the next start, after a wait, or at 1,000 lines or 1 MiB."""

    def __init__(self, rule: StartRule | TraceRule, *, wait_ns: int = GROUP_WAIT_NS) -> None:
        self._judge: Callable[[bytes], Continues] = rule.judge
        self._wait_ns = wait_ns
        self._group: list[bytes] = []
        self._held: list[bytes] = []
        self._size = self._held_size = self._bytes = 0
        self._since_ns = 0

    @property
    def pending(self) -> int:
        """Bytes of the file whose lines wait in the open group."""
        return self._size + self._held_size

    def feed(self, run: Run, now_ns: int) -> Iterator[Run]:
        """Take lines, yield the groups that they end."""
        done = Run([], 0)
        sizes = [len(line) + 1 for line in run.entries]
        sizes[-1] += run.size - sum(sizes)  # a cut line, or one without an end
        for raw, size in zip(run.entries, sizes, strict=True):
            self._take(_bare(raw), size, done)
        self._since_ns = now_ns
        if done.size:
            yield done

    def due(self, now_ns: int, *, force: bool = False) -> Run | None:
        """Return the open group if nothing was added for the wait, or if it must end now."""
        if not self.pending or not (force or now_ns - self._since_ns >= self._wait_ns):
            return None
        done = Run([], 0)
        self._close(done)
        return done

    def _take(self, line: bytes, size: int, done: Run) -> None:
        verdict = self._judge(line)
        full = len(self._group) + len(self._held) >= MAX_GROUP_LINES or self._bytes + len(line) + 1 > MAX_GROUP_BYTES
        if verdict is Continues.STARTS or full:
            self._close(done)
        if verdict is Continues.WAITS and self._group:
            self._held.append(line)
            self._held_size += size
        else:
            self._group += [*self._held, line]
            self._size += self._held_size + size
            self._held, self._held_size = [], 0
        self._bytes += len(line) + 1

    def _close(self, done: Run) -> None:
        if self._group:
            done.entries.append(b"\n".join(self._group))
        done.entries += self._held
        done.size += self._size + self._held_size
        self._group, self._held = [], []
        self._size = self._held_size = self._bytes = 0


def _bare(line: bytes) -> bytes:
    return line[:-1] if line.endswith(b"\r") else line


def joiner_of(rule: str | None, *, wait_ns: int = GROUP_WAIT_NS) -> PlainLines | Joiner:
    """Return the joiner that a configuration asks for: None, ``trace`` or ``start: <RE2>``."""
    if rule is None:
        return PlainLines()
    if rule == "trace":
        return Joiner(TraceRule(), wait_ns=wait_ns)
    return Joiner(StartRule(rule.removeprefix("start:").strip()), wait_ns=wait_ns)
