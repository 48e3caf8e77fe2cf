"""What `request` asks on a terminal where flags left something out; elsewhere nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from loglease.cli.client import Body
from loglease.cli.run import Run

_EXAMPLE: Final = '{service="pay-api"}'
_FIELDS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "reason_required": ("reason", "--reason", "Why, for the people who decide"),
        "ticket_required": ("ticket", "--ticket", "Ticket"),
        "ticket_invalid": ("ticket", "--ticket", "Ticket"),
    }
)
"""By the code that sending would be refused with: field of the draft, its flag, the question."""


def may_be_asked(run: Run) -> bool:
    """Say whether a person is there who answers; programs that want JSON are none."""
    return run.may_ask and not run.out.json


def asked_selector(run: Run) -> str:
    """Ask which streams are wanted, after naming the labels that can be asked for."""
    for source in run.client.every("/sources"):
        run.out.notice(f"{source['id']}: labels {', '.join(source['labels']) or 'none'}")
    return run.asked("SELECTOR", f"Which streams, such as {_EXAMPLE}")


def filled_in(run: Run, draft: Body, offers: Body) -> tuple[Body, Body]:
    """Ask for what the policy misses until it offers something, or until no answer would help.

    Returns:
        The draft with the answers, and what the policy says to it.
    """
    while not offers["offers"] and may_be_asked(run) and offers.get("code") in _FIELDS:
        name, flag, question = _FIELDS[offers["code"]]
        if draft.get(name):
            run.out.notice(offers["explanation"][0])
        draft = {**draft, name: run.asked(flag, question)}
        offers = run.client.post("/offers", draft)
    return draft, offers
