"""The gateway's only addresses, matched on the raw path: what is not listed here is not there, whatever the method."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote_to_bytes

from loglease.gateway.errors import MethodNotAllowed, RouteUnknown


class Action(StrEnum):
    """What a route does."""

    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Route:
    """A route with the grant that its path names; None is the plain address."""

    action: Action
    grant: str | None


_NAME = rb"((?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+)"
_ROUTES: Final = (
    (re.compile(rb"/logs"), Action.LOGS),
    (re.compile(rb"/g/" + _NAME + rb"/logs"), Action.LOGS),
)
_METHODS: Final = {Action.LOGS: "GET"}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def route_of(method: str, raw_path: bytes) -> Route:
    """Return the route of a call.

    Raises:
        RouteUnknown: no route has exactly this path; percent-encoding is undone once, and only in a name.
        MethodNotAllowed: the route exists and takes another method.
    """
    for pattern, action in _ROUTES:
        match = pattern.fullmatch(raw_path)
        if match is None:
            continue
        name = _name(match[1]) if match.re.groups else None
        if method != _METHODS[action]:
            raise MethodNotAllowed(_METHODS[action])
        return Route(action, name)
    raise RouteUnknown


def is_ours(raw_path: bytes) -> bool:
    """Say whether a path belongs to the gateway, if only to be refused by it; for whoever mounts it."""
    return raw_path == b"/logs" or raw_path.startswith(b"/g/")


def _name(encoded: bytes) -> str:
    name = unquote_to_bytes(encoded).decode("utf-8", "replace")
    if not _PLAIN_NAME.fullmatch(name) or name in {".", ".."}:
        raise RouteUnknown
    return name
