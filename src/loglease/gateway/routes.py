"""The gateway's only addresses, matched on the raw path: what is not listed here is not there, whatever the method."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote_to_bytes

from loglease.gateway.errors import MethodNotAllowed, RouteUnknown


class Action(StrEnum):
    """What a route does; the value is its path behind its front end's."""

    LOGS = "logs"
    REVEAL = "reveal"
    QUERY_RANGE = "query_range"
    QUERY = "query"
    LABELS = "labels"
    LABEL = "label"
    VALUES = "label/{name}/values"
    SERIES = "series"
    STATISTICS = "index/stats"
    VOLUME = "index/volume"
    VOLUME_RANGE = "index/volume_range"
    DETECTED_LABELS = "detected_labels"
    DETECTED_FIELDS = "detected_fields"
    FIELD_VALUES = "detected_field/{name}/values"
    PATTERNS = "patterns"
    TAIL = "tail"
    FORMAT = "format_query"
    BUILD = "status/buildinfo"
    LIMITS = "drilldown-limits"


@dataclass(frozen=True, slots=True)
class Route:
    """A route with the grant that its path names; None is the plain address.

    Attributes:
        name: the label or field that the path names, if it names one.
    """

    action: Action
    grant: str | None
    name: str = ""


_NAME: Final = r"((?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+)"
_ALLOWED: Final = {
    Action.LOGS: "GET",
    Action.TAIL: "GET",
    Action.BUILD: "GET",
    Action.LIMITS: "GET",
    Action.REVEAL: "POST",
}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_LOKI: Final = "/loki/api/v1/"


def _pattern(action: Action) -> re.Pattern[bytes]:
    if action is Action.REVEAL:
        return re.compile(rf"/g/{_NAME}/reveal".encode())
    path = "/logs" if action is Action.LOGS else _LOKI + re.escape(action.value).replace(r"\{name\}", _NAME)
    return re.compile(rf"(?:/g/{_NAME})?{path}".encode())


_ROUTES: Final = tuple((_pattern(action), action) for action in Action)


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
        grant = None if match[1] is None else _name(match[1], _PLAIN_NAME)
        label = _name(match[2], _LABEL_NAME) if match.re.groups > 1 else ""
        allowed = _ALLOWED.get(action, "GET, POST")
        if method not in allowed.split(", "):
            raise MethodNotAllowed(allowed)
        return Route(action, grant, label)
    raise RouteUnknown


def is_ours(raw_path: bytes) -> bool:
    """Say whether a path belongs to the gateway, if only to be refused by it; for whoever mounts it."""
    return raw_path == b"/logs" or raw_path.startswith((b"/g/", b"/loki/"))


def _name(encoded: bytes, allowed: re.Pattern[str]) -> str:
    name = unquote_to_bytes(encoded).decode("utf-8", "replace")
    if not allowed.fullmatch(name) or name in {".", ".."}:
        raise RouteUnknown
    return name
