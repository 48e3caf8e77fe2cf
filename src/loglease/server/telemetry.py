"""Our own logs: one JSON object a line on standard error, readable text on a terminal, declared fields only."""

from __future__ import annotations

import logging
import sys
import threading
from asyncio import AbstractEventLoop
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, TextIO, cast

import structlog

from loglease.model.clock import Clock

FIELDS: Final = frozenset(
    {
        "timestamp",
        "level",
        "event",
        "logger",
        "trace_id",
        "request",
        "grant",
        "session",
        "principal",
        "replica",
        "code",
        "status",
        "error",
        "loop",
        "count",
        "duration_ms",
        "address",
        "crashed",
        "late",
        "where",
        "errno",
        "segment",
        "offset",
        "reason",
        "engine",
        "profile",
        "rule",
        "revision",
        "vkey",
    }
)
_MAX_TEXT: Final = 300
_ONCE_IN_NS: Final = 1_000_000_000


def place_of(error: BaseException) -> str:
    """Return where an exception was raised. Its text and variables could hold anything, so they are never logged."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return "unknown" if last is None else f"{last.tb_frame.f_globals.get('__name__', '?')}:{last.tb_lineno}"


def report_fault(_loop: AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log what failed where nobody waited for it, such as a task of the event loop; asyncio's own text is not shown."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        structlog.get_logger("loglease.loop").error("task_failed", error=type(error).__name__, where=place_of(error))


def declared_only(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop every field that is not declared, and cut texts."""
    return {name: _plain(value) for name, value in event.items() if name in FIELDS}


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    text = str(value)[:_MAX_TEXT]
    return "".join(letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}" for letter in text)


class StoreFailures:
    """Says on our own log that the database failed, and how: at most once a second, with the count of those left out.

    Called on any thread. It gets the driver's name of a failure and no text, which might quote a value.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._quiet_until_ns = 0
        self._unsaid = 0

    def __call__(self, name: str) -> None:
        """Take note of a failure."""
        with self._lock:
            now_ns = self._clock.boot_ns()
            if now_ns < self._quiet_until_ns:
                self._unsaid += 1
                return
            unsaid, self._unsaid, self._quiet_until_ns = self._unsaid, 0, now_ns + _ONCE_IN_NS
        structlog.get_logger("loglease.store").error("store_failed", reason=name, count=unsaid + 1)


class _Steady:
    """A stream that is gone costs messages and nothing else: no loop ends because nobody reads standard error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or not."""
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Flush, or not."""
        with suppress(OSError, ValueError):
            self._stream.flush()


class _Declared(logging.Handler):
    """Writes what packages that know only the standard library's logging say, under the same rules."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; of an exception its type and place."""
        fields = {name: value for name, value in vars(record).items() if name in FIELDS}
        if record.exc_info and record.exc_info[1] is not None:
            fields |= {"error": type(record.exc_info[1]).__name__, "where": place_of(record.exc_info[1])}
        structlog.get_logger().log(record.levelno, record.getMessage(), **fields)


def configure(stream: TextIO | None = None) -> None:
    """Set our own logging up; the libraries' loggers say only what is wrong."""
    out = stream or sys.stderr
    last: Any = structlog.dev.ConsoleRenderer() if out.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            declared_only,
            last,
        ],
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Steady(out))),
        cache_logger_on_first_use=False,
    )
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ours = logging.getLogger("loglease")
    ours.handlers, ours.propagate = [_Declared()], False
