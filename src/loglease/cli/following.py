"""Lists with `--since`, and `--watch`: one object for each change."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from loglease.cli.client import PAGE, Body
from loglease.cli.run import Run
from loglease.cli.waiting import Patience
from loglease.model.instant import MICROSECONDS, parse_duration, parse_instant

EVERY_S: Final = 1.0


def recent(run: Run, path: str, *, most: int | None, since: str | None, at: str, **filters: Any) -> list[Body]:
    """Return the items of a list, those of the last while only if `since` names one."""
    found = list(run.client.items(path, most=most, **filters))
    if since is None:
        return found
    earliest = run.client.now() - parse_duration(since) * MICROSECONDS
    return [one for one in found if parse_instant(one[at]) >= earliest]


def followed(run: Run, path: str, first: Sequence[Body], *, line: Callable[[Body], str], **filters: Any) -> None:
    """Print each item of a list, then each that is new or has changed, until Ctrl-C."""
    shown: dict[str, Any] = {}
    found: Sequence[Body] = first
    patience = Patience()
    while True:
        for one in reversed(found):
            if shown.get(one["id"]) != _version(one):
                shown[one["id"]] = _version(one)
                if run.out.json:
                    run.out.record(one)
                else:
                    run.out.data(line(one))
        time.sleep(EVERY_S)
        found = patience.ask(lambda: list(run.client.items(path, most=PAGE, **filters))) or ()


def _version(one: Body) -> tuple[Any, Any]:
    return one.get("version"), one.get("state")
