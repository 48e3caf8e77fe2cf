"""`completion`, and the words that its scripts ask for: commands, flags, own identifiers, labels one may ask for."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Argument, Parameter

from loglease.cli.configuration import Color, OutputForm
from loglease.cli.run import Here, Run
from loglease.cli.scripts import SCRIPTS
from loglease.model.errors import LogLeaseError
from loglease.model.unsafe_text import is_unsafe

_MOST: Final = 50
_SOURCES: Final = "/sources"
_REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "approve": {"needs": "my-review"},
    "deny": {"needs": "my-review"},
    "cancel": {"mine": True},
}
_GRANTS: Final = frozenset({"use", "return", "env", "grants", "suspend", "resume", "revoke"})
_OWN: Final = frozenset({"use", "return", "env"})
_VALUES: Final = {
    "--extend": "/grants",
    "--grant": "/grants",
    "--like": "/requests",
    "--request": "/requests",
    "--source": _SOURCES,
}
_WHOLE_LISTS: Final[dict[tuple[str, ...], str]] = {("token", "delete"): "/tokens", ("lock", "lift"): "/locks"}
_EVERYWHERE: Final[dict[str, tuple[str, ...]]] = {
    "--output": (OutputForm.TABLE, OutputForm.JSON),
    "--color": tuple(Color),
    "--server": (),
    "--context": (),
    "--config": (),
}
"""Flags of every command that take a value, with the values that there are."""


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(name="SHELL", help="bash, zsh or fish")],
    /,
    *,
    run: Here,
) -> None:
    """Print the completion script of a shell.

    bash: eval "$(loglease completion bash)"; zsh: source <(loglease completion zsh); fish: loglease completion fish |
    source.
    """
    run.out.raw(SCRIPTS[shell])


def words(*typed: Annotated[str, Parameter(allow_leading_hyphen=True)], run: Here) -> None:
    """Print what may come next, one word a line; the last argument is the word that is being typed."""
    from loglease.cli.tree import command_tree  # noqa: PLC0415 - the tree names this module

    *before, current = typed or ("",)
    found = candidates(run, command_tree(), before, current)
    run.out.raw("".join(f"{word}\n" for word in found if word and not any(map(is_unsafe, word))))


def candidates(run: Run, app: App, before: list[str], current: str) -> list[str]:
    """Return the words that fit behind those typed before; a server that does not answer adds none."""
    node, path = app, []
    for word in before:
        if word.startswith("-") or word not in node.resolved_commands():
            continue
        node = node[word]
        path.append(word)
    last = before[-1] if before else ""
    names = [name for name in node.resolved_commands() if not name.startswith("-") and node[name].show]
    if (values := _values(run, node, last)) is not None:
        known = values
    elif names:
        known = names
    elif current.startswith("-"):
        known = _flags(node)
    else:
        known = _choices(node) or _from_server(run, path)
    return sorted({word for word in known if word.startswith(current)})


def _values(run: Run, node: App, flag: str) -> list[str] | None:
    """Return the values of the flag before the cursor, none if they are free; None where no value is due."""
    if flag in _EVERYWHERE:
        return list(_EVERYWHERE[flag])
    for argument in _arguments(node):
        if flag in argument.names and not argument.is_flag():
            return list(argument.get_choices() or ()) or _listed(run, _VALUES.get(flag))
    return None


def _choices(node: App) -> list[str]:
    """Return the words that an argument without a flag may be, if they are few."""
    return [word for one in _arguments(node) if one.index is not None for word in one.get_choices() or ()]


def _arguments(node: App) -> list[Argument]:
    if node.default_command is None:
        return []
    return [argument for argument in node.assemble_argument_collection() if argument.parse]


def _flags(node: App) -> list[str]:
    own = [name for argument in _arguments(node) for name in argument.names]
    everywhere = [*_EVERYWHERE, "--yes", "--no-input", "--help"]
    return [name for name in [*own, *everywhere] if name.startswith("--")]


def _listed(run: Run, path: str | None) -> list[str]:
    try:
        return [] if path is None else _ids(run, path)
    except LogLeaseError:
        return []


def _from_server(run: Run, path: list[str]) -> list[str]:
    command = path[-1] if path else ""
    try:
        if (whole := _WHOLE_LISTS.get(tuple(path[:2]))) is not None:
            return [str(one["id"]) for one in run.client.every(whole)]
        if path[:2] == ["admin", "user"]:
            return [str(one["account"]) for one in run.client.every("/principals")]
        if command in _REQUESTS:
            return _ids(run, "/requests", **_REQUESTS[command])
        if command == "requests":
            return _ids(run, "/requests")
        if command in _GRANTS:
            return _ids(run, "/grants", live=True, mine=True if command in _OWN else None)
        if path[:1] == ["sources"]:
            return _ids(run, _SOURCES)
        if command == "request":
            return _selectors(run)
    except LogLeaseError:
        return []
    return []


def _ids(run: Run, path: str, **filters: Any) -> list[str]:
    paged = path != _SOURCES
    found = run.client.items(path, most=_MOST, **filters) if paged else run.client.every(path)
    return [str(one["id"]) for one in found]


def _selectors(run: Run) -> list[str]:
    """Return a selector for each label and value that may be asked for."""
    found = []
    for source in run.client.every(_SOURCES):
        for label in run.client.every(f"/sources/{quote(source['id'], safe='')}/labels"):
            found += [
                f'{{{label["name"]}="{value}"}}' for value in label["values"] if '"' not in value and "'" not in value
            ]
    return found
