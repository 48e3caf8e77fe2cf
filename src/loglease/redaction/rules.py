"""Rules as values, and packs read from bytes. Nothing in a pack runs code.

Not here: finding anything (`confirm`, `structured`, `blocks`) or reading files (`builtin`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from loglease.redaction.documents import DocumentInvalid, mapping_of, strings_of
from loglease.redaction.errors import RulesInvalid
from loglease.redaction.patterns import MAX_MATCH, PatternInvalid, begins_with, checked, shape_of, tripwire_of
from loglease.redaction.validators import VALIDATORS, Check, check_of

FORMAT: Final = "loglease-rules/1"
SEVERITIES: Final = ("low", "medium", "high", "critical")
EXCEPT: Final = (
    "", "null", "none", "nil", "true", "false", "undefined", "<nil>", "<none>", "<null>", "***", "****", "*****",
    "******", "********", "[redacted]", "<redacted>", "redacted", "[filtered]", "xxx", "xxxx", "{}", "[]", "-", "%s",
    "(null)", "(nil)", "(none)", "(empty)", "...",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Words that have to stand, or must not, within so many bytes before a match."""

    words: tuple[bytes, ...]
    within: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What all rules have.

    `digest` covers everything the pack says about the rule. `reach` is how far before the end of a tripwire's match the
    rule's own match can begin, in bytes.
    """

    id: str
    cls: str
    label: str
    severity: int
    validate: tuple[Check, ...]
    examples: tuple[str, ...]
    non_examples: tuple[str, ...]
    digest: str
    tripwire: str
    reach: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternRule(Rule):
    """A value known by its form."""

    pattern: str
    mask: str | None
    extend: str | None
    all_lengths: bool
    near: Near | None
    not_near: Near | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRule(Rule):
    """A value known by the name before it."""

    keys: tuple[str, ...]
    value: Literal["any", "word", "number"]
    excepted: frozenset[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRule(Rule):
    """A value over several lines, between two marks."""

    begin: str
    end: str
    marks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One file of rules, versioned as a whole."""

    name: str
    version: int
    rules: tuple[Rule, ...]
    trusted: bool

    @property
    def pin(self) -> str:
        """Return name and version, as profiles name a pack."""
        return f"{self.name}@{self.version}"


def parse_pack(data: bytes, *, trusted: bool = False) -> Pack:
    """Read one pack.

    Args:
        data: YAML, at most 1 MiB.
        trusted: ours, shipped with the program; the patterns of all others run in RE2 only.

    Raises:
        RulesInvalid: names the rule and the reason; one bad rule refuses the pack.
    """
    try:
        fields = mapping_of(
            data, {"pack", "version", "format", "rules", "description"}, {"pack", "version", "format", "rules"}
        )
    except DocumentInvalid as fault:
        raise RulesInvalid("rule pack", str(fault)) from None
    name, version, found = fields["pack"], fields["version"], fields["rules"]
    if fields["format"] != FORMAT:
        raise RulesInvalid("rule pack", f"the format is not {FORMAT}")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
        raise RulesInvalid("rule pack", "its name is not a short word of lower-case letters, digits and '-'")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise RulesInvalid(name, "its version is not a whole number from 1")
    if not isinstance(found, list):
        raise RulesInvalid(name, "`rules` is not a list")
    rules = tuple(_rule(one, name) for one in found)
    repeated = {rule.id for rule in rules if sum(other.id == rule.id for other in rules) > 1}
    if repeated:
        raise RulesInvalid(name, f"rule ids stand twice: {', '.join(sorted(repeated))}")
    return Pack(name=name, version=version, rules=rules, trusted=trusted)


_COMMON: Final = {
    "id",
    "class",
    "label",
    "severity",
    "validate",
    "examples",
    "non_examples",
    "kind",
    "tripwire",
    "reach",
}
_BY_KIND: Final[Mapping[str, frozenset[str]]] = {
    "pattern": frozenset({"pattern", "mask", "extend", "lengths", "near", "not_near"}),
    "key": frozenset({"keys", "value", "except"}),
    "block": frozenset({"begin", "end", "payload", "marks"}),
}


