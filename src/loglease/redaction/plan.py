"""A plan: profiles and packs resolved into rules with treatments, compiled for one engine and proved by a self-test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from loglease.redaction.blocks import BlockMatcher
from loglease.redaction.confirm import Find, KeyLineMatcher, Matcher, PatternMatcher, matcher_of
from loglease.redaction.controls import CONTROL_MARK
from loglease.redaction.decisions import NUMBER_SHAPED, Paths, is_below, paths_of
from loglease.redaction.engine import Engine, Scanner
from loglease.redaction.errors import Withheld
from loglease.redaction.marks import ANY_RUN, MARKS, RUN_MARKS
from loglease.redaction.profile import MASK, Profile, Treatment, strictest
from loglease.redaction.rules import SEVERITIES, BlockRule, Pack, Rule, named_alone

MARKER_BYTES: Final = 16
OPAQUE: Final = "opaque.run"  # a class whose rules ask for every run to be decoded
KEY_LINE_TRIPWIRE: Final = r"[A-Za-z0-9+/]{38}={0,2}(?:(?:[\x22'][,;]?)?\r?\n|(?:\\r)?\\n[\x22'])"
_LIMIT: Final = named_alone("limit.line", cls="limit", label="line", severity=3)
LIMIT_LINE: Final[Rule] = _LIMIT
LIMIT_LONG: Final[Rule] = replace(_LIMIT, id="limit.long-line", label="long-line")
LIMIT_BINARY: Final[Rule] = replace(_LIMIT, id="limit.binary", label="binary")
LIMIT_ENCODED: Final[Rule] = replace(_LIMIT, id="limit.encoded-line", label="encoded-line")


@dataclass(frozen=True, slots=True)
class Active:
    """A rule in force with its treatment and its matcher; block rules have none."""

    rule: Rule
    treatment: Treatment
    matcher: Matcher | None


Step = tuple[Callable[[bytes, int, int], Sequence[Find]], int, int]
"""How a tripwire is followed up: what finds (`Matcher.finds`), and the rule's reach and shortest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that redaction needs but the key. Immutable, shared by threads and by grants.

    Attributes:
        steps: by a tripwire's number; None where it asks for no finds in its own line.
        paths: what the profiles say of fields; None if they say nothing.
        left: rules of which nothing is masked.
    """

    digest: str
    profile: str
    engine: str
    scanner: Scanner
    canary: bytes
    canary_number: int
    active: tuple[Active, ...]
    treatments: Mapping[str, Treatment]
    marks: range
    run_marks: range
    control_number: int
    steps: tuple[Step | None, ...]
    blocks: tuple[tuple[BlockMatcher, int], ...]
    block_numbers: frozenset[int]
    keep_colour: bool
    every_run: bool
    paths: Paths | None
    left: frozenset[str] = frozenset()

    def for_values(self, *, kept: bool = False) -> Plan:
        """Return the plan for a text that is no line.

        Args:
            kept: numbers in it are not taken for what they look like.
        """
        shaped = [one.rule.id for one in self.active if is_below(one.rule.cls, NUMBER_SHAPED)] if kept else ()
        return replace(self, paths=None, left=frozenset(shaped))

    @property
    def payload_labels(self) -> frozenset[bytes]:
        """Return the labels that a line of a block may get: of rules that find it, too, the most severe names it."""
        least = min((matcher.rule.severity for matcher, _ in self.blocks), default=len(SEVERITIES))
        return frozenset(one.rule.label.encode() for one in self.active if one.rule.severity >= least)

    @property
    def block_marks(self) -> tuple[bytes, ...]:
        """Return the literals of which a line that begins a block holds at least one."""
        return tuple(sorted({mark for matcher, _ in self.blocks for mark in matcher.rule.marks}))


def resolved(profiles: Sequence[Profile], packs: Sequence[Pack], *, matchers: bool = True) -> list[Active]:
    """Return the rules of all profiles, each with the strictest treatment that a profile with the rule gives it.

    Args:
        profiles: at least one.
        packs: every pack that they name.
        matchers: whether anything is to be found; for a digest nothing is.

    Raises:
        Withheld: ``profile_invalid``, if there is no profile, or one names a pack that is not there.
    """
    if not profiles:
        raise Withheld("profile_invalid")
    by_pin = {pack.pin: pack for pack in packs}
    treatments: dict[str, list[Treatment]] = {}
    found: dict[str, tuple[Rule, bool]] = {}
    for profile in profiles:
        if any(pin not in by_pin for pin in profile.packs):
            raise Withheld("profile_invalid", rule=profile.pin)
        for pin in profile.packs:
            pack = by_pin[pin]
            for rule in _with_key_lines(pack.rules):
                if rule.id in profile.disabled:
                    continue
                if rule.id in found and found[rule.id][0].digest != rule.digest:
                    raise Withheld("profile_invalid", rule=rule.id)
                found[rule.id] = (rule, pack.trusted)
                treatments.setdefault(rule.id, []).append(profile.treatment_of(rule.cls))
    active = [
        Active(rule, strictest(treatments[rule.id]), matcher_of(rule, trusted=trusted) if matchers else None)
        for rule, trusted in found.values()
    ]
    return [one for one in active if one.treatment.kind != "keep"]


def _with_key_lines(rules: Sequence[Rule]) -> list[Rule]:
    """Add to the first block rule the rule for lines of a key whose beginning was not read."""
    found = list(rules)
    for rule in rules:
        if isinstance(rule, BlockRule):
            name = f"{rule.id.partition('.')[0]}.key-line"
            found.append(
                replace(rule, id=name, label="key-line", severity=0, tripwire=KEY_LINE_TRIPWIRE, examples=(), marks=())
            )
            break
    return found


def digest_of(profiles: Sequence[Profile], active: Sequence[Active]) -> str:
    """Return the SHA-256 over the profiles and every rule in force with its treatment, in hexadecimal."""
    rules = sorted((one.rule.id, one.rule.digest, one.treatment.kind, one.treatment.part or "") for one in active)
    document = {"profiles": sorted(profile.pin + ":" + profile.digest for profile in profiles), "rules": rules}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def compiled(profiles: Sequence[Profile], packs: Sequence[Pack], *, engine: Engine, marker: bytes) -> Plan:
    """Compile a plan, not yet proved (`selftest`).

    Raises:
        Withheld: ``profile_invalid``; ``canary_lost``, where the marker is too short.
        EngineUnavailable: the engine does not work here.
    """
    if len(marker) < MARKER_BYTES:
        raise Withheld("canary_lost")
    active = resolved(profiles, packs)
    canary = b"loglease-canary-" + marker.hex().encode()
    tripwires = [one.rule.scanned for one in active]
    marks = range(len(tripwires), len(tripwires) + (len(MARKS) if active else 0))
    every_run = any(one.rule.cls == OPAQUE for one in active)
    if active:
        tripwires += [*MARKS, *RUN_MARKS, *([ANY_RUN] if every_run else [])]
    run_marks = range(marks.stop, len(tripwires))
    tripwires.append(CONTROL_MARK)
    canary_rule = replace(_LIMIT, id="canary", label="canary", pattern=canary.decode())
    treatments = {one.rule.id: one.treatment for one in active}
    blocks = [(number, one) for number, one in enumerate(active) if _begins_block(one.rule)]
    paths = paths_of(profiles)
    if paths is not None:
        treatments |= paths.treatments
    return Plan(
        digest=digest_of(profiles, active),
        profile=" ".join(sorted(profile.pin for profile in profiles)),
        engine=engine.name,
        scanner=scanner_of(engine, tuple(tripwires), canary),
        canary=canary,
        canary_number=len(tripwires),
        active=tuple(active),
        treatments=MappingProxyType({**treatments, canary_rule.id: MASK}),
        marks=marks,
        run_marks=run_marks,
        control_number=run_marks.stop,
        steps=(
            *(_step_of(one) for one in active),
            *(None for _ in range(len(active), len(tripwires))),
            (PatternMatcher(canary_rule, trusted=True).finds, len(canary), len(canary)),
        ),
        blocks=tuple((BlockMatcher(one.rule), number) for number, one in blocks if isinstance(one.rule, BlockRule)),
        block_numbers=frozenset(number for number, _ in blocks),
        keep_colour=all(profile.keep_colour for profile in profiles),
        every_run=every_run,
        paths=paths,
    )


def _is_key_line(rule: Rule) -> bool:
    return isinstance(rule, BlockRule) and rule.id.endswith(".key-line")


@lru_cache(maxsize=16)
def scanner_of(engine: Engine, tripwires: tuple[str, ...], canary: bytes) -> Scanner:
    """Compile tripwires; profiles that differ in their treatments alone share them.

    Raises:
        EngineUnavailable: the engine does not work here.
    """
    return engine.compile(tripwires, canary)


def _begins_block(rule: Rule) -> bool:
    return isinstance(rule, BlockRule) and not _is_key_line(rule)


def _step_of(one: Active) -> Step | None:
    matcher = KeyLineMatcher(one.rule) if _is_key_line(one.rule) else one.matcher
    return None if matcher is None else (matcher.finds, one.rule.reach, one.rule.shortest)
