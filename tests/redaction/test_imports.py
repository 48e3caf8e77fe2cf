"""Libraries that are missing or do not load: the package imports, and the engine that needs none serves."""

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import loglease
from loglease import redaction
from loglease.redaction import EngineUnavailable
keys = redaction.Keys(bytes(32))
found = []
for engine in ("hyperscan", "re2", "auto"):
    try:
        one = redaction.redactor_for(["pii-default"], keys=keys, marker=bytes(16), engine=engine)
        found.append(one.engine + ": " + one.open().feed(b"password=hunter2\\n").out.decode())
    except EngineUnavailable as fault:
        found.append(str(fault))
print(*found, sep=";")
"""


@pytest.mark.parametrize("fault", ["ImportError", "OSError", "SystemError"])
def test_a_library_that_does_not_load_leaves_the_engine_that_needs_none(tmp_path: Path, fault: str) -> None:
    for name in ("hyperscan", "re2"):
        (tmp_path / f"{name}.py").write_text(f"raise {fault}('cannot load')\n")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{CODE}"],
        capture_output=True,
        timeout=120,
        check=False,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip().split(";") == [
        "hyperscan does not import on this machine",
        "google-re2 does not import on this machine",
        "python: password=⟦password⟧\n".strip(),
    ]
