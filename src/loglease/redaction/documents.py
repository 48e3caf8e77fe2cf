"""Strict YAML: one mapping, no key twice, no unknown field, no tags."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import yaml

MAX_BYTES: Final = 1 << 20


class DocumentInvalid(ValueError):
    """A document is not what its format says; the text names the place."""


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader that refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: ARG002, FBT001, FBT002 - PyYAML's signature
        found: dict[Any, Any] = super().construct_mapping(node, deep=True)
        if len(found) != len(node.value):
            raise DocumentInvalid(f"line {node.start_mark.line + 1}: a key stands twice")
        return found


def mapping_of(data: bytes, allowed: AbstractSet[str], needed: AbstractSet[str]) -> dict[str, Any]:
    """Read a document that is one mapping.

    Raises:
        DocumentInvalid: it cannot be read, is too large, or has missing or unknown fields.
    """
    if len(data) > MAX_BYTES:
        raise DocumentInvalid(f"it is larger than {MAX_BYTES} bytes")
    try:
        found = yaml.load(data, Loader=_StrictLoader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise DocumentInvalid(f"{where}it is not readable YAML") from None
    if not isinstance(found, dict):
        raise DocumentInvalid("it is not a mapping")
    unknown, missing = set(found) - allowed, needed - set(found)
    if unknown:
        raise DocumentInvalid(f"it has unknown fields: {', '.join(sorted(map(str, unknown)))}")
    if missing:
        raise DocumentInvalid(f"it lacks: {', '.join(sorted(missing))}")
    return found


def strings_of(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a field that is a list of texts; empty where it is absent.

    Raises:
        DocumentInvalid: it is something else.
    """
    found = fields.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise DocumentInvalid(f"`{name}` is not a list of texts")
    return tuple(found)
