"""What was typed into a form, kept for an hour: over a sign-in, and so that "back" leads to a page, not to a POST."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import ImmutableMultiDict

from loglease.access.commitments import Random
from loglease.model.clock import Clock
from loglease.model.ids import PrincipalId

KEEPS_NS: Final = 3_600_000_000_000
MAX_BYTES: Final = 32 * 1024
MOST: Final = 2_000
MOST_OF_ONE: Final = 16
MOST_UNCLAIMED: Final = 200
_KEY_BYTES: Final = 16
_KEEPING: Final = re.compile(r"/requests/(?:new|reveal)|/requests/[^/]+/decide|/grants/[^/]+/revoke")
"""Forms with text in them. Those with passwords are not among them, so nothing secret is ever kept."""

_OWN_PAGE: Final = frozenset({"/settings", "/password", "/sign-in"})
_NEVER_KEPT: Final = frozenset({"csrf", "key", "digest"})
"""What a page gives anew each time it is shown; people decide on what they see then."""

Fields = ImmutableMultiDict[str, str]
"""The fields of a form: names with texts."""


@dataclass(slots=True)
class _Draft:
    fields: Fields
    owner: PrincipalId | None
    until_ns: int


@dataclass(frozen=True, slots=True)
class Drafts:
    """The drafts of this process, in memory only. Bounded; the oldest goes first, and strangers displace nobody's."""

    clock: Clock
    random: Random
    _kept: OrderedDict[str, _Draft] = field(default_factory=OrderedDict)

    def keep(self, fields: Fields, owner: PrincipalId | None) -> str | None:
        """Keep fields and return the key to them, or None where they are too large.

        Args:
            owner: who typed them; None where that is not known, and then whoever opens them first.
        """
        pairs = [(name, text) for name, text in fields.multi_items() if name not in _NEVER_KEPT]
        if sum(len(name) + len(text) for name, text in pairs) > MAX_BYTES:
            return None
        most = MOST_UNCLAIMED if owner is None else MOST_OF_ONE
        same = [key for key, draft in self._kept.items() if draft.owner == owner]
        for key in same[: max(0, len(same) - most + 1)]:
            del self._kept[key]
        while len(self._kept) >= MOST:
            self._kept.popitem(last=False)
        key = self.random(_KEY_BYTES).hex()
        self._kept[key] = _Draft(ImmutableMultiDict(pairs), owner, self.clock.boot_ns() + KEEPS_NS)
        return key

    def find(self, key: str, reader: PrincipalId) -> Fields | None:
        """Return the fields of a draft; None if there is none, it is too old, or somebody else's."""
        draft = self._kept.get(key)
        if draft is None or draft.owner not in (None, reader):
            return None
        if self.clock.boot_ns() >= draft.until_ns:
            del self._kept[key]
            return None
        draft.owner = reader
        return draft.fields


def keeps_typed(path: str) -> bool:
    """Say whether what is sent to a path holds text that is worth keeping."""
    return _KEEPING.fullmatch(path) is not None


def page_of(path: str) -> str:
    """Return the page with the form that is sent to a path: its own address, or that of what a button belongs to."""
    return path if keeps_typed(path) or path in _OWN_PAGE else path.rpartition("/")[0] or "/"
