"""Heads in git, by the git of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.fakes.clock import START
from tests.fakes.grown_log import GrownLog

from loglease.audit.checkpoint import head_line
from loglease.audit.sinks.interface import SinkFailed
from loglease.audit.sinks.repository import Repository, is_ref_name

LOG = GrownLog()


def git(path: Path, *words: str, given: str = "") -> str:
    done = subprocess.run(["git", "-C", str(path), *words], capture_output=True, text=True, input=given, check=True)
    return done.stdout


def made(path: Path, *words: str) -> Path:
    path.mkdir()
    git(path, "init", "--quiet", *words)
    return path


def log_of(path: Path, branch: str = "heads") -> list[str]:
    return git(path, "log", "--reverse", "--format=%s", branch).splitlines()


@pytest.mark.parametrize("words", [("--bare",), ()])
def test_each_head_is_a_commit(tmp_path: Path, words: tuple[str, ...]) -> None:
    path = made(tmp_path / "repository", *words)
    sink = Repository(path, branch="heads")
    assert sink.newest() is None
    sink.write([LOG.note(0), LOG.note(5)], START)
    sink.write([LOG.note(9)], START)
    assert log_of(path) == [head_line(LOG.head(size)) for size in (0, 5, 9)]
    assert git(path, "show", "heads:checkpoint").encode() == LOG.note(9)
    assert git(path, "show", "heads~1:checkpoint").encode() == LOG.note(5)
    assert git(path, "log", "-1", "--format=%an %aI", "heads") == "LogLease 2026-11-23T09:00:00+00:00\n"
    assert sink.newest() == LOG.note(9)
    assert "dangling" not in git(path, "fsck", "--full")
    if not words:
        assert git(path, "status", "--porcelain") == "", "nothing else was touched"


def test_heads_that_come_again_make_no_second_commit(tmp_path: Path) -> None:
    path = made(tmp_path / "repository", "--bare")
    sink = Repository(path, branch="heads")
    sink.write([LOG.note(5), LOG.note(9)], START)
    sink.write([LOG.note(9), LOG.note(10)], START)
    sink.write([LOG.note(9)], START)
    assert len(log_of(path)) == 3


def test_a_remote_has_them_before_they_count_and_is_what_is_read_back(tmp_path: Path) -> None:
    far, near = made(tmp_path / "far", "--bare"), made(tmp_path / "near", "--bare")
    git(near, "remote", "add", "vault", str(far))
    sink = Repository(near, branch="heads", remote="vault")
    assert sink.newest() is None
    sink.write([LOG.note(5)], START)
    assert log_of(far) == log_of(near)
    (far / "HEAD").rename(far / "gone")
    with pytest.raises(SinkFailed, match="git push"):
        sink.write([LOG.note(9)], START)
    with pytest.raises(SinkFailed, match="git ls-remote"):
        sink.newest()
    (far / "gone").rename(far / "HEAD")
    sink.write([LOG.note(9)], START)
    assert log_of(far) == [head_line(LOG.head(5)), head_line(LOG.head(9))]
    git(near, "update-ref", "refs/heads/heads", "heads~1")
    assert sink.newest() == LOG.note(9), "an old copy of the near one hides nothing"


def test_what_the_remote_had_is_never_written_over(tmp_path: Path) -> None:
    far, near = made(tmp_path / "far", "--bare"), made(tmp_path / "near", "--bare")
    git(near, "remote", "add", "vault", str(far))
    sink = Repository(near, branch="heads", remote="vault")
    sink.write([LOG.note(5), LOG.note(9)], START)
    git(near, "update-ref", "refs/heads/heads", "heads~1")
    with pytest.raises(SinkFailed, match="rejected"):
        sink.write([GrownLog(forked_at=3).note(10)], START)
    assert git(far, "show", "heads:checkpoint").encode() == LOG.note(9)


def test_addresses_with_secrets_are_not_told(tmp_path: Path) -> None:
    near = made(tmp_path / "near", "--bare")
    git(near, "remote", "add", "vault", "https://user:hunter2@127.0.0.1:1/heads")
    with pytest.raises(SinkFailed) as failed:
        Repository(near, branch="heads", remote="vault").write([LOG.note(5)], START)
    assert "hunter2" not in failed.value.message


def test_the_environment_leads_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = made(tmp_path / "repository", "--bare"), made(tmp_path / "other", "--bare")
    monkeypatch.setenv("GIT_DIR", str(other))
    Repository(path, branch="heads").write([LOG.note(5)], START)
    monkeypatch.delenv("GIT_DIR")
    assert len(log_of(path)) == 1
    assert git(other, "for-each-ref") == ""


def test_what_is_no_repository_or_holds_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(SinkFailed, match="git rev-parse"):
        Repository(tmp_path, branch="heads").write([LOG.note(5)], START)
    with pytest.raises(SinkFailed, match="git rev-parse"):
        Repository(tmp_path / "none", branch="heads").newest()
    path = made(tmp_path / "repository", "--bare")
    blob = git(path, "hash-object", "-w", "--stdin", given="rubbish").strip()
    tree = git(path, "mktree", given=f"100644 blob {blob}\tcheckpoint\n").strip()
    commit = git(path, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit-tree", "-m", "x", tree).strip()
    git(path, "update-ref", "refs/heads/heads", commit)
    with pytest.raises(SinkFailed, match="holds no head"):
        Repository(path, branch="heads").newest()


def test_a_git_that_hangs_or_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SinkFailed, match=r"took more than 0\.05 s"):
        Repository(tmp_path, branch="heads", within_s=0.05).newest()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SinkFailed, match="no program git"):
        Repository(tmp_path, branch="heads").newest()


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("heads", True),
        ("audit/heads.v1", True),
        ("-x", False),
        ("--upload-pack=x", False),
        ("a..b", False),
        ("a b", False),
        ("", False),
        ("a.lock", False),
        ("a/", False),
        ("+a", False),
        ("a:b", False),
    ],
)
def test_names_are_plain_words(name: str, fits: bool) -> None:
    assert is_ref_name(name) is fits
