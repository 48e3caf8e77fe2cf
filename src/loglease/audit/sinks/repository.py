"""A branch of a git repository, bare or not: a commit for each head, perhaps pushed to where nobody may rewrite it.

Only the branch is touched, never a working tree or an index. `git` itself does the work.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loglease.audit.checkpoint import head_line
from loglease.audit.note import NoteInvalid
from loglease.audit.sinks.interface import SinkFailed, checkpoint_of
from loglease.model.instant import MICROSECONDS, Instant

FILE: Final = "checkpoint"
WITHIN_S: Final = 30.0

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_DURABLE: Final = ("-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync")
_ADDRESS: Final = re.compile(r"\S+://\S+|\S+@\S+")
_LOUD: Final = ("fatal:", "error:", "remote:", " ! ")
_MISSING: Final = 1


def is_ref_name(text: str) -> bool:
    """Say whether a branch or a remote may have this name: plain words, nothing that git would take for an option."""
    return _NAME.fullmatch(text) is not None and ".." not in text and not text.endswith(("/", ".", ".lock"))


class Repository:
    """`Sink` in a branch.

    Args:
        path: the repository.
        branch: its own; made with the first head.
        remote: a name that the repository knows; heads count as kept once it has them, and are read back from it.
    """

    kind = "git"
    readable = True

    def __init__(self, path: Path, *, branch: str, remote: str | None = None, within_s: float = WITHIN_S) -> None:
        self._path = path
        self._branch = f"refs/heads/{branch}"
        self._remote = remote
        self._within_s = within_s

    def write(self, notes: Sequence[bytes], at: Instant) -> None:
        """Commit what the branch does not have yet, and push."""
        there = self._blob(self._branch)
        known = -1 if there is None else checkpoint_of(there).size
        fresh = [note for note in notes if checkpoint_of(note).size > known]
        if fresh:
            stream = _import_of(fresh, self._branch, int(at) // MICROSECONDS, begins=there is None)
            self._git("fast-import", "--quiet", "--done", given=stream)
        if self._remote is not None:
            self._git("push", "--quiet", self._remote, f"{self._branch}:{self._branch}")

    def newest(self) -> bytes | None:
        """Return the head in the last commit, of the remote if there is one."""
        if self._remote is None:
            return self._blob(self._branch)
        listed = self._git("ls-remote", "--quiet", self._remote, self._branch)
        if not listed.strip():
            return None
        self._git("fetch", "--quiet", "--no-tags", self._remote, self._branch)
        return self._blob(listed.split()[0].decode())

    def close(self) -> None:
        """Nothing is kept open."""

    def _blob(self, commit: str) -> bytes | None:
        """Return the head in a commit; None if there is no such branch."""
        found = self._run("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
        if found.returncode == _MISSING and not found.stderr:
            return None
        if found.returncode:
            raise self._failed("rev-parse", found.stderr)
        note = self._git("cat-file", "blob", f"{found.stdout.decode().strip()}:{FILE}")
        try:
            checkpoint_of(note)
        except NoteInvalid as error:
            raise SinkFailed(
                f"The branch {self._branch} of {self._path} holds no head of this log.",
                next_step="Name a branch of its own for the sink.",
            ) from error
        return note

    def _git(self, *words: str, given: bytes = b"") -> bytes:
        done = self._run(*words, given=given)
        if done.returncode:
            raise self._failed(words[0], done.stderr)
        return done.stdout

    def _run(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
        try:
            return subprocess.run(  # noqa: S603 - words of ours, and names that were looked at
                ["git", *_DURABLE, "-C", str(self._path), *words],  # noqa: S607 - the one that the operator installed
                input=given,
                capture_output=True,
                timeout=self._within_s,
                check=False,
                env={**environment, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            )
        except FileNotFoundError:
            raise SinkFailed("There is no program git.", next_step="Install git.") from None
        except subprocess.TimeoutExpired:
            raise SinkFailed(f"git {words[0]} in {self._path} took more than {self._within_s:g} s.") from None

    def _failed(self, word: str, told: bytes) -> SinkFailed:
        lines = [line for line in told.decode("utf-8", "replace").splitlines() if line.startswith(_LOUD)]
        why = _ADDRESS.sub("…", lines[0]) if lines else "it said nothing"
        return SinkFailed(
            f"git {word} in {self._path} failed: {why[:200]}",
            next_step=f"Run it as the server's user: git -C {self._path} {word}.",
        )


def _import_of(notes: Sequence[bytes], branch: str, at_s: int, *, begins: bool) -> bytes:
    """Return what `git fast-import` reads: one commit a head."""
    parts: list[bytes] = []
    for place, note in enumerate(notes):
        parts += [
            f"commit {branch}\n".encode(),
            f"committer LogLease <audit@loglease.invalid> {at_s} +0000\n".encode(),
            _data(head_line(checkpoint_of(note)).encode() + b"\n"),
            f"from {branch}^0\n".encode() if place == 0 and not begins else b"",
            f"M 100644 inline {FILE}\n".encode(),
            _data(note),
            b"\n",
        ]
    return b"".join([*parts, b"done\n"])


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
