"""`ocsf`: an entry as an event of the Open Cybersecurity Schema Framework 1.8.0.

What the schema has a place for is put there; the facts are besides in ``unmapped``, as they were recorded, with the
leaf hash. Nothing is in an event that is not in its entry, save what the first entry of its grant says of holder,
sources and privileges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from loglease import __version__
from loglease.audit.export import ocsf_classes as o
from loglease.audit.export.grants import UNKNOWN, GrantFacts, Grants, facts_of, sources_of
from loglease.audit.export.ocsf_entities import entity_of
from loglease.audit.interface import SYSTEM
from loglease.audit.types import ENTRY_TYPES
from loglease.model.instant import parse_instant
from loglease.model.unsafe_text import escaped_json

PRODUCT: Final = "LogLease"
UNDISCLOSED: Final = "undisclosed"
"""The name of an end of the network of which nothing was recorded, not even a commitment."""

_PER_CLASS: Final = 100
_DATABUCKET: Final = 2
_APPLICATION_LOG: Final = 2
_USER_TYPES: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {"human": (1, "User"), "service": (4, "Service"), "agent": (o.OTHER, "Agent")}
)
_HAPPENED: Final = ("effective_at", "happened_at")
_REASONS: Final = ("error", "code", "why", "cause")

Event = dict[str, Any]


class _Source:
    """An entry while its event is made."""

    def __init__(self, entry: Event, index: int, leaf: bytes, origin: str, grants: Grants) -> None:
        self.entry = entry
        self.type: str = entry["type"]
        self.data: Event = entry["data"]
        self.ref: dict[str, str] = entry["ref"]
        self.index = index
        self.leaf = leaf
        self.origin = origin
        class_uid, self.activity = divmod(ENTRY_TYPES[self.type].type_uid, _PER_CLASS)
        self.class_uid = class_uid
        self.ocsf = o.CLASSES[class_uid]
        self.grant = self._grant(grants)
        self.logged = _milliseconds(entry["at"])

    def _grant(self, grants: Grants) -> GrantFacts:
        if self.type == "grant.scheduled":
            return facts_of(self.data)
        grant = self.ref.get("grant")
        return facts_of(None if grant is None else grants(grant))


def line(row: Any, *, origin: str, grants: Grants) -> bytes:
    """Return the event of an entry as one line of JSON."""
    event = event_of(orjson.loads(row.content), index=row.index, leaf=row.leaf, origin=origin, grants=grants)
    return (escaped_json(orjson.dumps(event).decode()) + "\n").encode()


def event_of(entry: Event, *, index: int, leaf: bytes, origin: str, grants: Grants) -> Event:
    """Return the event of an entry, as it is written."""
    source = _Source(entry, index, leaf, origin, grants)
    return _common(source) | _PARTS[source.class_uid](source)


def _common(source: _Source) -> Event:
    data, ocsf = source.data, source.ocsf
    severity = _severity(source)
    happened = next((data[key] for key in _HAPPENED if key in data), None)
    action = _action(source)
    profiles = ["host"] if not ocsf.has_actor else []
    if action is not None:
        profiles.append("security_control")
    event: Event = {
        "category_uid": ocsf.category,
        "category_name": ocsf.category_name,
        "class_uid": source.class_uid,
        "class_name": ocsf.name,
        "activity_id": source.activity,
        "activity_name": ocsf.activities.get(source.activity) or o.OTHER_ACTIVITIES[source.type],
        "type_uid": ENTRY_TYPES[source.type].type_uid,
        "severity_id": severity,
        "severity": o.SEVERITY_NAMES[severity],
        "time": source.logged if happened is None else _milliseconds(happened),
        "message": " ".join([source.type, *source.ref.values()]),
        "metadata": _metadata(source, profiles),
        "actor": _actor(source),
        **_status(source),
    }
    if action is not None:
        event |= {"action_id": action, "action": o.ACTION_NAMES[action]}
    if "first_at" in data and "last_at" in data:
        event |= {"count": data["count"], "start_time": _milliseconds(data["first_at"])}
        event["end_time"] = _milliseconds(data["last_at"])
    event["unmapped"] = {"data": data, "ref": source.ref, "leaf": source.leaf.hex()}
    return event


def _metadata(source: _Source, profiles: list[str]) -> Event:
    entry = source.entry
    metadata: Event = {
        "version": o.VERSION,
        "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": __version__},
        "uid": entry["id"],
        "sequence": source.index,
        "log_name": source.origin,
        "log_version": str(entry["v"]),
        "event_code": source.type,
        "logged_time": source.logged,
        "original_time": entry["at"],
    }
    if profiles:
        metadata["profiles"] = profiles
    if "request" in source.ref:
        metadata["correlation_uid"] = source.ref["request"]
    return metadata


def _actor(source: _Source) -> Event:
    subject = source.entry["actor"]
    actor: Event = {"app_name": PRODUCT} if subject == SYSTEM else {"user": {"uid": subject}}
    if "via" in source.entry:
        actor["app_uid"] = source.entry["via"]
    if "session" in source.ref:
        actor["session"] = {"uid": source.ref["session"]}
    return actor


def _severity(source: _Source) -> int:
    severity = o.SEVERITIES.get(source.type, o.INFORMATIONAL)
    is_of_use = source.class_uid == o.USER_ACCESS or source.type == "grant.scheduled"
    return max(severity, o.HIGH) if is_of_use and source.grant.is_break_glass else severity


def _action(source: _Source) -> int | None:
    if source.type in o.BY_VERDICT:
        return o.VERDICT_WORDS[source.data["verdict"]]
    return o.VERDICTS.get(source.type)


def _status(source: _Source) -> Event:
    if source.class_uid == o.FINDING:
        status = o.FINDING_STATUS.get(source.type, o.NEW)
        found: Event = {"status_id": status, "status": o.FINDING_STATUS_NAMES[status]}
    else:
        status = o.FAILURE if source.type in o.FAILED else o.SUCCESS
        found = {"status_id": status, "status": o.STATUS_NAMES[status]}
    code = next((source.data[key] for key in _REASONS if key in source.data), None)
    if code is not None:
        found["status_code"] = code
    if "detail" in source.data:
        found["status_detail"] = source.data["detail"]
    return found


def _milliseconds(text: str) -> int:
    return parse_instant(text) // 1_000


def _endpoint(source: _Source) -> Event | None:
    """Return where a call came from, as far as is recorded: the commitment to its address, else its session."""
    uid = source.data.get("address_c") or source.ref.get("session")
    return None if uid is None else {"uid": uid}


def _required_endpoint(source: _Source) -> Event:
    return _endpoint(source) or {"name": UNDISCLOSED}


def _optional_endpoint(source: _Source) -> Event:
    endpoint = _endpoint(source)
    return {} if endpoint is None else {"src_endpoint": endpoint}


def _user(subject: str | None) -> Event:
    return {"name": UNKNOWN} if subject in (None, SYSTEM) else {"uid": subject}


def _event_log(source: _Source) -> Event:
    return {
        "log_name": source.origin,
        "log_provider": PRODUCT,
        "log_type_id": _APPLICATION_LOG,
        "log_type": "Application",
    }


def _finding(source: _Source) -> Event:
    data = source.data
    if "finding" in data:
        uid = data["finding"]
    elif "elevation" in source.ref:
        uid = source.ref["elevation"]
    elif source.type.startswith("clock."):
        uid = f"clock/{data['replica']}"
    elif "agent" in data:
        uid = f"elevation_agent/{data['agent']}"
    else:
        uid = source.entry["id"]
    info = {"uid": uid, "title": o.FINDING_TITLES[source.type], "types": [source.type.partition(".")[0]]}
    return {"finding_info": info, "is_alert": _severity(source) >= o.HIGH}


def _account(source: _Source) -> Event:
    user: Event = {"uid": source.data["subject"]}
    if "kind" in source.data:
        user["type_id"], user["type"] = _USER_TYPES[source.data["kind"]]
    return {"user": user}


def _authentication(source: _Source) -> Event:
    data = source.data
    event: Event = {
        "user": _user(source.entry["actor"]),
        "service": {"name": PRODUCT},
        **_optional_endpoint(source),
    }
    method = data.get("method") or data.get("auth", {}).get("method")
    if method is not None:
        event |= {"auth_protocol_id": o.OTHER, "auth_protocol": method}
    if "auth" in data:
        event |= {"is_mfa": data["auth"]["mfa"], "session": {"issuer": data["issuer"]}}
    if source.type == "signin.ended":
        session = {"expiration_reason": data["why"]}
        event["session"] = session if "token" not in source.ref else {"uid": source.ref["token"], **session}
    return event


def _session(source: _Source) -> Event:
    session: Event = {"uid": source.ref["session"]}
    if source.type == "session.opened":
        session["created_time"] = source.logged
    else:
        session["expiration_reason"] = source.data["why"]
    return {
        "user": _user(source.grant.holder),
        "session": session,
        "privileges": list(source.grant.privileges),
        **_optional_endpoint(source),
    }


def _entity(source: _Source) -> Event:
    return {"entity": entity_of(source.entry)}


def _user_access(source: _Source) -> Event:
    return {
        "user": _user(source.grant.holder),
        "privileges": list(source.grant.privileges),
        "resources": [{"uid": source.ref["grant"], "type": "grant"}],
    }


def _application(source: _Source) -> Event:
    app: Event = {"name": PRODUCT, "vendor_name": PRODUCT, "uid": source.data["replica"]}
    if "version" in source.data:
        app["version"] = source.data["version"]
    return {"app": app}


def _api(source: _Source) -> Event:
    event: Event = {
        "api": {"operation": source.data["operation"], "response": {"error": source.data["code"]}},
        "src_endpoint": _required_endpoint(source),
    }
    if source.ref:
        event["resources"] = [{"uid": uid, "type": kind} for kind, uid in source.ref.items()]
    return event


def _datastore(source: _Source) -> Event:
    event: Event = {
        "src_endpoint": _required_endpoint(source),
        "type_id": _DATABUCKET,
        "type": "Databucket",
        "databucket": {**_databucket(source), "type_id": o.OTHER},
    }
    if "text_c" in source.data:
        uid = f"{source.ref['session']}/{source.data['query']}"
        event["query_info"] = {"uid": uid, "query_string": source.data["text_c"]}
    return event


def _databucket(source: _Source) -> Event:
    data = source.data
    match source.type:
        case "log.disclosed":
            return {"type": "private field", "uid": source.ref["entry"], "name": data["field"]}
        case "exposure.counted":
            return {"type": "target", "name": data["target"]}
        case "preview.counted":
            request = source.ref.get("request")
            return {"type": "preview", "name": "preview"} | ({} if request is None else {"uid": request})
    sources = sources_of(data["scopes"]) if "scopes" in data else source.grant.sources
    return {"type": "log source", "name": ", ".join(sources) or UNKNOWN}


_PARTS: Final[Mapping[int, Callable[[_Source], Event]]] = MappingProxyType(
    {
        1008: _event_log,
        o.FINDING: _finding,
        3001: _account,
        3002: _authentication,
        3003: _session,
        3004: _entity,
        o.USER_ACCESS: _user_access,
        6002: _application,
        6003: _api,
        6005: _datastore,
    }
)
"""What each class of OCSF has besides what all events have."""
