"""`admin person`: the people behind accounts, and who manages whom."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from loglease.cli.errors import NotFoundHere, Usage
from loglease.cli.run import Here, flag
from loglease.cli.terminal import one_line

PERSON = Annotated[str, Parameter(name="PERSON", help="an account of the person, or the per_ identifier")]


def list_(*, run: Here) -> None:
    """List people with their accounts and managers."""
    found = run.client.every("/persons")
    if run.out.json:
        run.out.resource({"items": found})
        return
    accounts = {one["id"]: _accounts(one) for one in found}
    rows = [[_accounts(one), accounts.get(one.get("manager"), ""), one["id"]] for one in found]
    run.out.table(["ACCOUNTS", "MANAGER", "ID"], rows, none="Nobody.")


def change(
    person: PERSON,
    /,
    *,
    manager: Annotated[str | None, flag("an account of the manager, or their per_ identifier")] = None,
    no_manager: Annotated[bool, flag("the person has no manager")] = False,
    run: Here,
) -> None:
    """Name the manager of a person.

    Policies may ask for the review of the manager of who asks: relation:manager. It counts for requests that are
    submitted from then on, also of the person's agents and services. Nobody names their own manager.
    """
    if (manager is None) is not no_manager:
        raise Usage("Who manages them?", next_step="Give --manager ACCOUNT, or --no-manager.")
    people = run.client.every("/persons")
    body = {"manager": None if manager is None else _person(people, manager)}
    changed = run.client.call("PATCH", f"/persons/{_person(people, person)}", body=body).body
    if run.out.json:
        run.out.resource(changed)
        return
    boss = next((_accounts(one) for one in people if one["id"] == changed.get("manager")), "nobody")
    run.out.data(f"{_accounts(changed)}: manager {boss}")


def _accounts(person: dict[str, Any]) -> str:
    return ", ".join(one["account"] for one in person["principals"])


def _person(people: list[dict[str, Any]], name: str) -> str:
    for one in people:
        if name == one["id"] or name.casefold() in [login["account"] for login in one["principals"]]:
            return str(one["id"])
    raise NotFoundHere(f"There is no person {one_line(name[:80])!r}.", next_step="loglease admin person list")
