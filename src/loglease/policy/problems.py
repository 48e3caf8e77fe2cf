"""Problems found in policy documents: where, what, why, and what to write instead."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

MAX_REPORTED: Final = 100
_MAX_KEPT: Final = 2_000
_SHOWN_BEFORE: Final = 60
_SHOWN_WIDTH: Final = 120
_CONTROL: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


class At(NamedTuple):
    """A place in a file: line and column count from 1, width is the number of characters to mark."""

    file: str
    line: int
    column: int
    width: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Severity(StrEnum):
    """An error refuses the bundle; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: `P` and three digits, stable: documented, never renamed, never reused.
        line_text: the source line, empty for a problem of the file as a whole.
    """

    at: At
    code: str
    message: str
    help: str | None = None
    severity: Severity = Severity.ERROR
    line_text: str = ""

    def render(self) -> str:
        """Write the problem as people read it: place, code, message, source line, mark and help."""
        head = f"{self.at}: {self.severity}[{self.code}] {self.message}"
        remedy = f"= help: {self.help}" if self.help else ""
        if not self.line_text:
            return f"{head}\n  {remedy}" if remedy else head
        number = str(self.at.line)
        start = max(0, self.at.column - 1 - _SHOWN_BEFORE)
        shown = _visible(self.line_text[start : start + _SHOWN_WIDTH])
        offset = self.at.column - 1 - start
        mark = "^" * max(1, min(self.at.width, len(shown) - offset))
        gutter = " " * len(number)
        under = f" {gutter} | {' ' * offset}{mark} {remedy}".rstrip()
        return f"{head}\n {number} | {shown}\n{under}"

    def as_json(self) -> dict[str, str | int]:
        """Return the problem for programs; absent instead of null."""
        found: dict[str, str | int] = {
            "file": self.at.file,
            "line": self.at.line,
            "column": self.at.column,
            "severity": str(self.severity),
            "code": self.code,
            "message": self.message,
        }
        return found | ({"help": self.help} if self.help else {})


def _visible(text: str) -> str:
    return "".join("�" if unicodedata.category(character) in _CONTROL else character for character in text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or None."""
    close = difflib.get_close_matches(word[:64], sorted(known), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Write help for an unknown word: the nearest known one, else the list of all."""
    words = sorted(known)
    close = nearest(word, words)
    if close is not None:
        return f"did you mean '{close}'?"
    return f"known: {', '.join(words)}" if words else "none is declared"


def shown(text: str, limit: int = 40) -> str:
    """Quote foreign text for a message: short, on one line, nothing invisible."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return f"'{_visible(cut)}'"


class Problems:
    """Collects the problems of one run; gives them sorted, each once, a hundred at most."""

    def __init__(self) -> None:
        self._found: set[Problem] = set()
        self._lines: dict[str, Sequence[str]] = {}

    def read(self, file: str, lines: Sequence[str]) -> None:
        """Remember the lines of a file, to show them with problems."""
        self._lines[file] = lines

    def line_of(self, at: At) -> str:
        """Return the line of a place; empty for a place in no file that was read."""
        lines = self._lines.get(at.file, ())
        return lines[at.line - 1] if 0 < at.line <= len(lines) else ""

    def add(
        self, at: At, code: str, message: str, remedy: str | None = None, severity: Severity = Severity.ERROR
    ) -> None:
        """Record a problem."""
        found = Problem(at=at, code=code, message=message, help=remedy, severity=severity, line_text=self.line_of(at))
        self._found.add(found)
        if len(self._found) > _MAX_KEPT:
            self._found = set(self._first())

    def add_all(self, problems: Iterable[Problem]) -> None:
        """Record problems that were found before; their lines are those that were read here."""
        for one in problems:
            self.add(one.at, one.code, one.message, one.help, one.severity)

    def take(self, other: Problems) -> None:
        """Add what another collection holds."""
        self.add_all(other.found())

    def found(self) -> list[Problem]:
        """Return the problems in the order of files and lines; where they are too many, errors before warnings."""
        return sorted(self._first(), key=lambda one: (one.at, one.code, one.message))

    def _first(self) -> list[Problem]:
        return sorted(self._found, key=lambda one: (one.severity, one.at, one.code, one.message))[:MAX_REPORTED]
