"""One call of a command: settings, streams and, when first needed, the client. Commands take it as `run`."""

from __future__ import annotations

import getpass
import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, TextIO

from cyclopts import Parameter

from loglease.cli.configuration import Flags, Settings
from loglease.cli.errors import InputNeeded, Usage
from loglease.cli.output import Output
from loglease.cli.terminal import one_line

if TYPE_CHECKING:
    from loglease.cli.client import Client


@dataclass
class Run:
    """What a command needs besides its own arguments."""

    settings: Settings
    out: Output
    stdin: TextIO = field(default_factory=lambda: sys.stdin)

    @cached_property
    def client(self) -> Client:
        """The REST client; importing it costs more than a local command should pay."""
        from loglease.cli.client import Client  # noqa: PLC0415 - see above
        from loglease.cli.token_store import TokenStore  # noqa: PLC0415 - see above

        settings = self.settings
        store = TokenStore(state_dir=settings.state_dir, context=settings.context, server=settings.server)
        client = Client(settings, store)
        self.out.audit_head = lambda: client.audit_head
        return client

    def close(self) -> None:
        """Close what was opened."""
        if "client" in self.__dict__:
            self.client.close()

    @property
    def may_ask(self) -> bool:
        """Whether there is somebody to answer a question."""
        return not self.settings.no_input and self.stdin.isatty() and self.out.stderr.isatty()

    def confirm(self, question: str) -> bool:
        """Ask for a yes; `--yes` answers it.

        Raises:
            InputNeeded: there is nobody to ask.
        """
        if self.settings.yes:
            return True
        if not self.may_ask:
            raise InputNeeded(f"{question} There is no terminal to ask on.", next_step="Repeat the command with --yes.")
        self.out.stderr.write(f"{one_line(question)} [y/N] ")
        self.out.stderr.flush()
        return self.stdin.readline().strip().lower() in ("y", "yes")

    def asked(self, name: str, question: str) -> str:
        """Ask for a text that was not given as a flag.

        Raises:
            InputNeeded: there is nobody to ask.
            Usage: the answer is empty.
        """
        if not self.may_ask:
            raise InputNeeded(f"{name} is missing.", next_step=f"Give {name}.")
        self.out.stderr.write(f"{one_line(question)}: ")
        self.out.stderr.flush()
        answer = self.stdin.readline().strip()
        if not answer:
            raise Usage(f"{name} is missing.", next_step=f"Give {name}.")
        return answer

    def secret(self, question: str, *, from_stdin: bool) -> str:
        """Ask for a secret without showing it, or take one line of standard input.

        Raises:
            InputNeeded: there is nobody to ask, or the line is not there.
        """
        if from_stdin:
            line = self.stdin.readline().rstrip("\r\n")
            if not line:
                raise InputNeeded("Standard input holds no password.", next_step="Send it as one line.")
            return line
        if not self.may_ask:
            raise InputNeeded(f"{question}: there is no terminal to ask on.", next_step="Use --password-stdin.")
        return getpass.getpass(f"{one_line(question)}: ", stream=self.out.stderr)


Here = Annotated[Run, Parameter(parse=False)]
"""The type of the argument `run`, which no flag fills."""
HereFlags = Annotated[Flags, Parameter(parse=False)]
"""The type of the argument `flags`: for commands that need no server and no client's configuration."""


def flag(text: str, *, name: str | None = None, stdin: bool = False) -> Parameter:
    """Return a parameter with its help, and perhaps another name than the argument's.

    Args:
        text: the help.
        name: where it is not the argument's own.
        stdin: the value may be `-`.
    """
    return Parameter(name=name, help=text, negative=(), show_default=False, allow_leading_hyphen=stdin)
