"""The plain endpoint's three shapes: newline-delimited JSON, server-sent events, and text for people."""

from __future__ import annotations

from typing import Final, Protocol

import orjson

from loglease.gateway.frontends.encoder import Line, LineEncoder
from loglease.gateway.request import Format
from loglease.gateway.resume import Places, Resumes
from loglease.gateway.served import Item
from loglease.model.instant import NANOSECONDS, event_time_text


class PlainEncoder(LineEncoder, Protocol):
    """Writes the records of the plain endpoint."""

    def progress(self, elapsed_s: int) -> bytes:
        """Write that the session still runs, so many seconds after it was opened."""


def encoder_for(chosen: Format, resumes: Resumes) -> PlainEncoder:
    """Return the encoder of a format."""
    if chosen is Format.SSE:
        return ServerSentEvents(resumes)
    return PlainText() if chosen is Format.TEXT else NdJson(resumes)


def part_encoder_for(chosen: Format, resumes: Resumes) -> LineEncoder:
    """Return the encoder of the lines of one grant out of several that make one answer."""
    return ServerSentEvents(resumes, is_part=True) if chosen is Format.SSE else encoder_for(chosen, resumes)


class _Records:
    """Line records as JSON without a newline; the second of a time is written once for all lines in it."""

    def __init__(self) -> None:
        self._second = -1
        self._second_text = b""

    def line(self, line: Line) -> bytes:
        second, rest = divmod(line.event_ns, NANOSECONDS)
        if second != self._second:
            self._second = second
            self._second_text = event_time_text(second * NANOSECONDS)[:19].encode()
        parsed = b',"parsed":%b' % line.parsed if line.parsed else b""
        return b'{"type":"line","ts":"%d","time":"%b.%09dZ","labels":%b,"metadata":%b%b,"line":%b}' % (
            line.event_ns,
            self._second_text,
            rest,
            line.labels,
            line.metadata,
            parsed,
            line.quoted,
        )


def _end(reason: str, lines: int, resume: str | None) -> bytes:
    fields: dict[str, str | int] = {"type": "end", "reason": reason, "lines": lines}
    if resume is not None:
        fields["resume"] = resume
    return orjson.dumps(fields)


def _gap(lines: int | None) -> bytes:
    # SECURITY: times of what a source lost may be those of lines that the reader may not see, so none are told;
    # tested in tests/gateway/test_cut.py.
    return orjson.dumps({"type": "gap"} if lines is None else {"type": "gap", "lines": lines})


def _progress(elapsed_s: int) -> bytes:
    return b'{"type":"progress","elapsed_s":%d}' % elapsed_s


class NdJson:
    """One JSON object per line; log text stays inside strings, so it cannot forge a record."""

    ends_early = True

    def __init__(self, resumes: Resumes) -> None:
        self._resumes = resumes
        self._records = _Records()

    def line(self, line: Line) -> bytes:
        """Write one line."""
        return self._records.line(line) + b"\n"

    def gap(self, lines: int | None) -> bytes:
        """Write a gap."""
        return _gap(lines) + b"\n"

    def progress(self, elapsed_s: int) -> bytes:
        """Write that the session still runs."""
        return _progress(elapsed_s) + b"\n"

    def end(self, reason: str, lines: int, places: Places | None) -> bytes:
        """Write the end."""
        return _end(reason, lines, None if places is None else self._resumes.text(places)) + b"\n"


class ServerSentEvents:
    """The same JSON as events; the id of each is the resume value behind it.

    Args:
        is_part: lines of several grants make one answer, so that only `identified` knows what stands behind each.
    """

    ends_early = True

    def __init__(self, resumes: Resumes, *, is_part: bool = False) -> None:
        self._resumes = resumes
        self._is_part = is_part
        self._records = _Records()

    def line(self, line: Line) -> bytes:
        """Write one line."""
        event = b"event: line\ndata: %b\n\n" % self._records.line(line)
        return event if self._is_part else self._id((line.position,)) + event

    def identified(self, item: Item) -> Item:
        """Return an item with its id."""
        return item._replace(record=self._id(item.places) + item.record)

    def _id(self, places: Places) -> bytes:
        return b"id: %b\n" % self._resumes.text(places).encode()

    def gap(self, lines: int | None) -> bytes:
        """Write a gap."""
        return b"event: gap\ndata: %b\n\n" % _gap(lines)

    def progress(self, elapsed_s: int) -> bytes:
        """Write that the session still runs."""
        return b"event: progress\ndata: %b\n\n" % _progress(elapsed_s)

    def end(self, reason: str, lines: int, places: Places | None) -> bytes:
        """Write the end."""
        resume = None if places is None else self._resumes.text(places)
        named = b"" if places is None else self._id(places)
        return b"%bevent: end\ndata: %b\n\n" % (named, _end(reason, lines, resume))


_ESCAPES: Final = str.maketrans({"\n": "\\n", "\r": "\\r"})


class PlainText:
    """Lines alone. The last one says why the answer ended; log text could imitate it."""

    ends_early = True

    def line(self, line: Line) -> bytes:
        """Write one line; its inner newlines are escaped."""
        return line.text.translate(_ESCAPES).encode() + b"\n"

    def gap(self, lines: int | None) -> bytes:
        """Write a gap."""
        return b"-- gap: the source lost lines\n" if lines is None else b"-- gap: %d lines\n" % lines

    def progress(self, elapsed_s: int) -> bytes:
        """Write that the session still runs."""
        return b"-- still reading after %d s\n" % elapsed_s

    def end(self, reason: str, lines: int, places: Places | None) -> bytes:  # noqa: ARG002 - text carries the reason alone
        """Write the end."""
        return b"-- end: %b\n" % reason.encode()
