"""Texts with places for what a question names: the address that is asked, and what is sent there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from loglease.policy.observed import Question

PLACES: Final = ("account", "issuer", "kind", "label", "key", "ticket")
"""What may stand in braces: of who is asked about, the value and the key of the label, and the ticket."""

_PLACE: Final = re.compile(r"\{(" + "|".join(PLACES) + r")\}")
_DOTS: Final = frozenset({".", ".."})
_IN_BRACES: Final = re.compile(r"\{([^{}]*)\}")


class NotNamed(Exception):
    """The question does not name what a template needs.

    Attributes:
        place: which.
    """

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


class NotPlain(Exception):
    """A value would change the path that it stands in."""


@dataclass(frozen=True, slots=True)
class Template:
    """Texts in turn with places; the first and the last part are texts."""

    parts: tuple[str, ...]

    @property
    def places(self) -> frozenset[str]:
        """The names of all places."""
        return frozenset(self.parts[1::2])

    def filled(self, question: Question, written: Callable[[str], str]) -> str:
        """Return the text with the values of a question, each written as the text needs it.

        Raises:
            NotNamed: the question has no such value.
        """
        values = _values(question)
        found = list(self.parts)
        for number in range(1, len(found), 2):
            value = values[found[number]]
            if not value:
                raise NotNamed(found[number])
            found[number] = written(value)
        return "".join(found)


def template_of(text: str) -> Template:
    """Read a text; braces around anything else stay as they are, as JSON has them."""
    return Template(tuple(_PLACE.split(text)))


def unknown_places(text: str) -> list[str]:
    """Return what stands in braces and is no place."""
    return [name for name in _IN_BRACES.findall(text) if name not in PLACES]


def in_address(value: str) -> str:
    """Write a value for a path or a query.

    Raises:
        NotPlain: one of its parts is one or two dots, which mean another path to some servers, encoded or not; or it
            has half a character.
    """
    if not _DOTS.isdisjoint(value.replace("\\", "/").split("/")):
        raise NotPlain
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise NotPlain from None


def in_json(value: str) -> str:
    """Write a value for the inside of a JSON string."""
    return json.dumps(value)[1:-1]


def _values(question: Question) -> dict[str, str | None]:
    key, label = question.label or (None, None)
    return {
        "account": question.account,
        "issuer": question.issuer,
        "kind": question.kind.value,
        "label": label,
        "key": key,
        "ticket": question.ticket,
    }
