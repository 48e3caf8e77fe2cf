"""The entrance: read the flags that every command has, run the command, turn what stops it into words and a code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

from cyclopts import App, CycloptsError, Group, Parameter

from loglease.cli.configuration import Color, Flags, OutputForm, settings_from
from loglease.cli.errors import Exit, Usage, exit_of
from loglease.cli.output import Output
from loglease.cli.run import Run
from loglease.cli.tree import command_tree
from loglease.model.errors import LogLeaseError

if TYPE_CHECKING:
    from rich.console import Console

_IN_MARKDOWN: Final = frozenset({"loglease.cli.commands.differing"})
_EVERYWHERE = Group("Everywhere", sort_key=1_000)


def main(
    arguments: Sequence[str] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
) -> None:
    """Run one command and exit with its code."""
    sys.exit(
        run_command(
            sys.argv[1:] if arguments is None else arguments,
            environment=os.environ if environment is None else environment,
            stdin=stdin or sys.stdin,
            stdout=stdout or sys.stdout,
            stderr=stderr or sys.stderr,
        )
    )


def run_command(
    arguments: Sequence[str], *, environment: Mapping[str, str], stdin: TextIO, stdout: TextIO, stderr: TextIO
) -> int:
    """Run one command and return its exit code; whatever it could not do is said on stderr."""
    tokens = [*arguments]
    color = _color(tokens, environment)
    plain = Output(stdout=stdout, stderr=stderr, form=_form(tokens, environment), color=color)

    def start(flags: Flags, rest: Sequence[str], app: App) -> int:
        return _started(flags, rest, app, environment=environment, stdin=stdin, stdout=stdout, stderr=stderr)

    try:
        app = launcher(start, tokens)
        if color is not Color.AUTO:
            app.console = _console(stdout, color)
        code = app(tokens, exit_on_error=False, print_error=False)
        return int(code) if isinstance(code, int) else Exit.DONE
    except CycloptsError as error:
        plain.error(_usage(error))
        return Exit.COULD_NOT
    except LogLeaseError as error:
        plain.error(error)
        return int(exit_of(error))
    except KeyboardInterrupt:
        stderr.write("\n")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _silence(stdout)
        return Exit.DONE


def launcher(start: Callable[[Flags, Sequence[str], App], int], words: Sequence[str] = ()) -> App:
    """Return the application: the tree of commands below the flags that every command has."""
    app = command_tree(words)

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        output: Annotated[
            OutputForm | None,
            Parameter(group=_EVERYWHERE, help="tables for people, JSON for programs; `policy diff` also has markdown"),
        ] = None,
        color: Annotated[Color, Parameter(group=_EVERYWHERE, help="colour on terminals, always or never")] = Color.AUTO,
        server: Annotated[str | None, Parameter(group=_EVERYWHERE, help="address of the server")] = None,
        context: Annotated[str | None, Parameter(group=_EVERYWHERE, help="context of the configuration file")] = None,
        config: Annotated[Path | None, Parameter(group=_EVERYWHERE, help="the configuration file")] = None,
        yes: Annotated[bool, Parameter(group=_EVERYWHERE, help="answer confirmations with yes")] = False,
        no_input: Annotated[bool, Parameter(group=_EVERYWHERE, help="never ask: exit with 2 instead")] = False,
    ) -> int:
        """Run one command."""
        flags = Flags(
            output=output, color=color, server=server, context=context, config=config, yes=yes, no_input=no_input
        )
        return start(flags, tokens, app)

    app.meta.suppress_keyboard_interrupt = False  # it has an exit code, and commands have a last word
    return app.meta


def _started(
    flags: Flags,
    tokens: Sequence[str],
    app: App,
    *,
    environment: Mapping[str, str],
    stdin: TextIO,
    stdout: TextIO,
    stderr: TextIO,
) -> int:
    command, bound, ignored = app.parse_args(tokens, exit_on_error=False, print_error=False)
    if "run" not in ignored:
        given = {"flags": flags} if "flags" in ignored else {}
        answer = command(*bound.args, **bound.kwargs, **given)
        return int(answer) if isinstance(answer, int) else Exit.DONE
    settings = settings_from(flags, environment)
    if settings.output is OutputForm.MARKDOWN and command.__module__ not in _IN_MARKDOWN:
        raise Usage("This command prints no Markdown.", next_step="Choose table or json.")
    out = Output(stdout=stdout, stderr=stderr, form=settings.output, color=settings.color)
    run = Run(settings=settings, out=out, stdin=stdin)
    try:
        answer = command(*bound.args, **bound.kwargs, run=run)
        head = None if out.json else out.audit_head()
        if head is not None:
            out.notice(head)
    finally:
        run.close()
    return int(answer) if isinstance(answer, int) else Exit.DONE


def _color(tokens: Sequence[str], environment: Mapping[str, str]) -> Color:
    """Guess whether errors are coloured: they may come before flags are read."""
    default = Color.NEVER if environment.get("NO_COLOR") else Color.AUTO
    wanted = _last_of("--color", tokens)
    return Color(wanted) if wanted in set(Color) and wanted != Color.AUTO else default


def _console(stdout: TextIO, color: Color) -> Console:
    """Return what help is printed with: without any escapes, or with them wherever it goes."""
    from rich.console import Console  # noqa: PLC0415 - most commands print no help

    if color is Color.NEVER:
        return Console(file=stdout, color_system=None)
    return Console(file=stdout, force_terminal=True)


def _form(tokens: Sequence[str], environment: Mapping[str, str]) -> OutputForm:
    """Guess the form of errors: they may come before flags are read."""
    wanted = _last_of("--output", tokens) or environment.get("LOGLEASE_OUTPUT", "")
    return OutputForm.JSON if wanted == OutputForm.JSON else OutputForm.TABLE


def _last_of(flag: str, tokens: Sequence[str]) -> str | None:
    """Return the last value that the command line gives a flag."""
    found = None
    for at, word in enumerate(tokens):
        if word == "--":
            break
        if word == flag and at + 1 < len(tokens):
            found = tokens[at + 1]
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
    return found


def _usage(error: CycloptsError) -> Usage:
    names = [name for name in (error.command_chain or ()) if not name.startswith("-")]
    text = str(error).strip().replace("\n", " ")
    return Usage(text, next_step=" ".join(["loglease", *names, "--help"]))


def _silence(stream: TextIO) -> None:
    """Send what is still buffered to nowhere: the reader of the pipe has gone."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
