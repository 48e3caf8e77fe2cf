from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loglease.server.demonstration.cast import Cast
from loglease.server.demonstration.walk import Walk

ENDLESS = """
from loglease.server.demonstration.cast import Cast
from loglease.server.demonstration.walk import Walk
from loglease.server.local_demo import demo

Walk.all_steps = lambda self: self.cast.start_shop()
Walk.next_steps = lambda self: print(self.cast.folder, *(one.pid for one in self.cast._running), flush=True)
raise SystemExit(demo())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_of_it_stays_however_it_is_ended(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        folder, *processes = running.stdout.readline().split()
        running.send_signal(number)
        assert running.wait(30) in {0, 130}
    assert processes
    assert not Path(folder).exists()
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)


def test_what_the_demonstration_suggests_works_in_another_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Walk, "_shown_request", lambda self: self.ids.update(waiting="req_w", request="req_r"))
    out = io.StringIO()
    Walk(Cast(tmp_path, server="http://127.0.0.1:1"), out).next_steps()
    exports = [line.strip() for line in out.getvalue().splitlines() if line.strip().startswith("export ")]
    script = "\n".join([*exports, "command -v loglease && echo $LOGLEASE_SERVER"])
    found = subprocess.run(["/bin/sh", "-c", script], env={}, capture_output=True, text=True, check=True)
    assert found.stdout.endswith("/loglease\nhttp://127.0.0.1:1\n")
