"""Whether one set of rules masks at least what another does, and what makes the difference.

What cannot be shown is not claimed: a changed pattern is neither stricter nor weaker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from loglease.redaction.profile import Profile, Treatment
from loglease.redaction.rules import BlockRule, DetectorRule, KeyRule, Pack, PatternRule, Rule

Effect = Literal["stricter", "weaker", "incomparable", "same"]
Verdict = Literal["equal", "stricter", "weaker", "incomparable"]
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: what it is about, what it does to what is masked, and what was changed."""

    where: str
    effect: Effect
    detail: str


def weaknesses(new: Profile, old: Profile, packs: Sequence[Pack]) -> list[str]:
    """Return what keeps one profile from being provably not weaker than another; nothing if it is proved.

    Not weaker is: the same or more rules by id and digest, and no weaker treatment, mode or control.

    Args:
        new: the one to be proved.
        old: the one that it is measured by.
        packs: all that either names; an old pack that is not there proves nothing.
    """
    mine, theirs = _rules_in(new, packs), _rules_in(old, packs)
    if mine is None or theirs is None:
        return ["a pack is not there"]
    found = []
    for identity, (rule, treatment) in sorted(theirs.items()):
        if treatment.kind == "keep":
            continue
        present = mine.get(identity)
        if present is None:
            found.append(f"{identity} is not among its rules")
        elif present[0].digest != rule.digest:
            found.append(f"{identity} is another rule")
        elif not is_as_strict(present[1], treatment):
            found.append(f"{identity} is treated with {_words(present[1])}, not {_words(treatment)}")
    return found + [change.detail for change in _modes(old, new) if change.effect != "stricter"]


def is_as_strict(one: Treatment, other: Treatment) -> bool:
    """Say whether a treatment shows at most what another one does."""
    return one.strength > other.strength or one == other


def _rules_in(profile: Profile, packs: Sequence[Pack]) -> dict[str, tuple[Rule, Treatment]] | None:
    by_pin = {pack.pin: pack for pack in packs}
    if any(pin not in by_pin for pin in profile.packs):
        return None
    return {
        rule.id: (rule, profile.treatment_of(rule.cls))
        for pin in profile.packs
        for rule in by_pin[pin].rules
        if rule.id not in profile.disabled
    }


def _words(treatment: Treatment) -> str:
    return f"partial {treatment.part}" if treatment.part else treatment.kind


def _modes(old: Profile, new: Profile) -> Iterator[Change]:
    effect: Effect
    if new.mode != old.mode:
        effect = "stricter" if (old.mode, new.mode, new.fields) == ("scan", "allow", ()) else "incomparable"
        yield Change(new.name, effect, f"its mode is {new.mode}, not {old.mode}")
    elif set(new.allow) != set(old.allow):
        less, more = set(new.allow) < set(old.allow), set(new.allow) > set(old.allow)
        effect = "stricter" if less else "weaker" if more else "incomparable"
        yield Change(new.name, effect, f"it lets {'fewer' if less else 'more' if more else 'other'} fields pass")
    if new.mode == old.mode and set(new.fields) != set(old.fields):
        yield Change(new.name, "incomparable", "it treats other fields, or treats them otherwise")
    if new.keep_colour != old.keep_colour:
        effect = "weaker" if new.keep_colour else "stricter"
        yield Change(new.name, effect, f"it {'keeps' if new.keep_colour else 'neutralises'} colours")


def verdict_of(changes: Iterable[Change]) -> Verdict:
    """Return what changes come to as a whole."""
    effects = {change.effect for change in changes} - {"same"}
    if not effects:
        return "equal"
    if effects == {"stricter"}:
        return "stricter"
    return "weaker" if effects == {"weaker"} else "incomparable"


def pack_changes(old: Sequence[Pack], new: Sequence[Pack]) -> list[Change]:
    """Return what differs between packs of the same names, each in its newest version."""
    before, after = (
        _newest({(one.name, one.version): one for one in old}),
        _newest({(one.name, one.version): one for one in new}),
    )
    found = [Change(name, "weaker", "the pack is gone") for name in sorted(set(before) - set(after))]
    found += [Change(name, "stricter", "the pack is new") for name in sorted(set(after) - set(before))]
    for name in sorted(set(before) & set(after)):
        known, present = ({rule.id: rule for rule in one.rules} for one in (before[name], after[name]))
        found += [Change(one, "weaker", "the rule is gone") for one in sorted(set(known) - set(present))]
        found += [Change(one, "stricter", "the rule is new") for one in sorted(set(present) - set(known))]
        for identity in sorted(set(known) & set(present)):
            found += rule_changes(known[identity], present[identity])
        if before[name].version == after[name].version and known != present:
            found.append(
                Change(name, "same", f"the version is still {after[name].version}; a server takes only a new one")
            )
    return found


