"""Foreign text on a page: inert, isolated from the direction of the text around it, with nothing invisible left."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from markupsafe import Markup, escape

from loglease.model.offer import Terms
from loglease.model.reveal import Reveal
from loglease.model.words import plain, reveal_in_words, scope_in_words

MAX_SHOWN: Final = 4_000
_NEWLINES = re.compile(r"\r\n|\r|\n")


def terms_in_words(terms: Terms, reveal: Reveal | None = None) -> str:
    """Return the one sentence that every door uses; of a reveal, the one about the value that it shows."""
    if reveal is not None:
        return reveal_in_words(reveal)
    return "; ".join(scope_in_words(scope, terms.limits, terms.duration_s) for scope in terms.scopes)


def foreign(text: object, limit: int = MAX_SHOWN) -> Markup:
    """Return foreign text as one isolated element; control and format characters show as escapes.

    Args:
        text: whatever people, agents or labels say.
        limit: characters shown; what is cut off is said.
    """
    whole = str(text)
    shown = escape(plain(whole[:limit]))
    cut = _cut_note(len(whole) - limit)
    return Markup("<bdi>{}</bdi>{}").format(shown, cut)


def foreign_lines(text: object, limit: int = MAX_SHOWN) -> Markup:
    """Return foreign text with its line breaks kept, each line isolated."""
    whole = str(text)
    lines = [Markup("<bdi>{}</bdi>").format(plain(line)) for line in _NEWLINES.split(whole[:limit])]
    return Markup("<br>").join(lines) + _cut_note(len(whole) - limit)


def unusual(text: object) -> bool:
    """Say whether a name holds characters that are invisible, or letters of several scripts that look alike."""
    whole = str(text)
    if plain(whole) != whole or unicodedata.normalize("NFKC", whole) != whole:
        return True
    scripts = {_script(character) for character in whole if character.isalpha()}
    return len(scripts) > 1


def _script(character: str) -> str:
    return unicodedata.name(character, "UNKNOWN").partition(" ")[0]


def _cut_note(left_out: int) -> Markup:
    if left_out <= 0:
        return Markup("")
    return Markup(' <em class="cut">… {} more characters are not shown</em>').format(left_out)
