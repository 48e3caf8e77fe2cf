"""`sources list`, `sources show`, `sources labels`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from cyclopts import Parameter

from loglease.cli.client import Body
from loglease.cli.run import Here

NAME = Annotated[str, Parameter(name="SOURCE", help="name of the source")]


def list_(*, run: Here) -> None:
    """List the sources that you may ask for."""
    found = run.client.every("/sources")
    if run.out.json:
        run.out.resource({"items": found})
        return
    run.out.table(
        ["SOURCE", "KIND", "STATE", "FOLLOW", "LABELS"],
        [
            [
                one["id"],
                one["kind"],
                "ok" if one["ok"] else "fail",
                "yes" if one["follow"] else "no",
                ", ".join(one["labels"]),
            ]
            for one in found
        ],
        none="No source is configured.",
    )


def show(source: NAME, /, *, run: Here) -> None:
    """Show one source."""
    one = run.client.get(f"/sources/{quote(source, safe='')}")
    if run.out.json:
        run.out.resource(one)
        return
    run.out.facts(
        [
            ("Source", one["id"]),
            ("Kind", one["kind"]),
            ("State", "ok" if one["ok"] else "fail"),
            ("About", one.get("description", "")),
            ("Live tail", "yes" if one["follow"] else "no"),
            ("Labels", ", ".join(one["labels"])),
        ]
    )


def labels(
    source: NAME,
    label: Annotated[str | None, Parameter(name="LABEL", help="list the values of this label")] = None,
    /,
    *,
    run: Here,
) -> None:
    """List the labels of a source, or the values of one label.

    Only what you may ask for is listed. Values are those that policies for you name; which ones there are in the logs
    takes a grant to see.
    """
    found = run.client.every(f"/sources/{quote(source, safe='')}/labels", name=label)
    if run.out.json:
        run.out.resource({"items": found})
        return
    run.out.table(
        ["LABEL", "VALUES"],
        [[one["name"], _values(one)] for one in found],
        none="No policy lets you ask for that." if label else "No policy lets you ask for labels of this source.",
    )
    if any(one["open"] for one in found):
        run.out.notice("Which values there are in the logs takes a grant to see.")


def _values(one: Body) -> str:
    if not one["open"]:
        return ", ".join(one["values"]) or "none"
    return ", ".join([*one["values"], "others"]) if one["values"] else "any; the policy names none"
