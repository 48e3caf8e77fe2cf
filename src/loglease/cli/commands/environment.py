"""`env`: what other programs need to read under a grant."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from loglease.cli.client import Body
from loglease.cli.commands.grants import left_s
from loglease.cli.errors import CliError, Exit, Usage
from loglease.cli.ids import chosen
from loglease.cli.run import Here, Run, flag
from loglease.cli.secret_files import read_secret, write_secret
from loglease.cli.terminal import one_line
from loglease.model.ids import GRANT

Tool = Literal["curl", "plain"]
Format = Literal["shell", "dotenv"]
_ENDED = ("ended", "revoked")


class GrantOver(CliError):
    """Nothing can be read under this grant any more."""

    code = "grant_ended"
    exit_code = Exit.CUT


def env(
    id_: Annotated[str, Parameter(name="ID", help="the grant; @last is your newest")],
    /,
    *,
    tool: Annotated[Tool, flag("for which program; default plain")] = "plain",
    format_: Annotated[Format, flag("how it is written; default shell", name="--format")] = "shell",
    token: Annotated[bool, flag("print the token alone")] = False,
    header: Annotated[bool, flag("print the header that carries the token, for curl -H @<(…)")] = False,
    run: Here,
) -> None:
    """Print what other programs need to read under a grant.

    A token for this one grant is issued once and kept in a file that only you can read; it dies with the grant.
    """
    if token and header:
        raise Usage("--token and --header are two outputs.", next_step="Give one of them.")
    grant = run.client.get(f"/grants/{chosen(run, id_, GRANT, mine=True)}")
    if grant["state"] in _ENDED:
        raise GrantOver(f"{grant['id']} is {grant['state']}.", next_step=f"loglease request --like {grant['request']}")
    file = _token_file(run, grant)
    secret = (read_secret(file) or "").strip()
    if token or header:
        run.out.raw(f"Authorization: Bearer {secret}\n" if header else f"{secret}\n")
        return
    address = run.client.address(str(grant["logs"]))
    if run.out.json:
        run.out.resource({"grant": grant["id"], "logs": address, "token_file": str(file)})
        return
    _print(run, grant, address, file, tool, format_)


def _print(run: Run, grant: Body, address: str, file: Path, tool: Tool, format_: Format) -> None:
    values = {"LOGS_URL": address, "LOGS_TOKEN_FILE": str(file)}
    export = "export " if format_ == "shell" else ""
    for name, value in values.items():
        run.out.raw(f"{export}{name}={shlex.quote(one_line(value))}\n")
    if format_ == "shell":
        short = str(grant["id"])
        curl = f"curl -N -G -H @<(loglease env {short} --header) \"$LOGS_URL\" --data-urlencode 'query={{}}'"
        run.out.raw(f"# curl     {curl}\n")
        if tool == "curl":
            run.out.raw(f"# follow   {curl} -d follow=true -H 'Accept: text/event-stream'\n")


def _token_file(run: Run, grant: Body) -> Path:
    """Return the file with this grant's token, issuing one if there is none yet."""
    file = run.settings.state_dir / f"{grant['id']}.token"
    if read_secret(file):
        return file
    remaining = left_s(run, grant) + (0 if grant.get("valid_until") else grant["duration_s"])
    issued = run.client.post(
        "/tokens",
        {
            "kind": "grant",
            "label": "loglease env",
            "grant": grant["id"],
            "expires_in_s": max(1, int(remaining)),
        },
        creates=True,
    )
    write_secret(file, str(issued["secret"]) + "\n")
    return file
