"""The start page: what waits for the visitor, what is theirs, and for a new installation what to do first."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from loglease.access.caller import Caller
from loglease.access.queries import Inbox, inbox
from loglease.model.instant import Instant
from loglease.model.principal import Role
from loglease.server.pages.site import Site
from loglease.store.interface import Transaction


@dataclass(frozen=True, slots=True)
class FirstStep:
    """One line of the checklist of a new installation."""

    done: bool
    text: str
    how: str
    is_command: bool = False


async def start_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show the inbox."""
    now = site.services.clock.now()
    found, people, asked = await site.services.store.read(lambda tx: _found(tx, caller, now))
    has_source = bool(site.services.sources)
    steps = [
        FirstStep(people > 1, "A second person", "loglease admin user add bob@example.com", is_command=True),
        FirstStep(has_source, "A log source", "Put log files where the settings say, then: loglease sources"),
        FirstStep(asked, "A first request", "Somebody asks for access, on this page or with: loglease request"),
    ]
    checklist = steps if Role.ADMIN in caller.principal.roles and not all(step.done for step in steps) else []
    return site.page(request, "start.html", {"inbox": found, "checklist": checklist})


def _found(tx: Transaction, caller: Caller, now: Instant) -> tuple[Inbox, int, bool]:
    return inbox(tx, caller, now), len(list(tx.principals.directory().humans())), bool(tx.requests.page(limit=1))
