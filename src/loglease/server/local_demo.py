"""`loglease demo`: walk the whole journey on this machine, then leave the server running."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from loglease.server.demonstration.cast import Cast, StepFailed
from loglease.server.demonstration.walk import Walk


def demo(*, exit_after: bool = False) -> int:
    """Run the demonstration in a folder of its own, which goes with it; return the exit code."""
    # However it is ended, the processes that it started and its folder go with it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    folder = Path(tempfile.mkdtemp(prefix="loglease-demo-"))
    with Cast(folder) as cast:
        walk = Walk(cast)
        try:
            walk.all_steps()
            if not exit_after:
                walk.next_steps()
                cast.wait_for_interrupt()
        except StepFailed as failure:
            print(f"\nThis step failed. {failure}", file=sys.stderr)  # noqa: T201 - a command
            print("Try `loglease doctor`, which checks this machine.", file=sys.stderr)  # noqa: T201
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


def _interrupted(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
