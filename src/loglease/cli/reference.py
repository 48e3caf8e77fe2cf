"""The reference of the command line, written from the tree of commands: `python -m loglease.cli.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Final

from cyclopts import App

from loglease.audit.log_directory import LogUnreadable
from loglease.audit.log_reading import KeyUnknown, LogIncomplete, LogTampered
from loglease.cli.errors import _BY_STATUS, _EXITS, CliError, Exit
from loglease.cli.logs import NotWitnessed
from loglease.cli.main import launcher
from loglease.cli.tree import command_tree
from loglease.model.errors import LogLeaseError

_MEANINGS: Final = {
    Exit.DONE: "done",
    Exit.NO: "the answer is no: denied, expired, not confirmed, terms without their digest, a log that does not hold",
    Exit.COULD_NOT: "could not run: usage, configuration, network, server",
    Exit.CHECK_FAILED: "`check` found errors",
    Exit.TEST_FAILED: "`test` failed",
    Exit.GATE: "`diff` found what `--fail-on` names",
    Exit.REFUSED: "refused by policy, a lock or a missing right",
    Exit.NOT_FOUND: "not found, or not for you: one answer",
    Exit.CONFLICT: "conflict: decided already, digest changed, not active, several grants would do",
    Exit.CUT: "cut: the grant ended, was revoked, or its budget is used",
    Exit.PENDING: "still pending after `--wait`",
    Exit.SIGN_IN: "sign in, or sign in again",
    Exit.INTERRUPTED: "interrupted",
}
_OF_LOGS: Final[Mapping[type[LogLeaseError], Exit]] = {
    LogIncomplete: Exit.COULD_NOT,
    LogUnreadable: Exit.COULD_NOT,
    KeyUnknown: Exit.COULD_NOT,
    LogTampered: Exit.NO,
    NotWitnessed: Exit.NO,
}
_HEAD: Final = """# Command line

Written by `python -m loglease.cli.reference`; a test fails when it is out of date.

Data goes to stdout, progress and notices to stderr. `--output json` prints the resources of the
[REST API](rest-api.md); errors are then problems as JSON, on stderr. Identifiers may be cut to a unique prefix, to the
last six characters, or have a gap (`req_01JD…Q4M`); `@last` is the newest. Control characters, bidirectional overrides
and zero-width characters are printed as visible escapes.
"""
_SETTINGS: Final = """## Configuration

`$XDG_CONFIG_HOME/loglease/config.toml`; unknown keys are errors. A flag beats a variable, which beats the context.

```toml
context = "prod"                        # the context to use if --context names none

[contexts.prod]
server = "https://logs.example.com"
ca_file = "/etc/ssl/our-ca.pem"         # trust this authority instead of the system's
output = "table"                        # or "json"
source = "loki-prod"                    # for `request` without --source
duration = "30m"                        # for `request` without --for
insecure_http = false                   # true: passwords and tokens may travel in the clear
```

| variable | instead of |
| --- | --- |
| `LOGLEASE_SERVER` | `--server` |
| `LOGLEASE_CONTEXT` | `--context` |
| `LOGLEASE_CONFIG` | `--config` |
| `LOGLEASE_OUTPUT` | `--output` |
| `LOGLEASE_NO_INPUT` | `--no-input` |
| `LOGLEASE_TOKEN`, `LOGLEASE_TOKEN_FILE` | the stored sign-in; the file has mode 0600 |
| `LOGLEASE_CA_FILE` | `ca_file` |
| `LOGLEASE_TIMEOUT` | 30 seconds for one call |
| `LOGLEASE_DATA_DIR` | `--data-dir` of `serve` and `doctor` |
| `NO_COLOR` | `--color never` |

Tokens are kept in the system's keyring where one works, else in a file with mode 0600 below
`$XDG_STATE_HOME/loglease`; a file that others can read is refused.
"""


def reference() -> str:
    """Return the whole page."""
    parts = [_HEAD, _exit_codes(), _local_codes(), _SETTINGS, *_commands()]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _exit_codes() -> str:
    rows = []
    for exit_code in Exit:
        codes = sorted(code for code, found in _EXITS.items() if found is exit_code)
        listed = " ".join(f"`{code}`" for code in codes)
        rows.append(f"| {int(exit_code)} | {_MEANINGS[exit_code]} | {listed} |")
    statuses = ", ".join(f"{int(status)} is {int(found)}" for status, found in _BY_STATUS.items())
    table = "\n".join(["| code | means | problem codes |", "| --- | --- | --- |", *rows])
    return f"## Exit codes\n\n{table}\n\nOther problem codes end with 2; unknown ones go by their status: {statuses}.\n"


def _local_codes() -> str:
    """List the error codes that are the program's own."""
    found = {one.code: one for one in CliError.__subclasses__() if one.__module__ == CliError.__module__}
    codes = {code: (int(one.exit_code), one) for code, one in found.items()} | {
        one.code: (int(exit_code), one) for one, exit_code in _OF_LOGS.items()
    }
    rows = [
        f"| `{code}` | {exit_code} | {(one.__doc__ or '').strip().partition(chr(10))[0]} |"
        for code, (exit_code, one) in sorted(codes.items())
        if code not in _EXITS
    ]
    return "\n".join(["Codes of the program itself:", "", "| code | exit | means |", "| --- | --- | --- |", *rows, ""])


class _Everything:
    """Words that name every command, so that each shows its whole docstring."""

    def __contains__(self, word: object) -> bool:
        return True


def _commands() -> Iterator[str]:
    everywhere = launcher(lambda _flags, _words, _app: 0)
    rows = [
        f"| `{argument.name}` | {argument.parameter.help} |"
        for argument in everywhere.assemble_argument_collection()
        if argument.show and argument.name.startswith("--")
    ]
    yield "\n".join(["## Flags of every command", "", "| flag | does |", "| --- | --- |", *rows, ""])
    yield "## Commands\n"
    yield from _documented(command_tree(_Everything()), [])


def _documented(app: App, path: list[str]) -> Iterator[str]:
    for name in app.resolved_commands():
        command = app[name]
        if name.startswith("-") or not command.show:
            continue
        inner = [one for one in command.resolved_commands() if not one.startswith("-")]
        if inner:
            yield from _documented(command, [*path, name])
            continue
        text = command.generate_docs(heading_level=3, usage_name=" ".join(["loglease", *path, name]))
        yield _titled(text, " ".join(["loglease", *path, name]))


def _titled(text: str, title: str) -> str:
    _, _, rest = text.strip().partition("\n")
    return f"### {title}\n{rest}\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
