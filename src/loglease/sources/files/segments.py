"""The record format of segments: frames of columns, each whole or not there at all.

A frame is what one append wrote: some lines, and in its header what those lines made true (streams first used in this
segment, files with the position up to which they are stored). Lines and positions are one checksummed unit, so a crash
leaves both or neither, and everything in the catalogue can be read back from segments alone.

Layout, little-endian: magic, flags, number of lines, sizes of header and text, first and last event time, CRC-32 of all
the rest; then the header (JSON), event times (int64), streams (uint32: one, or one a line), lengths (uint32, only where
a line has an inner newline) and the text, lines separated by a newline.

Pure: bytes in, bytes out.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

import orjson
import zstandard

from loglease.sources.interface import Metadata

MAGIC: Final = b"LLF1"
_CORE: Final = struct.Struct("<4sIIIIIqq")
_CHECK: Final = struct.Struct("<I")
PREFIX_BYTES: Final = _CORE.size + _CHECK.size

ONE_STREAM: Final = 1
INNER_NEWLINES: Final = 2
ASCENDING: Final = 4
COMPRESSED: Final = 8
METADATA: Final = 16

MAX_FRAME_BYTES: Final = 64 << 20
COMPRESS_FROM_BYTES: Final = 4_096
_BIG_ENDIAN: Final = sys.byteorder == "big"
_NOTHING: Final[Mapping[str, object]] = {}


class FrameDamaged(ValueError):
    """Bytes that should be a frame are not one."""


@dataclass(slots=True)
class Lines:
    """Lines in the order they arrived, as columns.

    Attributes:
        stream: the number of the one stream of all lines, or a column of numbers.
        metadata: for the few lines that have any, by index.
    """

    stream: int | array[int]
    ts: array[int]
    text: list[bytes]
    metadata: dict[int, Metadata] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.text)


@dataclass(slots=True)
class Frame:
    """Where one frame lies inside a buffer, and what its prefix says; the columns are cut out when asked for."""

    flags: int
    count: int
    header_size: int
    text_size: int
    first_ns: int
    last_ns: int
    start: int
    end: int


def ascending(times: Sequence[int]) -> bool:
    """Say whether times never step back."""
    column = list(times)
    return column == sorted(column)


def encode_frame(lines: Lines, header: Mapping[str, object] = _NOTHING, *, compress: bool = False) -> bytes:
    """Return one frame; `header` holds only what JSON can say and no key of ours (``m``)."""
    flags = ASCENDING if ascending(lines.ts) else 0
    columns = [_raw(lines.ts)]
    if isinstance(lines.stream, int):
        flags |= ONE_STREAM
        columns.append(_raw(array("I", [lines.stream])))
    else:
        columns.append(_raw(lines.stream))
    text = b"\n".join(lines.text)
    if lines.text and text.count(b"\n") != len(lines.text) - 1:
        flags |= INNER_NEWLINES
        columns.append(_raw(array("I", map(len, lines.text))))
    if lines.metadata:
        flags |= METADATA
        header = {**header, "m": {str(index): pairs for index, pairs in lines.metadata.items()}}
    if compress and len(text) >= COMPRESS_FROM_BYTES:
        flags |= COMPRESSED
        text = zstandard.ZstdCompressor(level=1).compress(text)
    head = orjson.dumps(header) if header else b""
    body_size = len(head) + sum(map(len, columns)) + len(text)
    first, last = (min(lines.ts), max(lines.ts)) if lines.text else (0, 0)
    core = _CORE.pack(MAGIC, flags, len(lines.text), len(head), len(text), body_size, first, last)
    body = b"".join((head, *columns, text))
    return core + _CHECK.pack(zlib.crc32(body, zlib.crc32(core))) + body


def _raw(column: array[int]) -> bytes:
    if _BIG_ENDIAN:
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()


def _column(kind: str, data: bytes) -> array[int]:
    column: array[int] = array(kind)
    column.frombytes(data)
    if _BIG_ENDIAN:
        column.byteswap()
    return column


def frames(data: bytes, start: int = 0) -> Iterator[Frame]:
    """Yield the whole frames of a buffer from `start` on; a frame that the buffer cuts off ends the walk.

    Raises:
        FrameDamaged: the bytes there are no frame, or its checksum is wrong.
    """
    view = memoryview(data)
    while len(data) - start >= PREFIX_BYTES:
        frame = frame_at(data, start)
        if frame.end > len(data):
            return
        core_end = start + _CORE.size
        (check,) = _CHECK.unpack_from(data, core_end)
        body = view[start + PREFIX_BYTES : frame.end]
        if zlib.crc32(body, zlib.crc32(view[start:core_end])) != check:
            raise FrameDamaged(start)
        yield frame
        start = frame.end


def frame_at(data: bytes, start: int) -> Frame:
    """Return what a prefix says, its checksum not yet tested; the frame may end behind the buffer.

    Raises:
        FrameDamaged: this is no prefix.
    """
    magic, flags, count, header_size, text_size, body_size, first, last = _CORE.unpack_from(data, start)
    if magic != MAGIC or body_size > MAX_FRAME_BYTES or header_size + text_size > body_size:
        raise FrameDamaged(start)
    return Frame(flags, count, header_size, text_size, first, last, start, start + PREFIX_BYTES + body_size)


def header_of(data: bytes, frame: Frame) -> dict[str, object]:
    """Return the header, without the metadata of lines."""
    start = frame.start + PREFIX_BYTES
    if not frame.header_size:
        return {}
    header: dict[str, object] = orjson.loads(data[start : start + frame.header_size])
    header.pop("m", None)
    return header


def streams_of(data: bytes, frame: Frame) -> int | array[int]:
    """Return the stream column alone."""
    start = frame.start + PREFIX_BYTES + frame.header_size + 8 * frame.count
    width = 4 if frame.flags & ONE_STREAM else 4 * frame.count
    column = _column("I", data[start : start + width])
    return column[0] if frame.flags & ONE_STREAM else column


def text_of(data: bytes, frame: Frame) -> bytes:
    """Return the text of all lines in one piece."""
    text = data[frame.end - frame.text_size : frame.end]
    if frame.flags & COMPRESSED:
        text = zstandard.ZstdDecompressor().decompress(text, max_output_size=MAX_FRAME_BYTES)
    return text


def decode_frame(data: bytes, frame: Frame, text: bytes | None = None) -> Lines:
    """Return the lines of a frame that `frames` found in `data`; `text` saves cutting it out again."""
    start = frame.start + PREFIX_BYTES + frame.header_size
    ts_end = start + 8 * frame.count
    ts = _column("q", data[start:ts_end])
    text = text_of(data, frame) if text is None else text
    if not frame.count:
        pieces: list[bytes] = []
    elif frame.flags & INNER_NEWLINES:
        lengths_start = ts_end + (4 if frame.flags & ONE_STREAM else 4 * frame.count)
        pieces = _cut(text, _column("I", data[lengths_start : lengths_start + 4 * frame.count]))
    else:
        pieces = text.split(b"\n")
    lines = Lines(streams_of(data, frame), ts, pieces)
    if frame.flags & METADATA:
        head = orjson.loads(data[start - frame.header_size : start])
        lines.metadata = {int(i): tuple((n, v) for n, v in pairs) for i, pairs in head["m"].items()}
    return lines


def _cut(text: bytes, lengths: array[int]) -> list[bytes]:
    ends = accumulate(lengths, lambda end, length: end + 1 + length)
    return [text[end - length : end] for end, length in zip(ends, lengths, strict=True)]
