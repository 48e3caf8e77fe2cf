"""Differences as a comment on a change under review: Markdown, in which no text of documents means anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from loglease.policy.bundle import Bundle
from loglease.policy.difference.found import Difference, Verdict, overall
from loglease.policy.live import Affected

_MEANING: Final = {
    Verdict.WIDENS: "somebody may get more, or more easily",
    Verdict.CHEAPER: "a policy asks for fewer approvals than another one for what both cover",
    Verdict.UNDECIDED: "it is not proved that nobody gets more",
    Verdict.NARROWS: "nobody gets anything that they did not get before",
    Verdict.SAME: "nothing that decides has changed",
}
_SHOWN_HASH: Final = 12


def markdown(before: Bundle, after: Bundle, found: Sequence[Difference], live: Sequence[Affected] = ()) -> str:
    """Write differences as Markdown.

    Args:
        before: the documents as they were.
        after: the documents as they would be.
        found: what separates them.
        live: grants that could not be issued by `after`, or with less.
    """
    verdict = overall(found)
    lines = [f"### Policy: {verdict}", "", f"{_MEANING[verdict].capitalize()}."]
    if found:
        lines += ["", "| | document | change |", "| --- | --- | --- |", *map(_row, found)]
    if live:
        lines += ["", "| live grant | holder | policy | now |", "| --- | --- | --- | --- |", *map(_live_row, live)]
    return "\n".join([*lines, "", f"`{before.hash[:_SHOWN_HASH]}` → `{after.hash[:_SHOWN_HASH]}`"])


def _row(one: Difference) -> str:
    mark = f"**{one.verdict}**" if one.verdict is not Verdict.NARROWS else str(one.verdict)
    place = "" if one.at is None else f" {_code(str(one.at))}"
    return f"| {mark} | {_code(one.document)}{place} | {_code(one.text)} |"


def _live_row(one: Affected) -> str:
    return f"| {_code(one.grant)} | {_code(one.holder)} | {_code(one.policy)} | {_code(one.why)} |"


def _code(text: str) -> str:
    """Write foreign text as code in a cell: no mark-up, mention, link or cell of its own comes of it."""
    clean = " ".join(_visible(text)).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", clean)), default=0))
    space = " " if "`" in clean else ""
    return f"{fence}{space}{clean}{space}{fence}"


def _visible(text: str) -> Iterator[str]:
    yield from "".join(one if one.isprintable() else " " for one in text).split()
