"""Reading policy documents from where a person says they are, and saying what is wrong with them."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from loglease.cli.errors import Usage
from loglease.cli.run import Run
from loglease.model.instant import Instant
from loglease.policy.bundle import Bundle
from loglease.policy.defaults import default_files
from loglease.policy.loading import load
from loglease.policy.problems import Problem, Severity

MAX_FILES: Final = 10_000
_SEGMENT: Final = "[A-Za-z0-9_][A-Za-z0-9._-]*"
PLAIN_PATH: Final = re.compile(rf"({_SEGMENT}/)*{_SEGMENT}\.yaml")
"""Paths of documents that may be written where a server says."""
_SHIPPED_SOURCE: Final = "files"

DIRECTORY = Annotated[
    Path | None, Parameter(name="DIR", help="directory with *.yaml; without it the policy that ships is taken")
]


def bundle_in(run: Run, directory: Path | None, *, name: str | None = None) -> Bundle | None:
    """Return the bundle of a directory, or None after saying what is wrong with its documents.

    Args:
        run: the call.
        directory: where the documents are; None for those that ship.
        name: what to call the directory where there are several.

    Raises:
        Usage: see `files_in`.
    """
    found = loaded(files_in(directory))
    if isinstance(found, Bundle):
        return found
    if name is not None:
        run.out.notice(f"{name}:")
    tell_problems(run, found)
    return None


def loaded(files: Mapping[str, bytes]) -> Bundle | list[Problem]:
    """Load documents, as `load` does, in half the time: reading leaves no cycles, so none are looked for meanwhile."""
    gc.disable()
    try:
        return load(files)
    finally:
        gc.enable()


def tell_problems(run: Run, problems: Sequence[Problem]) -> None:
    """Say on stderr what is wrong."""
    for one in problems:
        run.out.notice(one.render())
    run.out.notice(counted(problems))


def files_in(directory: Path | None) -> dict[str, bytes]:
    """Return the documents of a directory by their path in it; without one, those that ship.

    Raises:
        Usage: it is no directory, holds none or too many, or one cannot be read.
    """
    if directory is None:
        return default_files([_SHIPPED_SOURCE])
    if not directory.is_dir():
        raise Usage(f"{directory} is no directory.", next_step="Name a directory with *.yaml files.")
    paths = sorted(path for path in directory.rglob("*.yaml") if path.is_file())
    if not paths or len(paths) > MAX_FILES:
        raise Usage(
            f"{directory} holds {len(paths) or 'no'} *.yaml files.", next_step=f"A bundle has 1 to {MAX_FILES:,}."
        )
    try:
        return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
    except OSError as error:
        raise Usage(f"{error.filename} cannot be read.", next_step="Check its mode.") from error


def content_of(path: Path) -> bytes:
    """Return what a file holds that a flag names.

    Raises:
        Usage: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Usage(f"{path} cannot be read.", next_step="Check its name and its mode.") from error


def clock_now() -> Instant:
    """Return the time of this machine, for local commands where none is given."""
    return Instant(time.time_ns() // 1_000)  # noqa: TID251 - there is no server whose time would count


def counted(problems: Sequence[Problem]) -> str:
    """Say how many errors and warnings there are."""
    errors = sum(one.severity is Severity.ERROR for one in problems)
    return f"{errors} error{'s' * (errors != 1)}, {len(problems) - errors} warnings"
