"""What a reviewer decides on, read from the very bytes that the digest names, so that no server can show other terms.

SECURITY: the digest that a review carries is computed here from the bytes that were shown. Proven in
`tests/cli/test_terms.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loglease.cli.errors import TermsForged
from loglease.model.digest import commitment, sha256_hex
from loglease.model.errors import LogLeaseError
from loglease.model.ids import GrantId
from loglease.model.instant import EventWindow, Instant
from loglease.model.key_scope import KeyScope, linkable_in_words
from loglease.model.labels import Selector, matcher_of, selector_of
from loglease.model.limits import Limits
from loglease.model.network import bound_in_words
from loglease.model.reveal import Reveal
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import selector_text
from loglease.model.words import reveal_in_words, scope_in_words

DAY_S: Final = 86_400
_NS: Final = 1_000_000_000
_NOT_OPENED: Final = "(not shown to you)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTerms:
    """Terms that were checked: every field comes from the digested bytes or was opened against them."""

    digest: str
    request: str
    scopes: tuple[Scope, ...]
    duration_s: int
    limits: Limits
    policy: str
    rule: str
    outcome: str
    plans: tuple[str, ...]
    asked: str
    reason: str
    ticket: str
    expires_at: str
    reveal: Reveal | None = None
    bound: str = ""
    linkable: str = ""
    extends: str = ""

    @property
    def words(self) -> str:
        """What would be granted, as one sentence a scope; of a reveal, the value that would be shown."""
        if self.reveal is not None:
            return reveal_in_words(self.reveal)
        return "\n".join(scope_in_words(scope, self.limits, self.duration_s) for scope in self.scopes)

    @property
    def selectors(self) -> str:
        """The canonical selectors behind the words."""
        return "\n".join(f"{selector_text(scope.selector)} on {scope.source}" for scope in self.scopes)

    def risks(self) -> list[str]:
        """Return the built-in risk statements, each a sentence with its rule."""
        found = [] if self.reveal is None else ["One masked value is shown as it was logged."]
        for scope in self.scopes:
            if (scope.profile or "").partition("@")[0] == "raw":
                found.append("Nothing is masked: the profile is raw.")
            if scope.window.end_ns is None:
                found.append("Live tail: events that are still to come are included.")
            elif scope.window.end_ns - scope.window.start_ns > DAY_S * _NS:
                found.append("The event window is longer than 24 hours.")
            if scope.all_streams:
                found.append("All streams of the source are included.")
        if self.outcome == "break_glass":
            found.append("Break-glass: nobody approves before it is used.")
        return found


def checked_terms(answer: Mapping[str, Any]) -> ShownTerms:
    """Read the answer of ``/requests/{id}/terms``.

    Raises:
        TermsForged: the bytes do not have the digest that is named, or a salted text does not open its commitment.
    """
    text = str(answer["terms"])
    digest = sha256_hex(text.encode())
    if digest != answer.get("digest"):
        raise TermsForged(
            "The terms that the server shows do not have the digest that it names.",
            next_step="Decide nothing. Tell the operators.",
        )
    opened = {name: (str(pair[0]), str(pair[1])) for name, pair in dict(answer.get("private", {})).items()}
    try:
        return _shown(json.loads(text), digest, opened)
    except (KeyError, TypeError, ValueError, LogLeaseError) as error:
        if isinstance(error, TermsForged):
            raise
        raise TermsForged(
            "The terms cannot be read by this version of loglease.", next_step="Update loglease, or decide on the web."
        ) from error


def _shown(terms: Mapping[str, Any], digest: str, opened: Mapping[str, tuple[str, str]]) -> ShownTerms:
    offer, wish = terms["offer"], terms["wish"]
    rules = _rules(opened)
    limits = Limits(**offer["limits"])
    asked = [scope_in_words(_scope(one, rules), Limits(**wish["limits"]), wish["duration_s"]) for one in wish["scopes"]]
    reveal = _reveal(offer, wish, opened)
    if reveal is not None:
        asked = [reveal_in_words(reveal)]
    return ShownTerms(
        digest=digest,
        request=str(terms["request"]),
        scopes=tuple(_scope(one, rules) for one in offer["scopes"]),
        duration_s=int(offer["duration_s"]),
        limits=limits,
        policy=str(offer["policy"]),
        rule=str(offer["rule"]),
        outcome=str(offer["outcome"]),
        plans=tuple(plan_words(plan) for plan in offer["plans"]),
        asked="\n".join(asked),
        reason=_text("reason_c", wish, opened),
        ticket=_text("ticket_c", wish, opened),
        expires_at=str(wish["expires_at"]),
        reveal=reveal,
        bound=_bound(offer, wish, opened),
        linkable=_linkable(offer),
        extends=str(wish.get("extends", "")),
    )


def _linkable(offer: Mapping[str, Any]) -> str:
    """Say what pseudonyms let people link beyond one grant; empty where that is nothing."""
    scope = KeyScope(offer["pseudonyms"].replace("_", "-")) if "pseudonyms" in offer else KeyScope.GRANT
    return linkable_in_words(scope, str(offer["policy"])) or ""


def _bound(offer: Mapping[str, Any], wish: Mapping[str, Any], opened: Mapping[str, tuple[str, str]]) -> str:
    """Say from where alone it could be used; empty where that is anywhere."""
    if "bind" not in offer:
        return ""
    if offer["bind"] != ["network"] or "network_c" not in wish:
        raise ValueError(offer["bind"])
    network = _text("network_c", wish, opened)
    return network if network == _NOT_OPENED else bound_in_words(network)


def _reveal(offer: Mapping[str, Any], wish: Mapping[str, Any], opened: Mapping[str, tuple[str, str]]) -> Reveal | None:
    """Return the value that is asked for; what the commitment to its line hides has to be opened."""
    data = wish.get("reveal")
    if data != offer.get("reveal"):
        raise ValueError(data)
    if data is None:
        return None
    line = json.loads(_text("line_c", data, opened))
    if data.get("pseudonym", line["token"]) != line["token"]:
        raise ValueError(data)
    return Reveal(
        grant=GrantId(str(data["grant"])),
        policy=str(offer["policy"]),
        asked_at=Instant(0),
        token=str(line["token"]),
        cls=str(data["class"]),
        source=str(line["source"]),
        labels=tuple((str(name), str(value)) for name, value in line["labels"]),
        event_ns=int(line["event_ns"]),
        line_sha256=str(line["line_sha256"]),
        span=int(line["span"]),
    )


def _text(name: str, holder: Mapping[str, Any], opened: Mapping[str, tuple[str, str]]) -> str:
    if name not in holder:
        return ""
    if name not in opened:
        return _NOT_OPENED
    salt, clear = opened[name]
    if commitment(bytes.fromhex(salt), clear.encode()) != holder[name]:
        raise TermsForged(
            f"The {name.removesuffix('_c')} that the server shows is not the one that was asked with.",
            next_step="Decide nothing. Tell the operators.",
        )
    return clear


def _rules(opened: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return the line rules by their commitments."""
    return {
        commitment(bytes.fromhex(salt), clear.encode()): clear
        for name, (salt, clear) in opened.items()
        if name.startswith("rule:")
    }


