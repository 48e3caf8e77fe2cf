"""The packs and profiles that come with the program. The one module of the package that reads its data files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Final

from loglease.redaction.errors import ProfileUnknown, did_you_mean
from loglease.redaction.profile import Profile, parse_profile
from loglease.redaction.rule_documents import parse_pack
from loglease.redaction.rules import Pack

# From the weakest to the strictest: each masks at least what the one before masks.
STRICTNESS: Final = ("raw", "secrets", "pii-default", "strict")
ALIASES: Final = {"default": "pii-default"}


@cache
def packs() -> tuple[Pack, ...]:
    """Return every pack that comes with the program."""
    return tuple(parse_pack(data, name, trusted=True) for name, data in _files("packs"))


@cache
def profiles() -> tuple[Profile, ...]:
    """Return every profile that comes with the program, by name and version."""
    found = [parse_profile(data, name) for name, data in _files("profiles")]
    return tuple(sorted(found, key=lambda one: (one.name, one.version)))


def profile_named(pin: str, among: Sequence[Profile] | None = None) -> Profile:
    """Return a profile by ``name@version``, or the newest version of a bare name.

    Raises:
        ProfileUnknown: there is none.
    """
    known = profiles() if among is None else among
    name, _, version = pin.partition("@")
    name = ALIASES.get(name, name)
    candidates = [one for one in known if one.name == name and version in {"", str(one.version)}]
    if not candidates:
        known_names = {one.name for one in known} | {one.pin for one in known}
        remedy = did_you_mean(pin, known_names)
        raise ProfileUnknown(f"there is no redaction profile {pin!r}{'; ' + remedy if remedy else ''}")
    return max(candidates, key=lambda one: one.version)


def strictness(pin: str) -> int | None:
    """Return how strict a built-in profile is, from 0 (`raw`); None for a profile outside the order."""
    name = pin.partition("@")[0]
    name = ALIASES.get(name, name)
    return STRICTNESS.index(name) if name in STRICTNESS else None


def _files(folder: str) -> list[tuple[str, bytes]]:
    root = resources.files("loglease.redaction").joinpath(folder)
    names = sorted(entry.name for entry in root.iterdir() if entry.name.endswith(".yaml"))
    return [(name, root.joinpath(name).read_bytes()) for name in names]
