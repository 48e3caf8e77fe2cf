"""A JSON Schema of policy documents, for editors: which fields a document has, and what form their values have.

One table of fields by kind. Names, conditions and what fields mean together are the business of loading. A test holds
the table against the readers: a field that a reader knows and the table does not makes it fail. What a version refuses
as not there yet may be in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from loglease.model.ack import DEMANDED
from loglease.model.key_scope import KeyScope
from loglease.model.principal import Kind
from loglease.policy.calendars import WEEKDAYS
from loglease.policy.documents import API, NETWORK
from loglease.policy.expected import TestOutcome
from loglease.policy.parts import LEVELS, MAX_NEED, MAX_STAGES, MOST_EXTENSIONS
from loglease.policy.steps import WANTED, Act
from loglease.policy.trace import CODES, Fix

Schema = dict[str, Any]


def _text(pattern: str | None = None, *, most: int = 1_000) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": most} | ({} if pattern is None else {"pattern": pattern})


def _number(most: int | None = None) -> Schema:
    return {"type": "integer", "minimum": 1} | ({} if most is None else {"maximum": most})


def _words(*words: str) -> Schema:
    return {"enum": [*words]}


def _list(of: Schema, most: int | None = None) -> Schema:
    return {"type": "array", "items": of, "minItems": 1} | ({} if most is None else {"maxItems": most})


def _any_list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _map(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of, "minProperties": 1}


def _record(title: str, needed: str, fields: Mapping[str, Schema]) -> Schema:
    """Return a mapping with these fields and no others.

    Args:
        title: what readers call it in messages.
        needed: the names of the fields that must be there, with spaces between.
        fields: by name.
    """
    return {
        "title": title,
        "type": "object",
        "properties": dict(fields),
        "required": needed.split(),
        "additionalProperties": False,
        "minProperties": 1,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_ANY: Final[Schema] = {}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_BOOL: Final[Schema] = {"type": "boolean"}
_TYPE: Final = {"anyOf": [_words("bool", "int", "string", "duration", "list", "record"), _list(_text())]}
_PRINCIPALS: Final = _list(_ref("principal"))
_APPROVERS: Final = _list(_ref("approver"))
_PROFILE: Final = _text(r"^[a-z][a-z0-9-]{0,62}(@.+)?$")
_COUNTS: Final = {
    "lines": _number(), "bytes": _ref("size"), "subjects": _number(), "queries": _number(),
    "queries_per_min": _number(), "tails": _number(),
}  # fmt: skip
_SCOPED: Final = {
    "labels": _ref("labels"), "all_streams": _BOOL, "level_from": _words(*LEVELS), "contains": _any_list(_text()),
    "live": _BOOL,
}  # fmt: skip
_STREAMS: Final = {"oneOf": [{"required": ["labels"]}, {"required": ["all_streams"]}]}
_BIND: Final = _list(_words(NETWORK), 1)
_SHAPE: Final = {
    "activate_within": _ref("duration"), "single_use": _BOOL, "idle_timeout": _ref("duration"),
    "limits": _ref("limits"), "redaction": _PROFILE, "bind": _BIND,
    "pseudonyms": _words(*KeyScope), "audit": _words(*DEMANDED),
}  # fmt: skip
_EXTEND: Final = _record("extend", "times by", {"times": _number(MOST_EXTENSIONS), "by": _ref("duration")})
_BLOCK: Final = {"from": _APPROVERS, "need": _number(MAX_NEED)}
_AFTER: Final = _record(
    "after_review", "from need within",
    {**_BLOCK, "within": _ref("duration"), "escalate": _record("escalate", "to", {"to": _APPROVERS})},
)  # fmt: skip
_EMERGENCY_SHAPE: Final = {
    name: _SHAPE[name] for name in ("single_use", "idle_timeout", "limits", "redaction", "bind", "audit")
}
_SPAN: Final = _record("duration", "max", {"default": _ref("duration"), "max": _ref("duration")})
_WHO: Final = {"any_of": _PRINCIPALS, "none_of": _PRINCIPALS}

_PARTS: Final[Mapping[str, Schema]] = {
    "duration": {"type": "string", "pattern": r"^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"},
    "size": {"type": "string", "pattern": r"^[1-9][0-9]{0,15}(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"},
    "principal": _text(r"^(group|user|agent|service):."),
    "approver": _text(r"^(group|user|approvers|oncall|relation):."),
    "condition": {"type": "string", "minLength": 1, "maxLength": 4_096},
    "value": {"anyOf": [_text(), _record("values", "prefix", {"prefix": _text()})]},
    "labels": _map(
        {
            "anyOf": [
                _text(),
                _list(_ref("value"), 1_000),
                {
                    **_record(
                        "matcher", "",
                        {"prefix": _text(), "any": {"const": True},
                         "except": {"anyOf": [_ref("value"), _list(_ref("value"), 1_000)]}},
                    ),
                    "oneOf": [{"required": ["prefix"]}, {"required": ["any"]}],
                },
            ]
        }
    ),
    "limits": _record("limits", "", _COUNTS),
    "stage": {
        **_record(
            "a stage", "",
            {**_BLOCK, "all_of": _list(_record("a block", "from need", _BLOCK)),
             "any_of": _list(_record("a block", "from need", _BLOCK)),
             "remind": _ref("duration"),
             "escalate": _record("escalate", "after to", {"after": _ref("duration"), "to": _APPROVERS})},
        ),
        "oneOf": [{"required": ["from", "need"]}, {"required": ["all_of"]}, {"required": ["any_of"]}],
    },
    "stages": _list(_ref("stage"), MAX_STAGES),
    "scope": {
        **_record(
            "a scope", "sources lookback",
            {"sources": _list(_text()), **_SCOPED, "lookback": _ref("duration")},
        ),
        **_STREAMS,
    },
    "reason": _record("reason", "min", {"min": _number(500)}),
    "route": {
        **_record(
            "a route", "",
            {"if": _ref("condition"), "otherwise": {"const": True}, "auto": _BOOL, "stages": _ref("stages"),
             "grant": _record(
                "a route's grant", "",
                {"duration": _record("duration", "max", {"max": _ref("duration")}), **_SHAPE, "extend": _EXTEND},
             ),
             "after_review": _AFTER, "notify": _list(_text())},
        ),
        "oneOf": [{"required": ["if"]}, {"required": ["otherwise"]}],
    },
}  # fmt: skip

_WANTED: Final = sorted({one for words in WANTED.values() for one in words})
_PEOPLE: Final[Schema] = {
    "type": "object", "minProperties": 1,
    "additionalProperties": _record(
        "person", "",
        {"groups": _any_list(_text()), "kind": _words(*Kind), "manager": _text(), "on_call": _any_list(_text())},
    ) | {"minProperties": 0},
}  # fmt: skip

_KINDS: Final[Mapping[str, tuple[str, str, Mapping[str, Schema]]]] = {
    "Catalog": (
        "a Catalog", "",
        {
            "names": _record(
                "names", "",
                {name: _any_list(_text()) for name in ("groups", "rotas", "sources", "channels", "trackers")},
            ),
            "labels": _map({"anyOf": [{"const": "string"}, _list(_text())]}),
            "redaction": _map(_any_list(_text())),
        },
    ),
    "Facts": (
        "a Facts document", "",
        {
            "facts": _map(
                _record(
                    "fact", "type from",
                    {
                        "type": _TYPE, "from": _text(), "optional": _BOOL, "per": _text(),
                        "combine": _words("all", "any"), "max_age": _ref("duration"),
                        "of": _TYPE, "max_items": _number(), "max": _number(),
                        "range": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
                        "fields": _map(
                            {"anyOf": [_TYPE, _record("field", "type", {"type": _TYPE, "optional": _BOOL})]}
                        ),
                    },
                )
            ),
            "risk": _list(
                _record(
                    "a term of risk", "id add if",
                    {"id": _text(), "add": _number(100), "if": _ref("condition"), "show": _text(most=200)},
                )
            ),
            "calendars": _map(
                _record(
                    "calendar", "zone days hours",
                    {
                        "zone": _text(), "days": _list(_words(*WEEKDAYS), 7),
                        "hours": _list({"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$"}, 24),
                        "closed": _list({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}, 1_000),
                    },
                )
            ),
        },
    ),
    "ApproverSet": (
        "an ApproverSet", "any_of",
        {
            "any_of": _APPROVERS, "none_of": _APPROVERS, "at_least": _number(10_000),
            "stand_ins": _record("stand_ins", "from max", {"from": _APPROVERS, "max": _ref("duration")}),
        },
    ),
    "AccessPolicy": (
        "an AccessPolicy", "who scopes grant approve",
        {
            "title": _text(most=200), "owner": _ref("principal"),
            "review_by": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
            "exclusive": _BOOL, "discoverable": _BOOL,
            "who": _record("who", "any_of", {"kinds": _list(_words(*Kind)), **_WHO}),
            "scopes": _list(_ref("scope")),
            "ask": _record(
                "ask", "",
                {"reason": _ref("reason"),
                 "ticket": _record(
                    "ticket", "tracker key", {"tracker": _text(), "key": _text(most=128), "state": _list(_text())}
                 ),
                 "inputs": _map(
                    _record(
                        "input", "type", {"type": _TYPE, "max": _number(), "label": _text(most=100), "required": _BOOL}
                    )
                 )},
            ),
            "when": _ref("condition"),
            "grant": _record(
                "grant", "duration redaction",
                {
                    "duration": _SPAN, **_SHAPE, "extend": _EXTEND,
                    "reveal": _record(
                        "reveal", "classes stages", {"classes": _list(_text()), "stages": _ref("stages")}
                    ),
                    "keep": _record(
                        "keep", "when", {"when": _ref("condition"), "every": _ref("duration"), "otherwise": _text()}
                    ),
                    "on_change": _words("finish", "cut"),
                },
            ),
            "approve": _list(_ref("route")),
            "approver_when": _ref("condition"),
            "pending_max": _ref("duration"),
        },
    ),
    "Guardrail": (
        "a Guardrail", "applies",
        {
            "title": _text(most=200), "mode": _words("enforce", "observe"), "even_break_glass": _BOOL,
            "applies": _record(
                "applies", "", {"all_streams": _BOOL, "sources": _list(_text()), "labels": _ref("labels")}
            ),
            "if": _ref("condition"),
            "caps": _record("caps", "", {"duration": _ref("duration"), "lookback": _ref("duration"), **_COUNTS}),
            "at_least": {
                "anyOf": [{"required": [name]} for name in ("redaction", "pseudonyms", "audit")],
                **_record(
                    "at_least",
                    "",
                    {"redaction": _PROFILE, "pseudonyms": _words(*KeyScope), "audit": _words(*DEMANDED)},
                ),
            },
            "deny": {"const": True},
            "add": _record("add", "", {"bind": _BIND, "notify": _list(_text())}),
            "require": _record("require", "stage", {"stage": _ref("stage")}),
            "help": _text(),
        },
    ),
    "BreakGlass": (
        "a BreakGlass", "who scopes step_up grant notify after_review rate",
        {
            "title": _text(most=200), "owner": _ref("principal"),
            "who": _record("who", "any_of", _WHO),
            "scopes": _list(_ref("scope")),
            "ask": _record("ask", "", {"reason": _ref("reason")}),
            "step_up": _record("step_up", "within", {"within": _ref("duration")}),
            "when": _ref("condition"),
            "grant": _record("grant", "duration redaction", {"duration": _SPAN, **_EMERGENCY_SHAPE}),
            "notify": _list(_text()),
            "after_review": _AFTER,
            "rate": _record(
                "rate", "per_person window alarm_at",
                {"per_person": _number(), "window": _ref("duration"), "alarm_at": _number()},
            ),
        },
    ),
    "PolicyTest": (
        "a PolicyTest", "now people",
        {
            "now": _text(),
            "people": _PEOPLE,
            "facts": _map(_ANY),
            "scopes": _map(
                {
                    **_record(
                        "a scope", "source from",
                        {"source": _text(), **_SCOPED, "from": _text(), "to": _text()},
                    ),
                    **_STREAMS,
                }
            ),
            "never": _list(_record("never", "if because", {"if": _ref("condition"), "because": _text(most=200)})),
            "cases": _list(
                _record(
                    "a case", "it ask want",
                    {
                        "it": _text(most=200),
                        "ask": _record(
                            "ask", "as scope",
                            {
                                "as": _text(), "scope": _text(), "for": _ref("duration"), "ticket": _text(most=128),
                                "reason": _text(), "redaction": _PROFILE, "limits": _ref("limits"),
                                "reveal": _record("reveal", "policy class", {"policy": _text(), "class": _text()}),
                                "extends": _record(
                                    "extends", "policy", {"policy": _text(), "number": _number(MOST_EXTENSIONS)}
                                ),
                                "break_glass": _BOOL, "inputs": _map(_ANY),
                            },
                        ),
                        "facts": _map(_ANY), "fault": _list(_text()), "absent": _list(_text()),
                        "want": _record(
                            "want", "outcome",
                            {
                                "outcome": _words(*TestOutcome), "policy": _text(), "route": _number(),
                                "stages": _COUNT, "reviews": _COUNT, "duration": _ref("duration"), **_SHAPE,
                                "bind": _any_list(_words(NETWORK)), "pending_max": _ref("duration"),
                                "notify": _any_list(_text()), "after_review": _BOOL,
                                "code": _words(*CODES), "rule": _text(), "next": _list(_words(*Fix)),
                            },
                        ),
                        "then": _list(
                            _record(
                                "a step", "",
                                {
                                    "after": _ref("duration"), "people": _PEOPLE, "facts": _map(_ANY),
                                    "fault": _list(_text()), "absent": _list(_text()), "do": _words(*Act),
                                    "by": _text(), "want": _words(*_WANTED),
                                    "code": _text(most=64),
                                },
                            )
                        ),
                    },
                )
            ),
        },
    ),
}  # fmt: skip


def schema() -> Schema:
    """Return the schema of one document, as draft 2020-12 of JSON Schema has it."""
    head: dict[str, Schema] = {
        "api": {"const": API},
        "kind": {"enum": [*_KINDS]},
        "id": {"type": "string", "pattern": "^[a-z][a-z0-9-]{1,62}$"},
    }
    kinds = {name: _record(title, needed, {**head, **fields}) for name, (title, needed, fields) in _KINDS.items()}
    kinds["PolicyTest"]["anyOf"] = [{"required": ["scopes", "cases"]}, {"required": ["never"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "LogLease policy document",
        "type": "object",
        "required": ["api", "kind", "id"],
        "properties": head,
        "allOf": [
            {"if": {"properties": {"kind": {"const": name}}, "required": ["kind"]}, "then": _ref(name)}
            for name in kinds
        ],
        "$defs": {**_PARTS, **kinds},
    }
