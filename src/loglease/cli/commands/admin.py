"""`admin user` and `admin group`: local accounts and the groups that they are in."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from loglease.cli.client import Answer, Body
from loglease.cli.errors import NotFoundHere, Usage
from loglease.cli.run import Here, Run, flag
from loglease.cli.terminal import one_line
from loglease.model.principal import Kind, Role

ACCOUNT = Annotated[str, Parameter(name="ACCOUNT", help="the account, or its prn_ identifier")]

GROUP = Annotated[str, Parameter(name="GROUP", help="the group, such as approvers")]


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
        body["owner"] = principal_of(run, owner)
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
                _standing(one),
                ", ".join(one["groups"]),
                ", ".join(one["roles"]),
                one["id"],
            ]
            for one in found
        ],
        none="No account.",
    )


def show(account: ACCOUNT, /, *, run: Here) -> None:
    """Show one account."""
    one = run.client.get(f"/principals/{principal_of(run, account)}")
    if run.out.json:
        run.out.resource(one)
        return
    run.out.facts(
        [
            ("Account", f"{one['account']} ({one['kind']}, {_standing(one)})"),
            ("In the audit log", one["subject"]),
            ("Name", one["name"]),
            ("E-mail", one.get("email", "")),
            ("Groups", ", ".join(one["groups"])),
            ("Roles", ", ".join(one["roles"])),
            ("Id", one["id"]),
            ("Person", one["person"]),
        ]
    )


def change(
    account: ACCOUNT,
    /,
    *,
    name: Annotated[str | None, flag("the person's name")] = None,
    add_group: Annotated[tuple[str, ...], flag("put it into this group; repeatable")] = (),
    remove_group: Annotated[tuple[str, ...], flag("take it out of this group; repeatable")] = (),
    add_role: Annotated[tuple[Role, ...], flag("give it this role; repeatable")] = (),
    remove_role: Annotated[tuple[Role, ...], flag("take this role from it; repeatable")] = (),
    run: Here,
) -> None:
    """Change name, groups or roles of an account.

    Groups count from now on: for requests that are submitted and for grants that are used from here. Nobody changes
    their own roles.
    """
    if name is None and not (add_group or remove_group or add_role or remove_role):
        raise Usage("Nothing is to be changed.", next_step="Give --name, --add-group, --remove-group or a role.")
    principal = principal_of(run, account)
    present = run.client.call("GET", f"/principals/{principal}")
    body: Body = {} if name is None else {"name": name}
    if add_group or remove_group:
        body["groups"] = sorted(({*present.body["groups"]} | {*add_group}) - {*remove_group})
    if add_role or remove_role:
        body["roles"] = sorted(({*present.body["roles"]} | {*map(str, add_role)}) - {*map(str, remove_role)})
    changed = _patched(run, present, body)
    if run.out.json:
        run.out.resource(changed)
    else:
        run.out.data(_described(changed))


def reset_password(account: ACCOUNT, /, *, run: Here) -> None:
    """Give an account a new password, printed this once; its sign-ins and tokens end.

    The password goes to stdout, all else to stderr. The person changes it at the next sign-in.
    """
    issued = run.client.post(f"/principals/{principal_of(run, account)}/password")
    if run.out.json:
        run.out.resource(issued)
        return
    run.out.notice(f"New password of {issued['principal']['account']}, shown this once:")
    run.out.data(issued["password"])


def disable(account: ACCOUNT, /, *, run: Here) -> None:
    """Disable an account: it cannot sign in, its tokens and grants end.

    Other accounts of the same person stay; to reach them: loglease lock add person:… --revoke.
    """
    _set(run, account, enabled=False)


def enable(account: ACCOUNT, /, *, run: Here) -> None:
    """Enable an account again."""
    _set(run, account, enabled=True)


def list_groups(*, run: Here) -> None:
    """List groups with their members."""
    found = run.client.every("/groups")
    if run.out.json:
        run.out.resource({"items": found})
        return
    rows = [[one["name"], ", ".join(member["account"] for member in one["members"])] for one in found]
    run.out.table(["GROUP", "MEMBERS"], rows, none="No group. Put somebody into one: loglease admin group add")


def add_to_group(group: GROUP, /, *accounts: ACCOUNT, run: Here) -> None:
    """Put accounts into a group; it needs no other making."""
    _regroup(run, group, accounts, member=True)


def remove_from_group(group: GROUP, /, *accounts: ACCOUNT, run: Here) -> None:
    """Take accounts out of a group."""
    _regroup(run, group, accounts, member=False)


def _regroup(run: Run, group: str, accounts: tuple[str, ...], *, member: bool) -> None:
    if not accounts:
        raise Usage("No account is named.", next_step="loglease admin group list")
    changed = []
    for principal in [principal_of(run, account) for account in accounts]:
        present = run.client.call("GET", f"/principals/{principal}")
        groups = {*present.body["groups"]} - {group} | ({group} if member else set())
        changed.append(_patched(run, present, {"groups": sorted(groups)}))
    if run.out.json:
        run.out.resource({"items": changed})
        return
    for one in changed:
        run.out.data(_described(one))


def _set(run: Run, account: str, *, enabled: bool) -> None:
    present = run.client.call("GET", f"/principals/{principal_of(run, account)}")
    changed = _patched(run, present, {"enabled": enabled})
    if run.out.json:
        run.out.resource(changed)
    else:
        run.out.data(f"{changed['account']} is {_standing(changed)}.")


def _patched(run: Run, present: Answer, body: Body) -> Body:
    """Change an account, unless somebody else changed it since it was looked at."""
    headers = {"If-Match": present.etag or "*"}
    return run.client.call("PATCH", f"/principals/{present.body['id']}", body=body, headers=headers).body


def _described(one: Body) -> str:
    groups, roles = (", ".join(one[name]) or "none" for name in ("groups", "roles"))
    return f"{one['account']} ({one['name']}): groups {groups}; roles {roles}"


def _standing(one: Body) -> str:
    return "enabled" if one["enabled"] else "disabled"


def principal_of(run: Run, account: str) -> str:
    """Return the id of an account.

    Raises:
        NotFoundHere: there is no such account.
    """
    if account.startswith("prn_"):
        return account
    found = [str(one["id"]) for one in run.client.every("/principals") if one["account"] == account.casefold()]
    if not found:
        raise NotFoundHere(f"There is no account {one_line(account[:80])!r}.", next_step="loglease admin user list")
    return found[0]
