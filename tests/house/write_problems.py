"""Write ``docs/reference/problems.md`` anew: ``python -m tests.house.write_problems``."""

from __future__ import annotations

from http import HTTPStatus
from itertools import groupby
from pathlib import Path
from typing import Final

from loglease.server.problems import KINDS

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "problems.md"
_HEAD: Final = """# Problem codes

Every refusal has one of these codes: in the REST API as `code` of `application/problem+json`, in the command line in
brackets behind the message, at the gateway before the colon. Codes are never renamed and never reused; programs switch on
them and not on texts. A running server has a page for each at `/problems/<code>`.

The same code may come with another status at the [gateway](gateway.md#refusals). What to do about the frequent ones is in
[troubleshooting](../operations/troubleshooting.md); exit codes of the command line are in [its reference](cli.md#exit-codes).

Written by `python -m tests.house.write_problems`; a test fails when it is out of date.
"""


def problems_page() -> str:
    """Return the page: the table of the server, in its order."""
    parts = [_HEAD]
    for status, kinds in groupby(KINDS.items(), key=lambda item: item[1].status):
        parts.append(
            f"\n## {status} {HTTPStatus(status).phrase}\n\n| code | means | what to do |\n| --- | --- | --- |\n"
        )
        parts += [f"| `{code}` | {kind.title} | {kind.help} |\n" for code, kind in kinds]
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(problems_page())
