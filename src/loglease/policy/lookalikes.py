"""Letters that look like others: `pаy-api` with a Cyrillic `а` is another name than `pay-api`, and nobody sees it.

The table is small on purpose: letters that are drawn like a Latin one in most fonts. Words in another script are fine;
what is named is a word that people would take for a Latin one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from loglease.policy import tree
from loglease.policy.problems import At, Problem, Problems, Severity, shown
from loglease.policy.tree import Items, Node, Scalar

_PAIRS: Final = (
    "АA ВB ЕE ЅS ІI ЈJ КK МM НH ОO РP СC ТT УY ХX аa сc ԁd еe һh іi јj ӏl оo рp ԛq ѕs ѵv ԝw хx уy "  # Cyrillic
    "ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX αa ϲc ιi ϳj κk νv οo ρp υu χx γy "  # Greek
    "օo ոn սu հh ցg "  # Armenian
    "ɑa ɡg ıi ſf"  # Latin letters that are rarely meant
)
LOOKS_LIKE: Final[Mapping[str, str]] = MappingProxyType({pair[0]: pair[1] for pair in _PAIRS.split()})
"""Letters, each with the ASCII letter that it is taken for."""

_WORD: Final = re.compile(r"[^\W_]+")


def look_alikes(files: Mapping[str, bytes]) -> list[Problem]:
    """Warn of words in fields and values of documents that hold letters which look like others.

    Args:
        files: content by path; what cannot be read is left out.
    """
    problems = Problems()
    for file in sorted(files):
        read = Problems()
        nodes = tree.documents(file, files[file], read)
        lines = files[file].decode(errors="replace").replace("\r\n", "\n").split("\n")
        problems.read(file, lines)
        for scalar in _scalars(nodes):
            for word in _words(scalar.text):
                _warn(word, _place(word, scalar.at, lines), problems)
    return problems.found()


def _scalars(nodes: list[Node]) -> Iterator[Scalar]:
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if isinstance(node, Scalar):
            yield node
        elif isinstance(node, Items):
            todo += node.items
        else:
            todo += [part for pair in node.entries for part in pair]


def _words(text: str) -> Iterator[str]:
    """Yield the words that could be taken for Latin ones.

    A word of nothing but look-alikes is one only in a name: in a sentence it is a word of its own script.
    """
    is_name = not any(map(str.isspace, text))
    for word in dict.fromkeys(_WORD.findall(text)):
        looks = [_looks_like(letter) for letter in word if not letter.isascii()]
        mixed = any(letter.isascii() and letter.isalpha() for letter in word)
        if any(looks) and (mixed or (is_name and all(looks))):
            yield word


def _looks_like(letter: str) -> str | None:
    """Return the ASCII letter or digit that a letter is taken for; compatibility forms such as `ｐ` are among them."""
    plain = unicodedata.normalize("NFKC", letter)
    return LOOKS_LIKE.get(letter) or (plain if plain.isascii() and plain.isalnum() and len(plain) == 1 else None)


def _warn(word: str, at: At, problems: Problems) -> None:
    letter = next(one for one in word if not one.isascii() and _looks_like(one))
    twin = _looks_like(letter)
    problems.add(
        at, "P418", f"{shown(word)} holds U+{ord(letter):04X} {unicodedata.name(letter)}, which looks like '{twin}'",
        f"write '{twin}', or the whole word in one script", Severity.WARNING,
    )  # fmt: skip


def _place(word: str, at: At, lines: list[str]) -> At:
    """Return where a word stands, or its value where that has several lines."""
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    column = line.find(word, at.column - 1)
    return At(at.file, at.line, column + 1, len(word)) if column >= 0 else at