def profile_changes(
    old: Sequence[Profile], new: Sequence[Profile], packs: tuple[Sequence[Pack], Sequence[Pack]]
) -> list[Change]:
    """Return what differs between profiles of the same names, each in its newest version, rule by rule.

    Args:
        old: profiles as they were.
        new: profiles as they are.
        packs: all packs then and now.
    """
    before = _newest({(one.name, one.version): one for one in old})
    after = _newest({(one.name, one.version): one for one in new})
    found = [Change(name, "same", "the profile is gone") for name in sorted(set(before) - set(after))]
    found += [Change(name, "same", "the profile is new") for name in sorted(set(after) - set(before))]
    for name in sorted(set(before) & set(after)):
        known, present = _rules_in(before[name], packs[0]), _rules_in(after[name], packs[1])
        if known is None or present is None:
            found.append(Change(name, "incomparable", "it names a pack that is not there"))
            continue
        found += [Change(name, "weaker", f"{one} is not used") for one in sorted(set(known) - set(present))]
        found += [Change(name, "stricter", f"{one} is used") for one in sorted(set(present) - set(known))]
        for identity in sorted(set(known) & set(present)):
            then, now = known[identity][1], present[identity][1]
            if then != now:
                effect: Effect = "incomparable"
                if then.strength != now.strength:
                    effect = "stricter" if now.strength > then.strength else "weaker"
                found.append(Change(name, effect, f"{identity} is treated with {_words(now)}, not {_words(then)}"))
        found += _modes(before[name], after[name])
    return found


def _newest(found: Mapping[tuple[str, int], _Value]) -> dict[str, _Value]:
    return {name: found[name, version] for name, version in sorted(found)}


def rule_changes(old: Rule, new: Rule) -> list[Change]:
    """Return what differs between two versions of a rule, and what each difference does."""
    if old.digest == new.digest:
        return []
    changes = list(_common_changes(old, new))
    if type(old) is not type(new):
        changes.append(Change(new.id, "incomparable", "it is a rule of another kind"))
    elif isinstance(old, PatternRule) and isinstance(new, PatternRule):
        changes += _pattern_changes(old, new)
    elif isinstance(old, KeyRule) and isinstance(new, KeyRule):
        changes += _key_changes(old, new)
    elif isinstance(old, BlockRule) and isinstance(new, BlockRule):
        fields = ("begin", "end", "payload")
        changes += [
            Change(new.id, "incomparable", f"`{one}` is another one")
            for one in fields
            if getattr(old, one) != getattr(new, one)
        ]
    elif isinstance(old, DetectorRule):
        changes.append(Change(new.id, "incomparable", "its detector, or the plug-in, is another one"))
    if any(change.effect != "same" for change in changes):
        return changes
    if {one for one in (*old.checks, *new.checks) if "." in one.partition("(")[0]}:
        return [*changes, Change(new.id, "incomparable", "its plug-in may be another version")]
    return [*changes, Change(new.id, "same", "only examples, label or severity differ")]


def _common_changes(old: Rule, new: Rule) -> Iterator[Change]:
    if old.cls != new.cls:
        yield Change(new.id, "incomparable", f"its class is {new.cls}, not {old.cls}; profiles treat it by class")
    yield from _less_is_stricter(new.id, "validator", set(old.checks), set(new.checks))
    if old.tripwire != new.tripwire and (type(old) is not PatternRule or old.pattern == getattr(new, "pattern", "")):
        yield Change(new.id, "same", "its tripwire is another one; both are tested")


def _less_is_stricter(where: str, what: str, old: set[str], new: set[str]) -> Iterator[Change]:
    yield from (Change(where, "weaker", f"{what} {one} is new and turns candidates down") for one in sorted(new - old))
    yield from (Change(where, "stricter", f"{what} {one} is gone") for one in sorted(old - new))


def _pattern_changes(old: PatternRule, new: PatternRule) -> Iterator[Change]:
    if old.pattern != new.pattern:
        yield Change(new.id, "incomparable", "its pattern is another one")
    elif old.mask != new.mask:
        effect: Effect = "stricter" if new.mask is None else "weaker" if old.mask is None else "incomparable"
        yield Change(new.id, effect, f"it masks {new.mask or 'the whole match'}, not {old.mask or 'the whole match'}")
    if old.extend != new.extend:
        effect = "stricter" if old.extend is None else "weaker" if new.extend is None else "incomparable"
        yield Change(new.id, effect, f"`extend` is {new.extend}, not {old.extend}")
    if old.all_lengths != new.all_lengths:
        yield Change(new.id, "incomparable", "`lengths` is another one")
    for name in ("near", "not_near"):
        then, now = getattr(old, name), getattr(new, name)
        if then != now:
            effect = "stricter" if now is None else "weaker" if then is None else "incomparable"
            what = "gone" if now is None else "new" if then is None else "another one"
            yield Change(new.id, effect, f"`{name}` is {what}")


def _key_changes(old: KeyRule, new: KeyRule) -> Iterator[Change]:
    yield from (Change(new.id, "weaker", f"key {one} is gone") for one in sorted(set(old.keys) - set(new.keys)))
    yield from (Change(new.id, "stricter", f"key {one} is new") for one in sorted(set(new.keys) - set(old.keys)))
    if old.value != new.value:
        effect: Effect = "stricter" if new.value == "any" else "weaker" if old.value == "any" else "incomparable"
        yield Change(new.id, effect, f"its values are {new.value}, not {old.value}")
    shown = ({one.decode("utf-8", "replace") for one in rule.excepted} for rule in (old, new))
    yield from _less_is_stricter(new.id, "exception", *shown)
