"""Reading rule packs, profiles and plug-ins from where a person says they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from loglease.cli.errors import CliError, Exit, Usage
from loglease.cli.run import Run, flag
from loglease.redaction import Extensions, Fault, PluginInvalid, load_plugins

MAX_FILES: Final = 1_000
Plugins = Annotated[list[str] | None, flag("a plug-in that rules name, by its entry point; may be repeated")]


class PluginUnusable(CliError):
    """A plug-in that was named cannot be used."""

    code = "plugin_invalid"


def rule_files(paths: Sequence[Path]) -> dict[str, bytes]:
    """Return packs and profiles by the name under which people know them; a directory stands for its ``*.yaml``.

    Raises:
        Usage: a path is not there, cannot be read, or holds no such files.
    """
    found: dict[str, bytes] = {}
    for path in paths:
        files = sorted(one for one in path.rglob("*.yaml") if one.is_file()) if path.is_dir() else [path]
        if not files:
            raise Usage(f"{path} holds no *.yaml files.", next_step="Name a file, or a directory with packs.")
        for file in files:
            try:
                found[str(file)] = file.read_bytes()
            except OSError as error:
                raise Usage(f"{file}: {error.strerror}.", next_step="Check path and mode.") from error
    if len(found) > MAX_FILES:
        raise Usage(f"These are {len(found):,} files.", next_step=f"A set has at most {MAX_FILES:,}.")
    return found


def extensions_named(names: Sequence[str] | None) -> Extensions:
    """Return what some plug-ins offer.

    Raises:
        PluginUnusable: one is not installed, or is none.
    """
    try:
        return load_plugins(names or ())
    except PluginInvalid as error:
        raise PluginUnusable(f"{error}.", next_step="Install it beside loglease, or correct the name.") from error


def refused(run: Run, faults: Sequence[Fault]) -> Exit:
    """Print what is wrong with a set of rules, and return how the command ends."""
    if run.out.json:
        run.out.resource({"problems": [one.as_json() for one in faults]})
    else:
        for one in faults:
            run.out.data(one.render())
        run.out.notice(f"{len(faults)} error{'s' * (len(faults) != 1)}; nothing of this would be loaded.")
    return Exit.CHECK_FAILED
