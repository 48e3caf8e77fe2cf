"""A server in a process of its own that starts warm: forked from one that has read all modules and compiled all rules.

Both take seconds of processor time, again for each start, and nothing of it depends on a server's folder. What people
start is cold, and so it is in `tests/server/test_process.py`, `tests/cli/test_journey.py` and `tests/attacks/test_install.py`.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.fakes.warm_template"])


class WarmServer:
    """What `loglease serve` runs, over one configuration; it goes on where its output files end."""

    def __init__(
        self,
        config: Path,
        *,
        environment: Mapping[str, str],
        out: Path,
        err: Path,
        step: Path | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Start it.

        Args:
            step: a file that says by how many seconds the machine's wall clock is ahead.
            prepare: a function of a module that the process calls before it serves.
        """
        given = (str(config), {**environment}, str(out), str(err), None if step is None else str(step), prepare)
        # A process that a test forgot ends with the tests.
        self._process = _FORKING.Process(target=_serve, args=given, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """Wait for the end, and return the exit code."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("loglease serve", timeout)
        return code


def _serve(
    config: str,
    environment: dict[str, str],
    out: str,
    err: str,
    step: str | None,
    prepare: Callable[[], None] | None,
) -> None:
    from loglease.server.local import serve

    if step is not None:
        _step_clock(Path(step))
    if prepare is not None:
        prepare()

    for path, number in ((out, 1), (err, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(serve(config=Path(config)))


def _step_clock(path: Path) -> None:
    """Have the machine's wall clock be ahead by what the file says now; the boot clock goes on."""
    from loglease.model.instant import Instant
    from loglease.server.clock import SystemClock

    true = SystemClock.now

    def now(self: SystemClock) -> Instant:
        ahead_s = float(path.read_text()) if path.exists() else 0.0
        return Instant(true(self) + round(ahead_s * 1_000_000))

    SystemClock.now = now  # type: ignore[method-assign]
