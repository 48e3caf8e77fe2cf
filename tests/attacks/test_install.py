"""Safe as installed. Rows DP of the attack catalogue."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from tests.fakes.stack import CONFIG, Stack
from tests.fakes.warm import WarmServer
from tests.promises.shared import followed

from loglease.server.settings import load_settings

ASKED = (
    "/me",
    "/requests",
    "/grants",
    "/sessions?grant=x",
    "/audit/entries",
    "/locks",
    "/principals",
    "/sources",
    "/tokens",
)

START = """
import sys
from pathlib import Path
from loglease.server.local import serve
sys.exit(serve(config=Path(sys.argv[1])))
"""
KEY_FILES = ("pseudonym.key", "private.key")


@pytest.mark.attack("DP-01")
def test_dp_01_what_nobody_configured_is_closed(tmp_path: Path) -> None:
    settings = load_settings(environment={"HOME": str(tmp_path)})
    assert settings.http.listens_at.loopback
    assert settings.http.health_at.loopback
    assert settings.http.origins == []
    assert settings.limits.enforced


@pytest.mark.attack("DP-01")
def test_dp_01_a_fresh_server_knows_nobody_and_has_no_secret_that_repeats(tmp_path: Path) -> None:
    passwords, keys = set(), set()
    for name in ("one", "two"):
        stack = Stack(tmp_path / name).start()
        try:
            for path in ASKED:
                assert httpx2.get(f"{stack.url}/api/v1{path}").status_code == 401, path
            for account, password in (("admin", "admin"), ("admin", ""), ("root", "root"), ("loglease", "loglease")):
                body = {"account": account, "password": password}
                assert httpx2.post(f"{stack.url}/api/v1/sign-in", json=body).status_code in (401, 422)
            assert httpx2.get(f"{stack.url}/g/x/logs").status_code == 401
            passwords.add(stack.passwords["admin"])
            keys |= {(stack.folder / "data" / name).read_bytes() for name in KEY_FILES}
            admin = stack.sign_in("admin")
            assert not (stack.folder / "data" / "admin-password").exists()
            assert [one["account"] for one in admin.call("GET", "/principals")["items"]] == ["admin"]
        finally:
            stack.stop()
    assert len(passwords) == 2
    assert len(keys) == 2 * len(KEY_FILES)
    assert all(len(one) >= 16 for one in passwords)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.attack("DP-02")
def test_dp_02_files_are_ours_alone_and_a_key_that_others_read_refuses_the_start(server: Stack, tmp_path: Path) -> None:
    data = server.folder / "data"
    wide = [path for path in (data, *data.rglob("*")) if mode(path) & 0o077]
    assert wide == []

    stack = Stack(tmp_path).start()
    assert mode(tmp_path / "data" / "admin-password") == 0o600
    stack.stop()
    for name in KEY_FILES:
        path = tmp_path / "data" / name
        path.chmod(0o644)
        done = _started(stack)
        assert done.returncode != 0
        assert re.search(r"open to others|mode", done.stderr), done.stderr
        path.chmod(0o600)


def test_another_master_key_of_private_texts_refuses_the_start(tmp_path: Path) -> None:
    stack = Stack(tmp_path).start()
    stack.sign_in("admin")  # whose address is a private text, so there is a key of a subject by now
    stack.stop()
    path = tmp_path / "data" / "private.key"
    own = path.read_bytes()
    path.write_bytes(bytes(32))
    done = _started(stack)
    assert done.returncode != 0
    assert "private.key" in done.stderr
    path.write_bytes(own)
    stack.start()
    stack.stop()


def _started(stack: Stack) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START, str(stack.folder / "loglease.toml")],
        env={**os.environ, "LOGLEASE_DATA_DIR": str(stack.folder / "data")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.attack("DP-03", "FT-05")
def test_dp_03_of_servers_that_start_at_once_one_makes_the_first_account(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.logs.mkdir(parents=True)
    config = tmp_path / "loglease.toml"
    environment = {**os.environ, "LOGLEASE_DATA_DIR": str(tmp_path / "data")}
    config.write_text(CONFIG.format(logs=stack.logs, port=0))
    told = [tmp_path / f"told-{number}" for number in range(3)]
    servers = [WarmServer(config, environment=environment, out=one, err=one.with_suffix(".err")) for one in told]
    try:
        followed(lambda: sum(one.poll() is not None for one in servers) == 2, 120)
        (kept,) = [number for number, one in enumerate(servers) if one.poll() is None]
        found = followed(lambda: re.search(r"^Address +(http\S+)$", told[kept].read_text(), re.MULTILINE), 120)
        stack.url = str(found[1]) if found else ""
        stack.passwords["admin"] = (tmp_path / "data" / "admin-password").read_text().strip()
        shown = "".join(one.read_text() + one.with_suffix(".err").read_text() for one in told)
        assert stack.passwords["admin"] not in shown
        assert all(one.poll() not in (None, 0) for number, one in enumerate(servers) if number != kept)
        admin = stack.sign_in("admin")
        assert [one["account"] for one in admin.call("GET", "/principals")["items"]] == ["admin"]
        assert not (tmp_path / "data" / "admin-password").exists()
    finally:
        for one in servers:
            one.send_signal(signal.SIGTERM)
            one.wait(60)
