"""Reads the Catalog, the document that all others are checked against, and joins what several of them declare."""

from __future__ import annotations

import re
from collections.abc import Iterable

from loglease.policy.documents import Catalog
from loglease.policy.fields import Reader
from loglease.policy.problems import At, shown
from loglease.policy.profiles import RAW
from loglease.policy.tree import Items, Node, Scalar, Table

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PROFILE = re.compile(r"[a-z][a-z0-9-]{0,62}")
_NAMES = ("groups", "rotas", "sources", "channels", "trackers")
_FIELDS = ("api", "kind", "id", "names", "labels", "redaction")
_LATER = {"targets": ("P904", "raising debug levels comes with a later version")}

Claims = list[tuple[str, frozenset[str], At]]
"""What a Catalog says of profiles: name, those it is stricter than, and where it says so."""


def catalog_of(node: Table, reader: Reader) -> tuple[Catalog, Claims]:
    """Read a Catalog."""
    record = reader.record(node, "a Catalog", _FIELDS, _LATER)
    names: dict[str, frozenset[str]] = {}
    if (given := record.node("names")) is not None:
        lists = reader.record(given, "names", _NAMES)
        for kind in _NAMES:
            node_of = lists.node(kind)
            empty = isinstance(node_of, Items) and not node_of.items
            names[kind] = frozenset() if empty else frozenset(name for name, _ in reader.texts(node_of, kind))
    redaction, claims = _redaction(record.node("redaction"), reader)
    return Catalog(**names, labels=_labels(record.node("labels"), reader), redaction=redaction), claims


def _labels(node: Node | None, reader: Reader) -> dict[str, frozenset[str] | None]:
    found: dict[str, frozenset[str] | None] = {}
    for key, value in reader.table(node, "labels") if node is not None else ():
        if not _LABEL.fullmatch(key.text):
            reader.problems.add(
                key.at, "P114", f"{shown(key.text)} is no label name", "letters, digits and _, not first a digit"
            )
        elif isinstance(value, Items):
            found[key.text] = frozenset(text for text, _ in reader.texts(value, f"the values of {key.text}"))
        else:
            reader.word(value, f"the type of {key.text}", ("string",), "string")
            found[key.text] = None
    return found


def _redaction(node: Node | None, reader: Reader) -> tuple[dict[str, frozenset[str]], Claims]:
    pairs = reader.table(node, "redaction") if node is not None else ()
    found: dict[str, frozenset[str]] = {}
    claims: Claims = []
    for key, value in pairs:
        _profile_name(key, reader)
        looser = frozenset(
            reader.text(item, "each looser profile") for item in reader.optional_items(value, f"'{key.text}'")
        )
        found[key.text] = looser
        claims.append((key.text, looser, key.at))
    for name, looser, at in claims:
        for other in sorted(looser - found.keys() - {RAW}):
            reader.problems.add(
                at, "P302", f"profile {shown(other)} is not in the Catalog", "declare it beside this one"
            )
        if name in _reach(name, found):
            reader.problems.add(at, "P314", f"'{name}' is said to be stricter than itself", "remove the circle")
    return found, claims


def _profile_name(key: Scalar, reader: Reader) -> None:
    if key.text == RAW:
        reader.problems.add(key.at, "P314", "'raw' exists and is below all", "remove the line")
    elif not _PROFILE.fullmatch(key.text):
        reader.problems.add(key.at, "P114", f"{shown(key.text)} is no profile name", "lower-case letters, digits and -")


def _reach(name: str, looser: dict[str, frozenset[str]]) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        fresh = looser.get(todo.pop(), frozenset()) - found
        found |= fresh
        todo += fresh
    return found


def joined(catalogs: Iterable[Catalog]) -> Catalog:
    """Return one Catalog with the names of all; where two list values of a label, both lists count."""
    labels: dict[str, frozenset[str] | None] = {}
    redaction: dict[str, frozenset[str]] = {}
    names: dict[str, frozenset[str]] = dict.fromkeys(_NAMES, frozenset())
    for catalog in catalogs:
        for kind in _NAMES:
            names[kind] |= getattr(catalog, kind)
        for key, values in catalog.labels.items():
            known = labels.get(key, frozenset())
            labels[key] = None if values is None or known is None else known | values
        for name, looser in catalog.redaction.items():
            redaction[name] = redaction.get(name, frozenset()) | looser
    return Catalog(**names, labels=labels, redaction=redaction)
