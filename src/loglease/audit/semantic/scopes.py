"""Whether scopes, limits and terms lie inside of each other, as far as entries tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from loglease.audit.semantic.facts import Data
from loglease.model.errors import ScopeInvalid
from loglease.model.labels import Matcher, Selector, matcher_of, selector_of

_LEVELS: Final = ("trace", "debug", "info", "warn", "error", "critical", "fatal")


def terms_fault(inner: Data, outer: Data) -> str | None:
    """Say which part of some terms, such as the data of `offer.made`, is not inside of others; None if all is."""
    if not outer:
        return "the record has none"
    fault = scopes_fault(inner["scopes"], outer["scopes"])
    if fault is not None:
        return fault
    if inner["duration_s"] > outer["duration_s"]:
        return f"{inner['duration_s']} s are longer than {outer['duration_s']} s"
    fault = limits_fault(inner["limits"], outer["limits"])
    return fault or elevation_fault(inner.get("elevation"), outer.get("elevation"))


def scopes_fault(inner: Sequence[Data], outer: Sequence[Data]) -> str | None:
    """Say why some scope lies in none of the others; None if each lies in one."""
    if inner == outer:
        return None
    for number, one in enumerate(inner, 1):
        faults = [scope_fault(one, other) for other in outer]
        if None not in faults:
            return f"scope {number}: {faults[0] if faults else 'there is none that it could lie in'}"
    return None


def scope_fault(inner: Data, outer: Data) -> str | None:
    """Say which part of a scope is outside of another; None if it is inside."""
    if inner["source"] != outer["source"]:
        return f"source {inner['source']} is another than {outer['source']}"
    if inner["selector"] != outer["selector"] and not _selects_less(inner["selector"], outer["selector"]):
        return "its selector takes streams that the other does not"
    if not _is_in_window(inner, outer):
        return "its event window is not inside of the other"
    if outer.get("labels_only", False) and not inner.get("labels_only", False):
        return "the other has labels only"
    if not set(outer["rules_c"]) <= set(inner["rules_c"]):
        return "a line rule is missing"
    missing = _profiles(outer) - _profiles(inner)
    return f"redaction profile {min(missing)} is missing" if missing else None


def _profiles(scope: Data) -> set[str]:
    return {str(one["name"]).partition("@")[0] for one in scope["profiles"]}


def _is_in_window(inner: Data, outer: Data) -> bool:
    begins, ends = outer.get("from_ns"), outer.get("to_ns")
    if begins is not None and ("from_ns" not in inner or int(inner["from_ns"]) < int(begins)):
        return False
    if ends is None:
        return outer["live"] or not inner["live"]
    return "to_ns" in inner and not inner["live"] and int(inner["to_ns"]) <= int(ends)


def _selects_less(inner: Sequence[Data], outer: Sequence[Data]) -> bool:
    try:
        return _selector(outer).contains(_selector(inner))
    except ScopeInvalid:
        return False


def _selector(tests: Sequence[Data]) -> Selector:
    by_label: dict[str, dict[str, list[str]]] = {}
    for test in tests:
        op = str(test["op"])
        # What a commitment stands for is known to nobody here: it is a value of its own, equal to itself alone.
        value = test["value"] if "value" in test else f"\0{op}\0{test.get('value_c', '')}"
        kind = op.replace("prefix", "eq") if "value_c" in test else op
        by_label.setdefault(test["label"], {}).setdefault(kind, []).append(value)
    return selector_of({label: _matcher(label, parts) for label, parts in by_label.items()})


def _matcher(label: str, parts: Mapping[str, list[str]]) -> Matcher:
    found = matcher_of(
        exact=parts.get("eq", ()),
        prefixes=parts.get("prefix", ()),
        any_value="any" in parts,
        except_exact=parts.get("not_eq", ()),
        except_prefixes=parts.get("not_prefix", ()),
    )
    if found is None:
        raise ScopeInvalid(f"The tests of {label} allow no value.")
    return found


def limits_fault(inner: Mapping[str, int], outer: Mapping[str, int]) -> str | None:
    """Say which limit is looser than that of others; None if none is."""
    for name, value in outer.items():
        if name not in inner:
            return f"{name} are not limited to {value}"
        if inner[name] > value:
            return f"{inner[name]} {name} are more than {value}"
    return None


def elevation_fault(inner: Data | None, outer: Data | None) -> str | None:
    """Say why a raised level is not inside of another; None if it is, or if there is none."""
    if inner is None or inner == outer:
        return None
    if outer is None:
        return "it raises a level, and the other does not"
    for part in ("targets", "loggers"):
        if more := set(inner[part]) - set(outer[part]):
            return f"{min(more)} is not among its {part}"
    if is_more_verbose(inner["level"], outer["level"]):
        return f"level {inner['level']} says more than {outer['level']}"
    if inner["duration_s"] > outer["duration_s"]:
        return f"a level is raised for {inner['duration_s']} s, longer than {outer['duration_s']} s"
    wanted = [(one["key"], one["value_c"]) for one in outer["match"]]
    held = {(one["key"], one["value_c"]) for one in inner["match"]}
    if any(one not in held for one in wanted):
        return "a condition on what is raised is missing"
    return "follow" if inner["follow"] and not outer["follow"] else None


def is_more_verbose(level: str, other: str) -> bool:
    """Say whether a level writes more lines than another; one that is not known does, unless it is the same."""
    if level == other:
        return False
    if level not in _LEVELS or other not in _LEVELS:
        return True
    return _LEVELS.index(level) < _LEVELS.index(other)
