"""What a pack has to prove before it is used: engines take it, its examples hold, it matches no token of ours.

`claims_broken` also draws texts from each pattern and looks whether its tripwire fires. Not here: what a pack may say
(`rule_documents`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from loglease.redaction.blocks import BlockMatcher
from loglease.redaction.confirm import Matcher, matcher_of
from loglease.redaction.engine import ENGINES, Engine
from loglease.redaction.errors import EngineUnavailable
from loglease.redaction.plan import Plan, compiled
from loglease.redaction.profile import Profile, parse_profile
from loglease.redaction.rules import BlockRule, DetectorRule, KeyRule, Pack, PatternRule, Rule
from loglease.redaction.samples import samples
from loglease.redaction.scanning import lines_hit
from loglease.redaction.selftest import Miss, misses
from loglease.redaction.tokens import CLOSE, OPEN

_MARKER: Final = b"proof-of-a-rule-pack"
_CANARY: Final = b"loglease-canary-of-a-proof"
_DRAWN: Final = 24
_LABEL_BODIES: Final = ("", ":q3f7k2p5xa", ":abcdefghij", ":2345672345", ":a2b3c4d5e6", ":zzzzzzzzzz", ":7x7x7x7x7x")
_FRAMES: Final = ((b"", b""), (b" ", b" "), (b'x="', b'";'))
_KEY_FORMS: Final = (
    "{}=Zq3xT9bZ0a", '{{"{}": "Zq3xT9bZ0a"}}', "{}: 40404", "--{} Zq3xT9bZ0a", "<{}>Zq3xT9bZ0a</x>", "'{}': 40404,",
    '{{"name":"{}","value":"Zq3xT9bZ0a"}}', "{{value: 40404, name: {}}}", "<x key='{}' value=Zq3xT9bZ0a />",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Something that a rule does not keep.

    Attributes:
        path: which field of the rule, such as ``("examples", 0)``.
        detail: what is wrong; a sentence about the rule.
        offset: where in the pattern or example, in characters.
        engine: where it was seen; None: everywhere.
    """

    rule: Rule
    path: tuple[str | int, ...]
    detail: str
    remedy: str | None = None
    offset: int = 0
    engine: str | None = None


def engines_at_hand() -> list[Engine]:
    """Return the engines that work on this machine."""
    found = []
    for engine in ENGINES.values():
        try:
            engine.compile(["x"], _CANARY)
        except EngineUnavailable:
            continue
        found.append(engine)
    return found


def everything_masked(packs: Sequence[Pack]) -> Profile:
    """Return a profile that masks what the packs find."""
    pins = ", ".join(pack.pin for pack in packs)
    return parse_profile(f"profile: proof\nversion: 1\npacks: [{pins}]\n".encode())


def proof_of(pack: Pack, engines: Sequence[Engine], labels: Sequence[str]) -> Iterator[Broken]:
    """Yield what keeps a pack from being used.

    Args:
        pack: read by `rule_documents`.
        engines: those to prove it on.
        labels: of every rule that may stand beside it; a pattern that matches one of their tokens is refused.

    Raises:
        Withheld: an engine failed.
    """
    uncompiled = list(_uncompiled(pack, engines))
    yield from uncompiled
    if uncompiled:
        return
    for rule in pack.rules:
        if isinstance(rule, PatternRule):
            yield from _token_matches(rule, labels)
    for engine in engines:
        for miss in misses(_plan(pack, engine)):
            yield _missed(miss, engine)


def _plan(pack: Pack, engine: Engine) -> Plan:
    return compiled([everything_masked([pack])], [pack], engine=engine, marker=_MARKER)


def _uncompiled(pack: Pack, engines: Sequence[Engine]) -> Iterator[Broken]:
    for rule in pack.rules:
        for name, pattern in _patterns(rule):
            try:
                re.compile(pattern.encode(), re.DOTALL)
                matcher_of(rule, trusted=pack.trusted)
            except Exception as error:  # noqa: BLE001 - two libraries' errors, without a common root
                reason = _reason(error)
                remedy = "repeat at most 1,000 times; `extend` takes a longer tail" if "repetition" in reason else None
                yield Broken(rule=rule, path=(name,), detail=f"`{name}` does not compile: {reason}", remedy=remedy)
                break
        for engine in engines:
            try:
                engine.compile([rule.scanned], _CANARY)
            except EngineUnavailable as error:
                yield Broken(
                    rule=rule, path=("tripwire",), detail=f"its tripwire does not compile: {error}", engine=engine.name,
                    remedy="give a shorter `tripwire` by hand",
                )  # fmt: skip


