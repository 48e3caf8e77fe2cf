"""Redaction profiles as policy sees them: names, versions, and which is stricter than which.

What a profile masks is the business of `redaction`; the server hands over what it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

RAW: Final = "raw"


@dataclass(frozen=True, slots=True)
class ProfileInfo:
    """One profile.

    Attributes:
        version: what a grant pins, together with the name.
        stricter_than: names of profiles that mask less, whether or not others lie between.
    """

    name: str
    version: str
    stricter_than: frozenset[str] = frozenset()

    @property
    def pinned(self) -> str:
        """The form in scopes and grants: ``pii-default@1``."""
        return f"{self.name}@{self.version}"


Profiles = Mapping[str, ProfileInfo]
"""All profiles of a server, by name."""


def known_profile(text: str, profiles: Profiles) -> ProfileInfo | None:
    """Find a profile by `name` or `name@version`; another version than the present one is not known."""
    name, _, version = text.partition("@")
    found = profiles.get(name)
    return found if found is not None and version in ("", found.version) else None


def is_as_strict(one: str, other: str, profiles: Profiles) -> bool:
    """Say whether profile `one` masks at least what `other` does; what cannot be shown is no."""
    return other in {one, RAW, *below(one, profiles)}


def below(name: str, profiles: Profiles) -> frozenset[str]:
    """Return all profiles that are known to be looser, followed through every step."""
    found: set[str] = set()
    todo = [name]
    while todo:
        profile = profiles.get(todo.pop())
        fresh = (profile.stricter_than if profile is not None else frozenset()) - found
        found |= fresh
        todo += fresh
    return frozenset(found - {name})


def strictest(names: Iterable[str], profiles: Profiles) -> str | None:
    """Return the profile that is at least as strict as each; None where there is no such one."""
    demanded = sorted(set(names))
    if len(demanded) == 1:
        return demanded[0]
    for one in demanded:
        if all(is_as_strict(one, other, profiles) for other in demanded):
            return one
    return None
