"""Waiting aloud: a spinner on terminals, a plain line every ten seconds elsewhere, always with what is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

from loglease.cli.errors import Refused, Unreachable
from loglease.cli.output import Output
from loglease.cli.terminal import one_line
from loglease.model.errors import LogLeaseError

if TYPE_CHECKING:
    from rich.status import Status

QUIET_S: Final = 0.4
PLAIN_EVERY_S: Final = 10.0
_QUICK_S: Final = 0.25
_QUICK_FOR_S: Final = 5.0
_SLOW_S: Final = 1.0
AWAY_S: Final = 60.0
_AWAY: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)

Found = TypeVar("Found")


def clock_text(seconds: float) -> str:
    """Write a countdown: ``29:22``, with hours ``1:02:03``."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes:02}:{whole % 60:02}"


def is_away(error: LogLeaseError) -> bool:
    """Say whether an error may pass by itself: the server does not answer, or not now."""
    return isinstance(error, Unreachable) or (isinstance(error, Refused) and error.status in _AWAY)


class Patience:
    """Bears a server that is away for a while, such as one that restarts."""

    def __init__(self) -> None:
        self._since: float | None = None

    def ask(self, fetch: Callable[[], Found]) -> Found | None:
        """Return what was fetched, or None while the server is away; after a minute of that the error is raised.

        Raises:
            Refused, Unreachable: as `fetch`.
        """
        try:
            found = fetch()
        except (Refused, Unreachable) as error:
            now = time.monotonic()
            self._since = now if self._since is None else self._since
            if not is_away(error) or now - self._since > AWAY_S:
                raise
            return None
        self._since = None
        return found


class Waiting:
    """One wait: tells what it waits for, and paces the questions to the server."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._began = time.monotonic()
        self._told: float | None = None
        self._status: Status | None = None
        self._terminal = out.stderr.isatty()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the wait began."""
        return time.monotonic() - self._began

    def tell(self, text: str) -> None:
        """Say what is waited for; on a terminal the text replaces the one before."""
        elapsed = self.elapsed_s
        if self._terminal:
            if elapsed >= QUIET_S:
                self._show(f"{clock_text(elapsed)}  {one_line(text)}")
        elif self._told is None or elapsed - self._told >= PLAIN_EVERY_S:
            self._told = elapsed
            self._out.notice(f"{clock_text(elapsed)}  {one_line(text)}")

    def pause(self, most_s: float | None = None) -> None:
        """Sleep until it makes sense to ask again: soon at first, then every second."""
        pause = _QUICK_S if self.elapsed_s < _QUICK_FOR_S else _SLOW_S
        time.sleep(pause if most_s is None else max(0.0, min(pause, most_s)))

    def stop(self) -> None:
        """Clear the line."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _show(self, text: str) -> None:
        from rich.console import Console  # noqa: PLC0415 - only when something is waited for
        from rich.status import Status  # noqa: PLC0415 - see above
        from rich.text import Text  # noqa: PLC0415 - see above

        if self._status is None:
            console = Console(file=self._out.stderr, no_color=not self._out.colored(self._out.stderr))
            self._status = Status(Text(text), console=console, spinner="dots")
            self._status.start()
        else:
            self._status.update(Text(text))


@contextmanager
def waiting(out: Output) -> Iterator[Waiting]:
    """Show a wait and clear it away at the end, whatever the end is."""
    wait = Waiting(out)
    try:
        yield wait
    finally:
        wait.stop()
