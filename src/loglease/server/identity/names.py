"""Names of accounts: stable under NFKC, so that two that look the same are the same."""

from __future__ import annotations

import unicodedata
from typing import Final

from loglease.model.errors import FieldFault, InvalidField

MAX_NAME: Final = 128
_UNWANTED: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp", "Zs"})


def is_stable(text: str) -> bool:
    """Say whether NFKC and trimming leave a name as it is, and it has no invisible characters or spaces."""
    return (
        text == unicodedata.normalize("NFKC", text).strip()
        and bool(text)
        and not any(unicodedata.category(character) in _UNWANTED for character in text)
    )


def folded(text: str) -> str:
    """Return the form by which an account is found; letters differ in case only."""
    return unicodedata.normalize("NFKC", text.casefold())


def checked_account(text: str) -> str:
    """Return the account name as it is stored.

    Raises:
        InvalidField: it changes under NFKC or trimming, has spaces or invisible characters, or is too long.
    """
    if len(text) > MAX_NAME or not is_stable(text):
        raise InvalidField(
            "The account name cannot be used.",
            next_step="Use letters, digits and @ . - _ without spaces, at most 128 characters.",
            faults=(
                FieldFault("/account", "name_unstable", "It has characters that look like others or like nothing."),
            ),
        )
    return folded(text)


def checked_name(text: str) -> str:
    """Return a display name; it may have single spaces inside.

    Raises:
        InvalidField: it changes under NFKC or trimming, or has invisible characters.
    """
    if not text or not all(is_stable(part) for part in text.split(" ")):
        raise InvalidField(
            "The name cannot be used.",
            next_step="Write it without invisible characters or doubled spaces.",
            faults=(FieldFault("/name", "name_unstable", "It has characters that look like others or like nothing."),),
        )
    return text