def _scope(data: Mapping[str, Any], rules: Mapping[str, str]) -> Scope:
    level, contains = None, []
    for sealed in data["rules_c"]:
        if sealed not in rules:
            raise TermsForged(
                "A line rule of the terms is not among those that the server shows.",
                next_step="Decide nothing. Tell the operators.",
            )
        name, _, value = rules[sealed].partition("=")
        if name == "level_from":
            level = Level(value)
        elif name == "contains":
            contains.append(value)
        else:
            raise ValueError(name)
    profiles = data["profiles"]
    return Scope(
        source=str(data["source"]),
        selector=_selector(data["selector"]),
        window=EventWindow(int(data["from_ns"]), None if data["live"] else int(data["to_ns"])),
        level_from=level,
        contains=tuple(contains),
        profile=str(profiles[0]["name"]) if profiles else None,
    )


def _selector(tests: Sequence[Mapping[str, str]]) -> Selector:
    values: dict[str, dict[str, set[str]]] = {}
    for test in tests:
        values.setdefault(test["label"], {}).setdefault(test["op"], set()).add(test.get("value", ""))
    matchers = {}
    for label, by_op in values.items():
        if unknown := set(by_op) - {"any", "eq", "not_eq", "prefix", "not_prefix"}:
            raise ValueError(unknown)
        matcher = matcher_of(
            exact=by_op.get("eq", set()),
            prefixes=by_op.get("prefix", set()),
            any_value="any" in by_op,
            except_exact=by_op.get("not_eq", set()),
            except_prefixes=by_op.get("not_prefix", set()),
        )
        if matcher is None:
            raise ValueError(label)
        matchers[label] = matcher
    return selector_of(matchers)


def plan_words(stages: Sequence[Mapping[str, Any]]) -> str:
    """Say which approvals a plan demands, stage after stage."""
    return ", then ".join(_stage_words(stage) for stage in stages) or "no approval"


def _stage_words(stage: Mapping[str, Any]) -> str:
    if "from" in stage:
        names = " or ".join(str(name).partition(":")[2] or str(name) for name in stage["from"])
        need = int(stage["need"])
        return f"{need} approval{'s' * (need != 1)} of {names}"
    for joint, word in (("all_of", " and "), ("any_of", " or ")):
        if joint in stage:
            return word.join(_stage_words(block) for block in stage[joint])
    raise ValueError(stage)


def digest_words(digest: str) -> str:
    """Return a digest in groups of eight, as people compare it."""
    return " ".join(digest[at : at + 8] for at in range(0, len(digest), 8))
