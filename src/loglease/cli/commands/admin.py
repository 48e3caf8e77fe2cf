"""`admin user add`, `list`, `disable`, `enable`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from loglease.cli.client import Body
from loglease.cli.errors import NotFoundHere
from loglease.cli.run import Here, Run, flag
from loglease.cli.terminal import one_line
from loglease.model.principal import Kind, Role

ACCOUNT = Annotated[str, Parameter(name="ACCOUNT", help="the account, or its prn_ identifier")]


def add(
    account: Annotated[str, Parameter(name="ACCOUNT", help="the new account, such as bob@example.com")],
    /,
    *,
    name: Annotated[str | None, flag("the person's name; else the account")] = None,
    email: Annotated[str | None, flag("the e-mail address")] = None,
    kind: Annotated[Kind, flag("what the account is; default human")] = Kind.HUMAN,
    owner: Annotated[str | None, flag("the account of the human who owns an agent or service")] = None,
    group: Annotated[tuple[str, ...], flag("a group that it is in; repeatable")] = (),
    role: Annotated[tuple[Role, ...], flag("a role that it has; repeatable")] = (),
    password_stdin: Annotated[bool, flag("take the password from standard input; else one is generated")] = False,
    run: Here,
) -> None:
    """Add a local account.

    A generated password is printed this once, on stdout; the person changes it at the first sign-in.
    """
    body: Body = {"account": account, "kind": str(kind), "groups": list(group), "roles": [str(one) for one in role]}
    body |= {key: value for key, value in (("name", name), ("email", email)) if value is not None}
    if owner is not None:
        body["owner"] = _principal(run, owner)
    if password_stdin:
        body["password"] = run.secret("Password", from_stdin=True)
    added = run.client.post("/principals", body, creates=True)
    if run.out.json:
        run.out.resource(added)
        return
    principal = added["principal"]
    run.out.notice(f"Added {principal['account']} ({principal['kind']}, {principal['id']}).")
    if added.get("password"):
        run.out.notice("Password, shown this once:")
        run.out.data(added["password"])


def list_(*, run: Here) -> None:
    """List accounts."""
    found = run.client.every("/principals")
    if run.out.json:
        run.out.resource({"items": found})
        return
    run.out.table(
        ["ACCOUNT", "NAME", "KIND", "STATE", "GROUPS", "ROLES", "ID"],
        [
            [
                one["account"],
                one["name"],
                one["kind"],
                "enabled" if one["enabled"] else "disabled",
                ", ".join(one["groups"]),
                ", ".join(one["roles"]),
                one["id"],
            ]
            for one in found
        ],
        none="No account.",
    )


def disable(account: ACCOUNT, /, *, run: Here) -> None:
    """Disable an account: its sign-ins end and it cannot sign in.

    To end its grants as well: loglease lock add person:… --revoke.
    """
    _set(run, account, enabled=False)


def enable(account: ACCOUNT, /, *, run: Here) -> None:
    """Enable an account again."""
    _set(run, account, enabled=True)


def _set(run: Run, account: str, *, enabled: bool) -> None:
    principal = _principal(run, account)
    present = run.client.call("GET", f"/principals/{principal}")
    changed = run.client.call(
        "PATCH", f"/principals/{principal}", body={"enabled": enabled}, headers={"If-Match": present.etag or "*"}
    ).body
    if run.out.json:
        run.out.resource(changed)
    else:
        run.out.data(f"{changed['account']} is {'enabled' if changed['enabled'] else 'disabled'}.")


def _principal(run: Run, account: str) -> str:
    if account.startswith("prn_"):
        return account
    found = [str(one["id"]) for one in run.client.every("/principals") if one["account"] == account]
    if not found:
        raise NotFoundHere(f"There is no account {one_line(account[:80])!r}.", next_step="loglease admin user list")
    return found[0]
