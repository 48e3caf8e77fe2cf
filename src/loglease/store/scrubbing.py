"""Texts that people wrote, taken out of stored documents: what state machines need stays, and every value still reads.

Only what stands under the names below is text that somebody typed or that says where they were; all else is ids,
states, times and what policies said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

import orjson

ERASED: Final = "[erased]"
"""What stands in the place of an erased text."""

TYPED: Final = frozenset({"reason", "ticket", "comment", "answer", "contains", "inputs", "private", "network", "facts"})
"""Under which names texts of people stand in the documents of requests, grants, reviews, proposals and revocations."""
LITERALS: Final = frozenset({"contains"})
"""Where the texts of a request stand in what other people made of it."""
DERIVES: Final = "rules"
"""Under which name of `private` the secret of a request stands that the salts of its line rules follow from.

It goes with whatever goes: with it, and a guess, a salt that was erased could be made again.
"""
_SALTS: Final = frozenset({"key_salt", "shared_salt"})

Gone = Callable[[str], bool]


def every(_: str) -> bool:
    """Say that a text goes, whatever it is."""
    return True


def scrubbed(document: str, *, names: Collection[str] = TYPED, gone: Gone = every) -> str:
    """Return a document without the texts that go.

    Args:
        names: under which names texts are looked at.
        gone: says of a text whether it goes.
    """
    return orjson.dumps(_scrubbed(orjson.loads(document), names, gone)).decode()


def without_salts(document: str) -> str:
    """Return the document of a grant without the salts of its key, so that nobody can derive it any more."""
    content = orjson.loads(document)
    return orjson.dumps({**{k: v for k, v in content.items() if k not in _SALTS}, "key_salt": ""}).decode()


def without_secret(document: str) -> str:
    """Return the document of a request without the secret that salts of its line rules follow from."""
    return scrubbed(document, names={"private"}, gone=lambda _: False)


def literals_in(terms: Any) -> frozenset[str]:
    """Return the texts that lines must hold by the terms of an offer or a narrowing, as documents have them."""
    scopes = [] if terms is None else terms["scopes"]
    return frozenset(text for scope in scopes for text in scope.get("contains", ()))


def of_reviewers(document: str, reviewers: Collection[str]) -> str:
    """Return the document of an after-review without what these people wrote in it."""
    content = orjson.loads(document)
    for opinion in content.get("opinions", ()):
        if opinion["reviewer"] in reviewers and opinion.get("comment"):
            opinion["comment"] = ERASED
    return orjson.dumps(content).decode()


def _scrubbed(value: Any, names: Collection[str], gone: Gone) -> Any:
    if isinstance(value, list):
        return [_scrubbed(one, names, gone) for one in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        if name not in names:
            found[name] = _scrubbed(inner, names, gone)
        elif (kept := _without(name, inner, gone)) is not None:
            found[name] = kept
    return found


def _without(name: str, value: Any, gone: Gone) -> Any:
    """Return what is left under a name; None takes the name away, where a value may be absent."""
    if name == "private":
        return {key: pair for key, pair in value.items() if key != DERIVES and not gone(pair[1])}
    if name == "facts":
        return "[]" if gone is every else value
    if name == "network":
        return None if gone(value) else value
    if isinstance(value, dict):
        return {key: _text(inner, gone) for key, inner in value.items()}
    if isinstance(value, list):
        return [_text(inner, gone) for inner in value]
    return _text(value, gone)


def _text(value: Any, gone: Gone) -> Any:
    return ERASED if isinstance(value, str) and value and gone(value) else value
