"""The served list: what one record of a session says of the lines that were handed over, without a line of them.

Its exact bytes are kept beside the audit log, and the entry commits to them. Whoever asks later who was shown what gets
the answer from these lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from loglease.model.digest import Canonical, canonical_bytes
from loglease.model.errors import InvalidField
from loglease.model.instant import Interval
from loglease.model.labels import Labels, Matcher, Selector

MASK: Final = "⟦"
"""What the text begins with that stands for a masked value."""


class ServedStream(NamedTuple):
    """What was handed over of one stream: its labels as they were shown, first and last event time, how many lines."""

    labels: Labels
    first_ns: int
    last_ns: int
    lines: int

    def touches(self, window: Interval) -> bool:
        """Say whether event times of it may lie in a window."""
        return self.last_ns >= window.start and (window.end is None or self.first_ns < window.end)


@dataclass(frozen=True, slots=True)
class ServedList:
    """What was handed over.

    Attributes:
        content_sha256: over each item in order, in hex.
        pseudonyms: those of the lines, sorted; none where there were more than a list takes.
        streams: sorted by their labels.
    """

    content_sha256: str
    pseudonyms: Sequence[str]
    streams: Sequence[ServedStream]

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        listed: list[Canonical] = [
            [[list(pair) for pair in one.labels], str(one.first_ns), str(one.last_ns), one.lines]
            for one in self.streams
        ]
        return canonical_bytes(
            {"content_sha256": self.content_sha256, "pseudonyms": list(self.pseudonyms), "streams": listed}
        )


def served_list_of(content: bytes) -> ServedList:
    """Read a served list back.

    Raises:
        InvalidField: it is none.
    """
    try:
        found = orjson.loads(content)
        streams = [
            ServedStream(tuple([(name, value) for name, value in labels]), int(first_ns), int(last_ns), lines)
            for labels, first_ns, last_ns, lines in found["streams"]
        ]
        return ServedList(found["content_sha256"], found["pseudonyms"], streams)
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidField(f"A served list cannot be read: {error}") from error


def is_masked(labels: Labels) -> bool:
    """Say whether a mask hides something of the labels of a stream."""
    return any(MASK in text for pair in labels for text in pair)


def selects(selector: Selector, labels: Labels) -> bool | None:
    """Say whether a selector selects a stream whose labels are shown so; None where that is under a mask."""
    shown = dict(labels)
    hides_names = any(MASK in name for name in shown)
    verdicts = [_allows(matcher, shown.get(key, ""), hides_names=hides_names) for key, matcher in selector.matchers]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def names_mask(matcher: Matcher) -> bool:
    """Say whether a matcher names values as they are shown under a mask."""
    return any(MASK in text for text in (*matcher.exact, *matcher.prefixes))


def _allows(matcher: Matcher, value: str, *, hides_names: bool) -> bool | None:
    if not value:
        return None if hides_names else False
    if MASK not in value or (names_mask(matcher) and matcher.matches(value)):
        return matcher.matches(value)
    return True if matcher == _ANY else None


_ANY: Final = Matcher(any_value=True)
