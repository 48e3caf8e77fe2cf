"""`env`: what other programs need to read under a grant."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from loglease.cli.client import Body
from loglease.cli.commands.grants import left_s
from loglease.cli.errors import CliError, Exit, Usage
from loglease.cli.ids import chosen
from loglease.cli.run import Here, Run, flag
from loglease.cli.secret_files import read_secret, write_secret
from loglease.cli.terminal import json_text, one_line
from loglease.model.ids import GRANT

Tool = Literal["logcli", "grafana", "curl"]
Format = Literal["shell", "fish", "dotenv"]
_ENDED = ("ended", "revoked")


class GrantOver(CliError):
    """Nothing can be read under this grant any more."""

    code = "grant_ended"
    exit_code = Exit.CUT


def env(
    id_: Annotated[str, Parameter(name="ID", help="the grant; @last is your newest")],
    /,
    *,
    tool: Annotated[Tool | None, flag("for one program; for grafana a file of its provisioning")] = None,
    format_: Annotated[Format, flag("how variables are written; default shell", name="--format")] = "shell",
    token: Annotated[bool, flag("print the token alone")] = False,
    header: Annotated[bool, flag("print the header that carries the token, for curl -H @<(…)")] = False,
    run: Here,
) -> None:
    """Print what other programs need to read under a grant.

    The programs are logcli, Grafana and curl. A token for this one grant is issued once and kept in a file that only
    you can read; it dies with the grant.
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
    logs = run.client.address(str(grant["logs"]))
    if run.out.json:
        run.out.resource({"grant": grant["id"], "logs": logs, "loki": _loki(logs), "token_file": str(file)})
    elif tool == "grafana":
        run.out.raw(_grafana(grant, logs))
    else:
        _print(run, grant, logs, file, tool, format_)


def _print(run: Run, grant: Body, logs: str, file: Path, tool: Tool | None, format_: Format) -> None:
    for name, value in _variables(logs, file, tool):
        run.out.raw(_assigned(name, one_line(value), format_) + "\n")
    if format_ != "dotenv":
        for name, command in _examples(grant, tool, format_):
            run.out.raw(f"# {name:<8} {command}\n")


def _variables(logs: str, file: Path, tool: Tool | None) -> list[tuple[str, str]]:
    """Return the variables that logcli reads by itself, and the address for curl."""
    loki = [("LOKI_ADDR", _loki(logs)), ("LOKI_BEARER_TOKEN_FILE", str(file))]
    return [*(loki if tool != "curl" else ()), *([("LOGS_URL", logs)] if tool != "logcli" else ())]


def _assigned(name: str, value: str, format_: Format) -> str:
    match format_:
        case "shell":
            return f"export {name}={shlex.quote(value)}"
        case "fish":
            escaped = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"set -gx {name} '{escaped}'"
        case "dotenv":
            return f"{name}={shlex.quote(value)}"


def _examples(grant: Body, tool: Tool | None, format_: Format) -> Iterator[tuple[str, str]]:
    short = str(grant["id"])
    header = f"(loglease env {short} --header | psub)" if format_ == "fish" else f"<(loglease env {short} --header)"
    curl = f"curl -N -G -H @{header} \"$LOGS_URL\" --data-urlencode 'query={{}}'"
    logcli = f"logcli query {shlex.quote(one_line(str(grant['scopes'][0]['selector'])))}"
    if tool in (None, "curl"):
        yield "curl", curl
    if tool == "curl":
        yield "follow", f"{curl} -d follow=true -H 'Accept: text/event-stream'"
    if tool in (None, "logcli"):
        yield "logcli", logcli
    if tool is None:
        yield "grafana", f"loglease env {short} --tool grafana > provisioning/datasources/loglease.yaml"


def _loki(logs: str) -> str:
    """Return the address that clients of Loki's API begin theirs with."""
    return logs.removesuffix("/logs")


def _grafana(grant: Body, logs: str) -> str:
    """Return the file that makes a data source of a Grafana which is one person's own; it holds no token."""
    grant_id = str(grant["id"])
    address = json_text(_loki(logs).replace("$", "$$"))
    return f"""\
# A Loki data source for a Grafana of your own: whoever can use it reads as you, and is recorded as you.
# Put this into its provisioning/datasources/. The token is taken from its environment when it starts:
#   LOGLEASE_TOKEN="$(loglease env {grant_id} --token)" grafana server
apiVersion: 1
datasources:
  - name: LogLease {grant_id}
    uid: {grant_id}
    type: loki
    access: proxy
    url: {address}
    basicAuth: true
    basicAuthUser: loglease
    secureJsonData:
      basicAuthPassword: $LOGLEASE_TOKEN
    jsonData:
      manageAlerts: false
      maxLines: 1000
"""


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