def _reason(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return text.splitlines()[0][:120] if text else type(error).__name__


def _patterns(rule: Rule) -> list[tuple[str, str]]:
    if isinstance(rule, PatternRule):
        return [("pattern", rule.pattern), *([("extend", rule.extend)] if rule.extend else [])]
    if isinstance(rule, BlockRule):
        return [("begin", rule.begin), ("end", rule.end), *([("payload", rule.payload)] if rule.payload else [])]
    return []


def _token_matches(rule: PatternRule, labels: Sequence[str]) -> Iterator[Broken]:
    pattern = re.compile(rule.pattern.encode(), re.DOTALL)
    for label in labels:
        for body in _LABEL_BODIES:
            token = OPEN + f"{label}{body}".encode() + CLOSE
            for before, behind in _FRAMES:
                found = pattern.search(before + token + behind)
                if found and found.end() > len(before) and found.start() < len(before) + len(token):
                    yield Broken(
                        rule=rule, path=("pattern",), detail=f"it can match a token: {token.decode()}",
                        remedy="let it begin with something that tokens do not have, or need a byte of another kind",
                    )  # fmt: skip
                    return


def _missed(miss: Miss, engine: Engine) -> Broken:
    """Put into words what differs; offsets are bytes of the example without its marks."""
    wanted = _ranges(miss.example.ranges)
    if not miss.wanted:
        detail = f"non-example {miss.number + 1} is masked at {_ranges(miss.found or ())}"
    elif miss.found is None:
        detail = f"example {miss.number + 1}: the tripwire does not fire; marked is {wanted}"
    elif not miss.found:
        detail = f"example {miss.number + 1}: nothing is masked; marked is {wanted}"
    else:
        detail = f"example {miss.number + 1}: {_ranges(miss.found)} is masked; marked is {wanted}"
    path = ("examples" if miss.wanted else "non_examples", miss.number)
    remedy = "loglease redact --explain shows why" if miss.found == () else None
    return Broken(rule=miss.rule, path=path, detail=detail, remedy=remedy, engine=engine.name)


def _ranges(ranges: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{start}-{end}" for start, end in ranges) or "nothing"


def claims_broken(pack: Pack, engine: Engine) -> Iterator[Broken]:
    """Yield rules with a text that they match and on which their tripwire does not let them be tried.

    The texts are drawn from the patterns, the same in each run: a sample, not a proof. An engine that reports whole
    blocks of lines, as `re2` does, hides misses.

    Raises:
        Withheld: the engine failed.
    """
    plan = _plan(pack, engine)
    cases = [
        (number, text) for number, one in enumerate(plan.active) for text in _texts_of(one.rule) if b"\n" not in text
    ]
    lines = lines_hit(b"".join(text + b"\n" for _, text in cases) + plan.canary, plan)
    loose = {number: _loosened(one.rule, trusted=pack.trusted) for number, one in enumerate(plan.active)}
    checked = {number: _without_context(one.rule, trusted=pack.trusted) for number, one in enumerate(plan.active)}
    told: set[int] = set()
    at = 0
    for number, text in cases:
        line, rule = lines.get(at), plan.active[number].rule
        where = line.rules.get(number) if line is not None else None
        window = _window(where, at, rule, len(text))
        if number not in told and not any(
            # A tripwire may leave out what validators turn down in any case.
            _is_tried(rule, matcher, text, window)
            for matcher in (loose[number], checked[number])
        ):
            told.add(number)
            yield Broken(
                rule=rule, path=("tripwire",), engine=engine.name,
                detail=f"its tripwire does not fire where it matches: {_shown(text)}",
                remedy="leave `tripwire` to auto, or raise `reach`",
            )  # fmt: skip
        at += len(text) + 1


def _window(where: tuple[int, int] | None, at: int, rule: Rule, size: int) -> tuple[int, int] | None:
    if where is None:
        return None
    low, high = rule.window(where[0] - at, min(where[1] - at, size))
    return max(low, 0), high


def _is_tried(rule: Rule, matcher: Matcher | None, text: bytes, window: tuple[int, int] | None) -> bool:
    if isinstance(rule, BlockRule):
        return window is not None or not BlockMatcher(rule).begins(text)
    if matcher is None:
        return True
    anywhere = [find[:2] for find in matcher.finds(text, 0, len(text))]
    return not anywhere or (window is not None and [find[:2] for find in matcher.finds(text, *window)] == anywhere)


def _without_context(rule: Rule, *, trusted: bool) -> Matcher | None:
    if isinstance(rule, PatternRule):
        rule = replace(rule, near=None, not_near=None)
    return matcher_of(rule, trusted=trusted)


def _loosened(rule: Rule, *, trusted: bool) -> Matcher | None:
    """Return a matcher of the rule's form alone."""
    return _without_context(replace(rule, validate=()), trusted=trusted)


def _texts_of(rule: Rule) -> Iterator[bytes]:
    if isinstance(rule, KeyRule):
        for key in rule.keys:
            for spelled in (key, key.upper(), re.sub(r"[-_ .](\w)", lambda found: found[1].upper(), key)):
                yield from (form.format(spelled).encode() for form in _KEY_FORMS)
        return
    if isinstance(rule, DetectorRule) or rule.id.endswith(".key-line"):
        return
    for name, pattern in _patterns(rule)[:1]:
        for text in samples(pattern, _DRAWN):
            if name == "begin":
                yield text
            else:
                word = rule.near.words[0] if isinstance(rule, PatternRule) and rule.near is not None else b""
                yield from (word + before + text + behind for before, behind in _FRAMES)


def _shown(text: bytes) -> str:
    cut = text[:80].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\ufffd" for char in cut) + ("…" if len(text) > 80 else "")  # noqa: PLR2004 - a glance


def labels_of(packs: Sequence[Pack]) -> list[str]:
    """Return every label that tokens may have under these packs, and those of limits."""
    return sorted({rule.label for pack in packs for rule in pack.rules} | {"key-line", "long-line", "line"})
