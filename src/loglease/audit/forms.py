"""Whether an entry has its form, told in a few microseconds for entries that look as most do.

What matches the pattern of its type is an entry; what does not may still be one, and is read whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from loglease.audit.entry import MAX_ENTRY_BYTES, entry_of
from loglease.audit.interface import EntryInvalid
from loglease.audit.patterns import Matcher, matcher_of
from loglease.audit.types import ENTRY_TYPES

_TYPE: Final = b',"type":"'


def check_form(content: bytes) -> None:
    """Check that bytes are an entry: canonical, of a known type, with exactly its keys and forms.

    Raises:
        EntryInvalid: they are not.
    """
    if not is_plain(content):
        entry_of(content)


def is_plain(content: bytes) -> bool:
    """Say whether bytes are certainly an entry; a no says nothing."""
    return len(content) <= MAX_ENTRY_BYTES and _matcher(content)(content) is not None


def first_without_form(entries: Iterable[bytes]) -> tuple[int, EntryInvalid] | None:
    """Return the place of the first of several that is no entry, and why; None if all are."""
    matches: Matcher = _NOTHING
    for place, content in enumerate(entries):
        # Neighbours often have the same type, and a pattern says no to another one early.
        if matches(content) is None or len(content) > MAX_ENTRY_BYTES:
            matches = _matcher(content)
            try:
                if matches(content) is None or len(content) > MAX_ENTRY_BYTES:
                    entry_of(content)
            except EntryInvalid as error:
                return place, error
    return None


def _matcher(content: bytes) -> Matcher:
    """Return what matches the entries of the type that some bytes seem to have."""
    begin = content.rfind(_TYPE) + len(_TYPE)
    name = _NAMES.get(content[begin : content.find(b'"', begin)])
    return _NOTHING if name is None else matcher_of(name)


_NOTHING: Final = re.compile(rb"(?!)").fullmatch
_NAMES: Final[Mapping[bytes, str]] = {name.encode(): name for name in ENTRY_TYPES}
