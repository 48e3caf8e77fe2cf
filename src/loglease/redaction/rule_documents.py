"""Packs read from bytes: what each field may say. Nothing in a pack runs code.

Not here: whether engines take the patterns and examples are found (`proof`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from loglease.redaction.documents import (
    MAX_VERSION,
    Document,
    DocumentInvalid,
    number_of,
    read_document,
    require_fields,
    strings_of,
    unreadable,
    word_of,
)
from loglease.redaction.errors import Fault, RulesInvalid, did_you_mean
from loglease.redaction.patterns import (
    LF,
    MAX_MATCH,
    PatternInvalid,
    Shape,
    begins_with,
    checked,
    require_linear,
    shape_of,
    tripwire_of,
)
from loglease.redaction.plugins import NO_EXTENSIONS, Extensions, guarded
from loglease.redaction.rules import (
    EXCEPT,
    FORMAT,
    SEVERITIES,
    BlockRule,
    DetectorRule,
    KeyRule,
    Near,
    Pack,
    PatternRule,
    Rule,
    key_pattern,
)
from loglease.redaction.validators import VALIDATORS, Check, check_of

_COMMON: Final = frozenset(
    {
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
        "canonical",
    }
)
_BY_KIND: Final[Mapping[str, frozenset[str]]] = {
    "pattern": frozenset({"pattern", "mask", "extend", "lengths", "near", "not_near"}),
    "key": frozenset({"keys", "value", "except"}),
    "block": frozenset({"begin", "end", "payload", "marks"}),
    "detector": frozenset({"detector"}),
}
_RESERVED: Final = frozenset({"limit", "canary", "control"})
_EVERY_LINE: Final = r"\n"
_CONTEXT_BYTES: Final = 1024


def parse_pack(
    data: bytes, file: str = "pack.yaml", *, trusted: bool = False, extensions: Extensions = NO_EXTENSIONS
) -> Pack:
    """Read one pack.

    Args:
        data: YAML, at most 1 MiB.
        file: its name, as faults show it.
        trusted: ours, shipped with the program; the patterns of all others run in RE2 only.
        extensions: what enabled plug-ins offer.

    Raises:
        RulesInvalid: names file, line, rule and reason of each mistake; one bad rule refuses the pack.
    """
    try:
        document = read_document(data, file)
    except DocumentInvalid as error:
        raise RulesInvalid([unreadable(error, data, file, "rule pack")]) from None
    return pack_of(document, trusted=trusted, extensions=extensions)


def pack_of(document: Document, *, trusted: bool = False, extensions: Extensions = NO_EXTENSIONS) -> Pack:
    """Return the pack that a document describes.

    Raises:
        RulesInvalid: as `parse_pack`.
    """
    try:
        name, version = _head(document)
    except DocumentInvalid as error:
        where = str(document.fields.get("pack", "rule pack"))[:60]
        raise RulesInvalid([document.fault(where, error)]) from None
    rules, faults = _rules(document, name, _Reading(trusted=trusted, extensions=extensions))
    if faults:
        raise RulesInvalid(faults)
    return Pack(name=name, version=version, rules=tuple(_sharing(rules)), trusted=trusted)


def _head(document: Document) -> tuple[str, int]:
    fields = document.require(
        {"pack", "version", "format", "rules", "description"}, {"pack", "version", "format", "rules"}
    )
    word_of(fields, "format", None, (FORMAT,))
    name = fields["pack"]
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
        raise DocumentInvalid("its name is not a short word of lower-case letters, digits and '-'", "pack")
    if name in _RESERVED:
        raise DocumentInvalid(f"the name {name} is taken by the program", "pack", remedy="choose another")
    if not isinstance(fields["rules"], list):
        raise DocumentInvalid("`rules` is not a list", "rules", remedy="write - id: … below it")
    return name, number_of(fields, "version", None, 1, MAX_VERSION)


def _rules(document: Document, pack: str, reading: _Reading) -> tuple[list[Rule], list[Fault]]:
    rules: list[Rule] = []
    faults: list[Fault] = []
    known: set[str] = set()
    for number, one in enumerate(document.fields["rules"]):
        identity = one.get("id") if isinstance(one, dict) else None
        where = identity[:80] if isinstance(identity, str) else pack
        try:
            rule = reading.rule(one, pack)
        except DocumentInvalid as error:
            faults.append(document.fault(where, error.below("rules", number)))
            continue
        if rule.id in known:
            faults.append(document.fault(where, DocumentInvalid("another rule has this id", "rules", number, "id")))
        known.add(rule.id)
        rules.append(rule)
    return rules, faults


def _sharing(rules: list[Rule]) -> list[Rule]:
    """Let the first rule of each detector take the classes that no other one takes."""
    seen: set[Any] = set()
    found: list[Rule] = []
    for rule in rules:
        if isinstance(rule, DetectorRule) and rule.detector not in seen:
            seen.add(rule.detector)
            others = [one.cls for one in rules if isinstance(one, DetectorRule) and one.detector is rule.detector]
            found.append(replace(rule, others=tuple(one for one in others if one != rule.cls)))
        else:
            found.append(rule)
    return found


class _Reading:
    """How the rules of one pack are read."""

    def __init__(self, *, trusted: bool, extensions: Extensions) -> None:
        self._trusted = trusted
        self._extensions = extensions

    def rule(self, fields: Any, pack: str) -> Rule:
        """Return one rule.

        Raises:
            DocumentInvalid: with the path within the rule.
        """
        if not isinstance(fields, dict):
            raise DocumentInvalid("a rule is not a mapping", remedy="write - id: …, and its fields below")
        identity = fields.get("id")
        if not isinstance(identity, str) or not re.fullmatch(re.escape(pack) + r"\.[a-z0-9][a-z0-9-]{0,59}", identity):
            raise DocumentInvalid(
                f"its id does not have the form {pack}.some-name", "id", remedy="lower-case letters, digits and '-'"
            )
        if identity.endswith(".key-line"):
            raise DocumentInvalid("key-line is the name of a rule that each pack with block rules has", "id")
        kind = word_of(fields, "kind", "pattern", _BY_KIND)
        require_fields(fields, _COMMON | _BY_KIND[kind], {"class", "label", "examples"})
        common = self._common(fields)
        if kind == "key":
            return self._key_rule(fields, common)
        if kind == "block":
            return self._block_rule(fields, common)
        if kind == "detector":
            return self._detector_rule(fields, common)
        return self._pattern_rule(fields, common)

    def _common(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        cls, label = fields["class"], fields["label"]
        if not isinstance(cls, str) or not re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", cls):
            raise DocumentInvalid("its class is not dotted lower-case words", "class", remedy="such as secret.token")
        if not isinstance(label, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", label):
            raise DocumentInvalid("its label is not a short word of lower-case letters, digits and '-'", "label")
        severity = word_of(fields, "severity", "high", SEVERITIES)
        examples = strings_of(fields, "examples")
        if not examples:
            raise DocumentInvalid("it has no examples", "examples", remedy="add one, with «…» around what is masked")
        for number, example in enumerate(examples):
            if not re.fullmatch(r"[^«»]*(?:«[^«»]+»[^«»]*)+", example, re.DOTALL):
                raise DocumentInvalid("an example does not mark with «…» what is masked", "examples", number)
            self._one_line(example, "examples", number)
        non_examples = strings_of(fields, "non_examples")
        for number, example in enumerate(non_examples):
            self._one_line(example, "non_examples", number)
        names, checks = self._checks(fields.get("validate", []))
        canonical = fields.get("canonical")
        if canonical is not None and canonical not in tuple(self._extensions.canonical_forms):
            raise DocumentInvalid(
                "its canonical form is none of an enabled plug-in", "canonical",
                remedy=did_you_mean(str(canonical), self._extensions.canonical_forms),
            )  # fmt: skip
        used = [*(name.partition("(")[0] for name in names), str(canonical), str(fields.get("detector"))]
        said = json.dumps([fields, *self._extensions.digests_of(used)], sort_keys=True, ensure_ascii=False)
        return {
            "id": fields["id"],
            "cls": cls,
            "label": label,
            "severity": SEVERITIES.index(severity),
            "validate": checks,
            "checks": names,
            "canonical": self._extensions.canonical_forms[canonical] if canonical is not None else None,
            "examples": examples,
            "non_examples": non_examples,
            "digest": hashlib.sha256(said.encode()).hexdigest(),
        }

    def _one_line(self, example: str, name: str, number: int) -> None:
        if "\n" in example:
            raise DocumentInvalid("an example has more than one line", name, number, remedy="write \\n as it is logged")

    def _checks(self, found: Any) -> tuple[tuple[str, ...], tuple[Check, ...]]:
        if not isinstance(found, list):
            raise DocumentInvalid("`validate` is not a list", "validate", remedy="write validate: [card]")
        names: list[str] = []
        checks: list[Check] = []
        for number, one in enumerate(found):
            name, options = (next(iter(one.items()))) if isinstance(one, dict) and len(one) == 1 else (one, None)
            if isinstance(name, str) and name in self._extensions.validators and not options:
                checks.append(guarded(self._extensions.validators[name]))
                names.append(name)
                continue
            if not isinstance(name, str) or name not in VALIDATORS or not isinstance(options, dict | None):
                remedy = did_you_mean(str(name), {*VALIDATORS, *self._extensions.validators})
                if "." in str(name):
                    remedy = f"is its plug-in enabled? {remedy}"
                raise DocumentInvalid(f"there is no validator {str(name)[:60]!r}", "validate", number, remedy=remedy)
            try:
                checks.append(check_of(name, options or {}))
            except (TypeError, ValueError) as error:
                raise DocumentInvalid(f"the options of its validator {name} are wrong", "validate", number) from error
            names.append(f"{name}({json.dumps(options, sort_keys=True)})" if options else name)
        return tuple(names), tuple(checks)

    def _shape(self, fields: Mapping[str, Any], name: str) -> Shape:
        """Return the shape of a field that is a pattern of the language, and runs in time that is linear."""
        pattern = fields.get(name)
        if not isinstance(pattern, str):
            raise DocumentInvalid(f"it has no {name}", *((name,) if name in fields else ()))
        try:
            shape = checked(pattern)
            if not self._trusted:
                require_linear(pattern)
        except PatternInvalid as error:
            raise _in_pattern(error, name) from None
        return shape

    def _tripwire(self, fields: Mapping[str, Any], derived: str, longest: int) -> dict[str, Any]:
        given = fields.get("tripwire", "auto")
        if not isinstance(given, str):
            raise DocumentInvalid("its tripwire is not a pattern", "tripwire")
        tripwire = derived if given == "auto" else given
        try:
            shape = shape_of(tripwire)
            if not self._trusted:
                require_linear(tripwire)
        except PatternInvalid as error:
            raise _in_pattern(error, "tripwire") from None
        reach = shape.longest if given == "auto" else longest
        if shape.shortest < 1:
            raise DocumentInvalid("its tripwire can match the empty text", "tripwire", remedy="give one by hand")
        if shape.members & LF and shape_of(tripwire.removesuffix(r"\n")).members & LF:
            # At its end it may. Elsewhere, an engine that reports one match of two would report the wrong line's.
            raise DocumentInvalid("its tripwire can match a line end", "tripwire", remedy="list \\n in a negated class")
        found = fields.get("reach", min(reach, MAX_MATCH))
        if found == "tripwire":
            found = shape.longest
        if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= MAX_MATCH:
            raise DocumentInvalid("`reach` is neither a number of bytes nor the word tripwire", "reach")
        return {"tripwire": tripwire, "reach": found, "shortest": shape.shortest}

    def _near(self, fields: Mapping[str, Any], name: str) -> Near | None:
        found = fields.get(name)
        if found is None:
            return None
        if not isinstance(found, dict) or set(found) != {"words", "within"}:
            raise DocumentInvalid(
                f"`{name}` does not have exactly `words` and `within`", name, remedy="{words: [session], within: 48}"
            )
        try:
            words = tuple(word.lower().encode() for word in strings_of(found, "words"))
            within = number_of(found, "within", None, 1, _CONTEXT_BYTES)
        except DocumentInvalid as error:
            raise error.below(name) from None
        if not words or not all(words):
            raise DocumentInvalid(f"`{name}` has no words", name, "words")
        return Near(words=words, within=within)

    def _pattern_rule(self, fields: Mapping[str, Any], common: dict[str, Any]) -> PatternRule:
        shape = self._shape(fields, "pattern")
        pattern = fields["pattern"]
        mask, extend = fields.get("mask"), fields.get("extend")
        if mask is not None and (not isinstance(mask, str) or mask not in shape.groups):
            raise DocumentInvalid(
                "`mask` names no group of the pattern", "mask", remedy=did_you_mean(str(mask), shape.groups)
            )
        if extend is not None:
            if not isinstance(extend, str) or not re.fullmatch(r"\[.+\]", extend):
                raise DocumentInvalid("`extend` is not a class of bytes", "extend", remedy="such as '[0-9a-f]'")
            if self._shape(fields, "extend").longest != 1:
                raise DocumentInvalid("`extend` is not a class of bytes", "extend", remedy="such as '[0-9a-f]'")
        lengths = word_of(fields, "lengths", "first", ("first", "all"))
        return PatternRule(
            **common,
            **self._tripwire(fields, tripwire_of(pattern), shape.longest),
            pattern=pattern,
            mask=mask,
            extend=extend,
            all_lengths=lengths == "all",
            near=self._near(fields, "near"),
            not_near=self._near(fields, "not_near"),
        )

    def _key_rule(self, fields: Mapping[str, Any], common: dict[str, Any]) -> KeyRule:
        keys = strings_of(fields, "keys")
        if not keys:
            raise DocumentInvalid("it has no `keys`", *(("keys",) if "keys" in fields else ()))
        for number, key in enumerate(keys):
            if not re.fullmatch(r"[A-Za-z0-9]+([-_ .][A-Za-z0-9]+)*", key):
                raise DocumentInvalid("a key is not words joined by '-', '_', '.' or a space", "keys", number)
        value = word_of(fields, "value", "any", ("any", "word", "number"))
        excepted = strings_of(fields, "except") if "except" in fields else EXCEPT
        derived = "(?i)" + key_pattern(keys) + r"""[\\"'`\]]{0,9}[ \t=:>,;}/]"""
        return KeyRule(
            **common,
            **self._tripwire(fields, derived, MAX_MATCH),
            keys=tuple(keys),
            value=value,  # type: ignore[arg-type]  # `word_of` gave one of the three
            excepted=frozenset(word.lower().encode() for word in excepted),
        )

    def _block_rule(self, fields: Mapping[str, Any], common: dict[str, Any]) -> BlockRule:
        self._shape(fields, "begin")
        self._shape(fields, "end")
        if "payload" in fields:
            self._shape(fields, "payload")
        begin, marks = fields["begin"], strings_of(fields, "marks")
        # SECURITY: who reads only lines with some text asks for those with a mark, too; tested in tests/redaction.
        if not marks or not any(begins_with(begin, mark) for mark in marks if mark):
            raise DocumentInvalid(
                "`begin` does not begin with one of its `marks`", "begin",
                remedy="list in `marks` the text with which `begin` begins",
            )  # fmt: skip
        return BlockRule(
            **common,
            **self._tripwire(fields, tripwire_of(begin), MAX_MATCH),
            begin=begin,
            end=fields["end"],
            marks=tuple(mark.encode() for mark in marks),
            payload=fields.get("payload"),
        )

    def _detector_rule(self, fields: Mapping[str, Any], common: dict[str, Any]) -> DetectorRule:
        name = fields.get("detector")
        if not isinstance(name, str) or name not in self._extensions.detectors:
            raise DocumentInvalid(
                "its detector is none of an enabled plug-in", *(("detector",) if "detector" in fields else ()),
                remedy=did_you_mean(str(name), self._extensions.detectors),
            )  # fmt: skip
        return DetectorRule(
            **common,
            tripwire=_EVERY_LINE,
            reach=MAX_MATCH,
            shortest=1,
            detector=self._extensions.detectors[name],
            others=None,
        )


def _in_pattern(error: PatternInvalid, name: str) -> DocumentInvalid:
    return DocumentInvalid(error.detail, name, remedy=error.remedy, offset=error.at)
