from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from loglease.server.demonstration.cast import Cast
from loglease.server.demonstration.walk import Walk


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
