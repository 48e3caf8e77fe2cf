"""The published schema of OCSF 1.8.0, as the package `ocsf-json-schema` makes it: what it says of an event."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

Event = dict[str, Any]


@cache
def published() -> dict[str, Any]:
    return get_ocsf_schema("1.8.0")


@cache
def _validator(class_uid: int, profiles: tuple[str, ...]) -> Any:
    schemas = OcsfJsonSchemaEmbedded(published())
    name = schemas.lookup_class_name_from_uid(class_uid)
    return jsonschema_rs.validator_for(schemas.get_class_schema(name, list(profiles)))


def faults(event: Event, class_uid: int | None = None) -> list[str]:
    """Validate an event as one of its class, or of another, with the profiles that it says it has."""
    profiles = tuple(event.get("metadata", {}).get("profiles", ()))
    validator = _validator(event["class_uid"] if class_uid is None else class_uid, profiles)
    return [error.message for error in validator.iter_errors(event)]


def class_of(class_uid: int) -> dict[str, Any]:
    (found,) = [one for one in published()["classes"].values() if one["uid"] == class_uid]
    return found


def captions(class_uid: int, attribute: str) -> dict[int, str]:
    """Return the names of the numbers that an attribute of a class may have."""
    values = class_of(class_uid)["attributes"][attribute]["enum"]
    return {int(number): value["caption"] for number, value in values.items()}