def _rule(fields: Any, pack: str) -> Rule:
    if not isinstance(fields, dict):
        raise RulesInvalid(pack, "a rule is not a mapping")
    identity = fields.get("id")
    if not isinstance(identity, str) or not re.fullmatch(re.escape(pack) + r"\.[a-z0-9][a-z0-9-]{0,59}", identity):
        raise RulesInvalid(pack, f"a rule's id does not have the form {pack}.some-name")
    kind = fields.get("kind", "pattern")
    if kind not in _BY_KIND:
        raise RulesInvalid(identity, "its kind is not one of pattern, key, block")
    unknown = set(fields) - _COMMON - _BY_KIND[kind]
    if unknown:
        raise RulesInvalid(identity, f"it has unknown fields: {', '.join(sorted(map(str, unknown)))}")
    try:
        common = _common(fields)
        if kind == "key":
            return _key_rule(fields, common)
        if kind == "block":
            return _block_rule(fields, common)
        return _pattern_rule(fields, common)
    except (DocumentInvalid, PatternInvalid) as fault:
        raise RulesInvalid(identity, str(fault)) from None


def _common(fields: Mapping[str, Any]) -> dict[str, Any]:
    cls, label, severity = fields.get("class"), fields.get("label"), fields.get("severity", "high")
    if not isinstance(cls, str) or not re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", cls):
        raise DocumentInvalid("its class is not dotted lower-case words")
    if not isinstance(label, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", label):
        raise DocumentInvalid("its label is not a short word of lower-case letters, digits and '-'")
    if severity not in SEVERITIES:
        raise DocumentInvalid(f"its severity is not one of {', '.join(SEVERITIES)}")
    examples = strings_of(fields, "examples")
    if not examples:
        raise DocumentInvalid("it has no examples")
    for example in examples:
        if example.count("«") != example.count("»") or "«" not in example:
            raise DocumentInvalid("an example does not mark with «…» what is masked")
    return {
        "id": fields["id"],
        "cls": cls,
        "label": label,
        "severity": SEVERITIES.index(severity),
        "validate": tuple(_checks(fields.get("validate", []))),
        "examples": examples,
        "non_examples": strings_of(fields, "non_examples"),
        "digest": hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest(),
    }


def _checks(found: Any) -> Sequence[Check]:
    if not isinstance(found, list):
        raise DocumentInvalid("`validate` is not a list")
    checks = []
    for one in found:
        name, options = (next(iter(one.items()))) if isinstance(one, dict) and len(one) == 1 else (one, {})
        if not isinstance(name, str) or name not in VALIDATORS or not isinstance(options, dict):
            raise DocumentInvalid("it names a validator that does not exist")
        try:
            checks.append(check_of(name, options))
        except (TypeError, ValueError):
            raise DocumentInvalid(f"the options of its validator {name} are wrong") from None
    return checks


def _tripwire(fields: Mapping[str, Any], derived: str, longest: int) -> dict[str, Any]:
    given = fields.get("tripwire", "auto")
    if not isinstance(given, str):
        raise DocumentInvalid("its tripwire is not a pattern")
    tripwire = derived if given == "auto" else given
    shape = shape_of(tripwire)
    reach = shape.longest if given == "auto" else longest
    if shape.shortest < 1:
        raise DocumentInvalid("its tripwire can match the empty text")
    found = fields.get("reach", reach)
    if found == "tripwire":
        found = shape.longest
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= MAX_MATCH:
        raise DocumentInvalid("`reach` is neither a number of bytes nor the word tripwire")
    return {"tripwire": tripwire, "reach": found}


def _near(fields: Mapping[str, Any], name: str) -> Near | None:
    found = fields.get(name)
    if found is None:
        return None
    if not isinstance(found, dict) or set(found) != {"words", "within"} or not isinstance(found["within"], int):
        raise DocumentInvalid(f"`{name}` does not have exactly `words` and `within`")
    words = tuple(word.lower().encode() for word in strings_of(found, "words"))
    if not words or not 1 <= found["within"] <= 1024:  # noqa: PLR2004 - a context is near
        raise DocumentInvalid(f"`{name}` has no words, or reaches further than 1,024 bytes")
    return Near(words=words, within=found["within"])


def _pattern_rule(fields: Mapping[str, Any], common: dict[str, Any]) -> PatternRule:
    pattern = fields.get("pattern")
    if not isinstance(pattern, str):
        raise DocumentInvalid("it has no pattern")
    shape = checked(pattern)
    mask, extend = fields.get("mask"), fields.get("extend")
    if mask is not None and mask not in shape.groups:
        raise DocumentInvalid("`mask` names no group of the pattern")
    if extend is not None and (not isinstance(extend, str) or not re.fullmatch(r"\[.+\]", extend)):
        raise DocumentInvalid("`extend` is not a class of bytes")
    if extend is not None and checked(extend).longest != 1:
        raise DocumentInvalid("`extend` is not a class of bytes")
    lengths = fields.get("lengths", "first")
    if lengths not in {"first", "all"}:
        raise DocumentInvalid("`lengths` is neither first nor all")
    return PatternRule(
        **common,
        **_tripwire(fields, tripwire_of(pattern), shape.longest),
        pattern=pattern,
        mask=mask,
        extend=extend,
        all_lengths=lengths == "all",
        near=_near(fields, "near"),
        not_near=_near(fields, "not_near"),
    )


def key_pattern(keys: Sequence[str]) -> str:
    """Return the pattern of all spellings of some keys: without case, with any or no separator between words."""
    spelled = []
    for key in sorted(keys, key=lambda one: (-len(one), one)):
        words = [re.escape(word) for word in re.split(r"[-_ .]", key)]
        spelled.append("[-_ .]?".join(words))
    return "(?:" + "|".join(spelled) + ")"


def _key_rule(fields: Mapping[str, Any], common: dict[str, Any]) -> KeyRule:
    keys = strings_of(fields, "keys")
    if not keys or not all(re.fullmatch(r"[A-Za-z0-9]+([-_ .][A-Za-z0-9]+)*", key) for key in keys):
        raise DocumentInvalid("`keys` is not a list of words joined by '-', '_' or a space")
    value = fields.get("value", "any")
    if value not in {"any", "word", "number"}:
        raise DocumentInvalid("`value` is not one of any, word, number")
    excepted = strings_of(fields, "except") if "except" in fields else EXCEPT
    derived = "(?i)" + key_pattern(keys) + r"""(?:[\\"'`\]]{0,9}[ \t]{0,8}[=:>]|[ \t])"""
    return KeyRule(
        **common,
        **_tripwire(fields, derived, MAX_MATCH),
        keys=tuple(keys),
        value=value,
        excepted=frozenset(word.lower().encode() for word in excepted),
    )


def _block_rule(fields: Mapping[str, Any], common: dict[str, Any]) -> BlockRule:
    begin, end, marks = fields.get("begin"), fields.get("end"), strings_of(fields, "marks")
    if not isinstance(begin, str) or not isinstance(end, str) or not marks:
        raise DocumentInvalid("it lacks `begin`, `end` or `marks`")
    checked(begin)
    checked(end)
    # SECURITY: who reads only lines with some text asks for those with a mark, too; tested in tests/redaction.
    if not any(begins_with(begin, mark) for mark in marks):
        raise DocumentInvalid("`begin` does not begin with one of its `marks`")
    return BlockRule(
        **common,
        **_tripwire(fields, tripwire_of(begin), MAX_MATCH),
        begin=begin,
        end=end,
        marks=tuple(mark.encode() for mark in marks),
    )
