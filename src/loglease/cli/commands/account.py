"""`login`, `logout`, `whoami`."""

from __future__ import annotations

from typing import Annotated

from loglease.cli.errors import Exit
from loglease.cli.output import moment
from loglease.cli.run import Here, flag


def login(
    account: Annotated[str | None, flag("your account; asked for if it is left out")] = None,
    /,
    *,
    password_stdin: Annotated[bool, flag("take the password from the first line of standard input")] = False,
    new_password: Annotated[bool, flag("also change the password; from standard input: the second line")] = False,
    run: Here,
) -> None:
    """Sign in with a local account and keep the tokens.

    Tokens go into the system's keyring where one works, else into a file that only you can read. They are renewed by
    themselves for twelve hours.
    """
    who = account or run.asked("ACCOUNT", "Account")
    password = run.secret("Password", from_stdin=password_stdin)
    signed_in = run.client.sign_in(who, password)
    if new_password:
        fresh = run.secret("New password", from_stdin=password_stdin)
        run.client.post("/me/password", {"password": password, "new_password": fresh})
        signed_in = run.client.sign_in(who, fresh)
    if run.out.json:
        run.out.resource({name: value for name, value in signed_in.items() if not name.endswith("_token")})
        return
    principal = signed_in["principal"]
    run.out.data(f"Signed in to {run.settings.server} as {principal['account']} ({principal['name']}).")
    if signed_in.get("must_change_password"):
        run.out.notice(f"Your password was generated. Change it: loglease login {who} --new-password")


def logout(*, run: Here) -> None:
    """End the sign-in and forget its tokens."""
    run.client.sign_out()
    run.out.notice(f"Signed out of {run.settings.server}.")


def whoami(*, run: Here) -> Exit:
    """Show who you are, your groups and roles, and what this sign-in may do."""
    me = run.client.get("/me")
    if run.out.json:
        run.out.resource(me)
        return Exit.DONE
    principal = me["principal"]
    run.out.facts(
        [
            ("Account", f"{principal['account']} ({principal['kind']})"),
            ("Name", principal["name"]),
            ("E-mail", principal.get("email", "")),
            ("Id", principal["id"]),
            ("Person", principal["person"]),
            ("Groups", ", ".join(principal["groups"])),
            ("Roles", ", ".join(principal["roles"])),
            ("Rights", ", ".join(me["rights"])),
            ("Signed in", moment(me.get("signed_in_at")) + " UTC" if me.get("signed_in_at") else "with a token"),
            ("Reviews", f"until {moment(me['may_review_until'])} UTC" if me.get("may_review_until") else ""),
            ("Server", run.settings.server),
        ]
    )
    if me.get("must_change_password"):
        run.out.notice("Your password was generated. Change it: loglease login --new-password")
    return Exit.DONE
