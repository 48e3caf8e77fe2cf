"""Identifiers as people type them: whole, a unique prefix, the last six characters, with an ellipsis, or `@last`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from loglease.cli.errors import IdUnclear, NotFoundHere, Usage
from loglease.cli.run import Run
from loglease.cli.terminal import one_line
from loglease.model.ids import GRANT, HOLD, LOCK, PROPOSAL, REQUEST, TOKEN

NEWEST: Final = "@last"
LAST_CHARACTERS: Final = 6
SEARCHED: Final = 1_000
_SHOWN: Final = 5
_LISTED: Final = {
    LOCK: "loglease lock list",
    TOKEN: "loglease token list",
    PROPOSAL: "loglease proposals list",
    HOLD: "loglease audit hold list",
}
_WHOLE = re.compile(r"[a-z]{3}_[0-7][0-9A-HJKMNP-TV-Z]{25}")
_PATHS: Final = {
    REQUEST: "/requests",
    GRANT: "/grants",
    LOCK: "/locks",
    TOKEN: "/tokens",
    PROPOSAL: "/proposals",
    HOLD: "/audit/holds",
}
_PAGED: Final = frozenset({REQUEST, GRANT, PROPOSAL})
_WORDS: Final = {REQUEST: "request", GRANT: "grant", LOCK: "lock", TOKEN: "token", PROPOSAL: "proposal", HOLD: "hold"}


def matching(text: str, ids: Iterable[str]) -> list[str]:
    """Return the identifiers that a text can mean, sorted, hence oldest first.

    A prefix may leave the kind out (`01JDC8` for `req_01JDC8…`); letters may be small, as base32 reads them.
    """
    head, ellipsis, tail = text.partition("…")
    known = sorted(set(ids))
    if ellipsis:
        return [one for one in known if _begins(one, head) and one.endswith(tail.upper()) and len(one) > len(head)]
    by_end = [one for one in known if len(text) == LAST_CHARACTERS and one.endswith(text.upper())]
    by_start = [one for one in known if _begins(one, text)]
    return sorted({*by_end, *by_start})


def _begins(one: str, text: str) -> bool:
    kind, separator, rest = text.partition("_")
    if separator:
        return one.startswith(f"{kind}_{rest.upper()}")
    return one.partition("_")[2].startswith(text.upper())


def chosen(run: Run, text: str, kind: str, **filters: Any) -> str:
    """Return the identifier that a text means, asking the server only if it is not written out.

    Args:
        run: the call.
        text: what was typed.
        kind: prefix of the kind of thing that is wanted.
        filters: parameters of the list to search.

    Raises:
        Usage: an identifier of another kind.
        NotFoundHere: nothing fits.
        IdUnclear: several fit.
    """
    if _WHOLE.fullmatch(text):
        if not text.startswith(f"{kind}_"):
            raise Usage(f"{text} is no {_WORDS[kind]}.", next_step=f"Give an identifier that begins with {kind}_.")
        return text
    path = _PATHS[kind]
    found_items = run.client.items(path, most=SEARCHED, **filters) if kind in _PAGED else run.client.every(path)
    known = [str(item["id"]) for item in found_items]
    if text == NEWEST:
        if not known:
            waits = " that waits for you" if "needs" in filters else ""
            raise NotFoundHere(f"There is no {_WORDS[kind]}{waits}.", next_step=_how_to_list(kind))
        return max(known)
    found = matching(text, known) if text else []
    if not found:
        raise NotFoundHere(f"No {_WORDS[kind]} fits {one_line(text[:40])!r}.", next_step=_how_to_list(kind))
    if len(found) > 1:
        listed = ", ".join(found[-_SHOWN:])
        raise IdUnclear(f"{len(found)} {_WORDS[kind]}s fit {text!r}: {listed}.", next_step="Type more of it.")
    return found[0]


def _how_to_list(kind: str) -> str:
    return _LISTED.get(kind, f"loglease {_WORDS[kind]}s")
