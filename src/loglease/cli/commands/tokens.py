"""`token create`, `token list`, `token delete`."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from loglease.cli.client import Body
from loglease.cli.errors import Usage
from loglease.cli.ids import chosen
from loglease.cli.output import moment
from loglease.cli.run import Here, flag
from loglease.cli.terminal import one_line
from loglease.model.ids import GRANT, TOKEN
from loglease.model.instant import parse_duration
from loglease.model.rights import Right

_DEFAULT_EXPIRY: Final = "30d"


def create(
    label: Annotated[str, Parameter(name="LABEL", help="what it is for")],
    /,
    *,
    right: Annotated[tuple[str, ...], flag("what it may do, such as logs.read; repeatable")] = (),
    expires: Annotated[str, flag("how long it works, at most 90d, 365d for services; default 30d")] = _DEFAULT_EXPIRY,
    service: Annotated[str | None, flag("issue it for this agent or service, by its account")] = None,
    grant: Annotated[str | None, flag("it works for this grant alone and dies with it")] = None,
    run: Here,
) -> None:
    """Issue a token; its secret is printed this once.

    The secret goes to stdout, all else to stderr. No token can review.
    """
    if service is not None and grant is not None:
        raise Usage("A token is for a service or for a grant.", next_step="Give --service or --grant.")
    if not right and grant is None:
        raise Usage("A token without a right is good for nothing.", next_step=f"Give --right: {', '.join(Right)}.")
    body: Body = {"label": label, "rights": [_right(one) for one in right], "expires_in_s": parse_duration(expires)}
    if service is not None:
        body |= {"kind": "service", "principal": service}
    elif grant is not None:
        body |= {"kind": "grant", "grant": chosen(run, grant, GRANT, mine=True)}
    issued = run.client.post("/tokens", body, creates=True)
    if run.out.json:
        run.out.resource(issued)
        return
    token = issued["token"]
    run.out.notice(f"Token {token['id']} {token['label']!r}, until {moment(token['expires_at'])} UTC. Shown this once:")
    run.out.data(issued.get("secret", ""))


def list_(*, run: Here) -> None:
    """List your tokens."""
    found = run.client.every("/tokens")
    if run.out.json:
        run.out.resource({"items": found})
        return
    run.out.table(
        ["TOKEN", "KIND", "LABEL", "RIGHTS", "EXPIRES", "LAST USED"],
        [
            [
                one["id"],
                one["kind"],
                one["label"],
                ", ".join(one["rights"]) or one.get("grant", ""),
                moment(one["expires_at"]),
                moment(one.get("last_used_at")) or "never",
            ]
            for one in found
        ],
        none="You have no token.",
    )


def delete(
    id_: Annotated[str, Parameter(name="ID", help="the token")],
    /,
    *,
    run: Here,
) -> None:
    """Delete a token: it works no more."""
    token_id = chosen(run, id_, TOKEN)
    run.client.call("DELETE", f"/tokens/{token_id}")
    run.out.notice(f"{token_id} works no more.")


def _right(text: str) -> str:
    if text not in set(Right):
        raise Usage(f"{one_line(text[:40])!r} is no right.", next_step=f"Choose from {', '.join(Right)}.")
    return text
