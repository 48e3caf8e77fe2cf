"""Redactors that go wrong where a text holds `POISON`, each in another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from loglease.redaction import Keys, Redactor, engine_named, packs, parse_pack, parse_profile, profile_named
from loglease.redaction.engine import Hit
from loglease.redaction.plugins import Extensions, Plugin

POISON = b"hunter2-poison"
"""Stands behind `password=`, so that a rule finds it."""

Scan = Callable[[bytes], list[Hit]]
MARKER = bytes(range(16))
KEYS = Keys(bytes(range(32)))


def built(keys: Keys = KEYS, engine: str = "hyperscan") -> Redactor:
    profile = profile_named("pii-default@1")
    return Redactor.build([profile], packs(), engine=engine_named(engine), keys=keys, marker=MARKER)


class Spoiled:
    """A scanner whose hits in a poisoned text are changed."""

    def __init__(self, scan: Scan, spoil: Callable[[list[Hit], bytes], list[Hit]]) -> None:
        self._scan = scan
        self._spoil = spoil

    def scan(self, data: bytes) -> list[Hit]:
        hits = self._scan(data)
        return self._spoil(hits, data) if POISON in data else hits


def spoiled(spoil: Callable[[list[Hit], bytes], list[Hit]], engine: str = "hyperscan") -> Redactor:
    """Return a redactor whose engine breaks after it passed its self-test."""
    plan = built(engine=engine)._plan
    return Redactor(replace(plan, scanner=Spoiled(plan.scanner.scan, spoil)), KEYS, "neutralise")


def raising(_hits: list[Hit], data: bytes) -> list[Hit]:
    raise RuntimeError(data.decode("latin-1"))


class Raising:
    """A matcher that raises with the text it was given."""

    def finds(self, text: bytes, _low: int, _high: int) -> list[Any]:
        raise ValueError(text.decode("latin-1"))


def with_a_rule_that_raises() -> Redactor:
    plan = built()._plan
    steps = list(plan.steps)
    for number, one in enumerate(plan.active):
        if one.rule.id == "credentials.password":
            steps[number] = Raising().finds, one.rule.reach, one.rule.shortest
    return Redactor(replace(plan, steps=tuple(steps)), KEYS, "neutralise")


def with_a_short_key() -> Redactor:
    """Return a redactor that has no key when it comes to a pseudonym, such as that of an address."""
    return built(Keys(b"short"))


FAULTS: Mapping[str, tuple[Callable[[], Redactor], str]] = {
    "an engine that raises": (lambda: spoiled(raising), "engine_error"),
    "a callback that is lost": (lambda: spoiled(lambda _hits, _data: []), "canary_lost"),
    "a canary that is lost": (
        lambda: spoiled(lambda hits, data: [hit for hit in hits if hit[2] != len(data)]),
        "canary_lost",
    ),
    "hits where there is no text": (
        lambda: spoiled(lambda hits, data: [(0, len(data) - 1, len(data) + 9), *hits]),
        "engine_error",
    ),
    "a rule that raises": (with_a_rule_that_raises, "rule_error"),
    "a key that is missing": (with_a_short_key, "key_missing"),
}
"""What may go wrong, and the reason it is recorded with."""


def with_validator(validator: Callable[[bytes], bool]) -> Redactor:
    """Return a redactor with one rule of an operator, `code=…`, which a plug-in's validator decides on."""
    extensions = Extensions([Plugin(name="shop", version="1", digest="0" * 64, validators={"check": validator})])
    pack = parse_pack(
        b"pack: shop\nversion: 1\nformat: loglease-rules/1\nrules:\n  - {id: shop.code, class: secret.code, label: code,"
        b" pattern: 'code=(?P<value>[0-9a-z]{8,40})', mask: value, validate: [shop.check], examples: ['code=\xc2\xab"
        b"a1b2c3d4\xc2\xbb']}\n",
        extensions=extensions,
    )
    profile = parse_profile(b"profile: shop\nversion: 1\npacks: [shop@1]\n")
    return Redactor.build([profile], [pack], engine=engine_named("hyperscan"), keys=KEYS, marker=MARKER)
