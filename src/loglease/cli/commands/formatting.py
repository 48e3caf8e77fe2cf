"""`policy fmt`: policy files in their canonical layout."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from loglease.cli.errors import Exit, Usage
from loglease.cli.policy_files import tell_problems
from loglease.cli.run import Here, flag
from loglease.policy.layout import laid_out
from loglease.policy.problems import Problem


def fmt(
    *paths: Annotated[Path, Parameter(name="PATH", help="files named *.yaml, and directories with such files")],
    check: Annotated[bool, flag("change nothing; end with 3 if a file would change")] = False,
    run: Here,
) -> Exit:
    """Write policy files in their canonical layout.

    Two spaces a level, one space where one is needed, at most one blank line; lists and mappings in flow style are
    broken up where they do not fit on a line or hold a comment. Comments, quotes, the order of fields, and the hash of
    the bundle stay. A file whose form cannot be read is left alone and told with its problems; the command ends with 3
    then.
    """
    changed: list[str] = []
    problems: list[Problem] = []
    for path in _files(paths):
        content = _content(path)
        found = laid_out(str(path), content)
        if isinstance(found, list):
            problems += found
        elif found != content:
            changed.append(str(path))
            if not check:
                _replace(path, found)
            if not run.out.json:
                run.out.data(f"{'would change' if check else 'changed'} {path}")
    if run.out.json:
        run.out.resource({"changed": changed, "problems": [one.as_json() for one in problems]})
    elif problems:
        tell_problems(run, problems)
    return Exit.CHECK_FAILED if problems or (check and changed) else Exit.DONE


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that are meant, in the order of the command line and of their names.

    Raises:
        Usage: none is named, one is no policy file, or a directory holds none.
    """
    found = False
    for path in paths:
        inside = sorted(one for one in path.rglob("*.yaml") if one.is_file()) if path.is_dir() else [path]
        if not inside or inside[0].suffix != ".yaml" or not inside[0].is_file():
            raise Usage(f"{path} is no *.yaml file and no directory with one.", next_step="Name files or directories.")
        found = True
        yield from inside
    if not found:
        raise Usage("No file is named.", next_step="Name files or directories: loglease policy fmt policies/")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Usage(f"{path} cannot be read.", next_step="Check its mode.") from error


def _replace(path: Path, content: bytes) -> None:
    """Put a new content in the place of a file at once: a crash leaves the old one or the new one."""
    place = path.resolve()
    new: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}.", delete=False) as file:
            new = Path(file.name)
            file.write(content)
        shutil.copymode(place, new)
        new.replace(place)
    except OSError as error:
        if new is not None:
            new.unlink(missing_ok=True)
        raise Usage(f"{path} cannot be written.", next_step="Check the mode of its directory.") from error
