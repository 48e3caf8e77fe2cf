"""Looking a value up gives what redaction showed for it, and says where redaction shows no such thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from loglease.redaction import Hidden, Keys, Library, Lookup, Redactor, builtin_library, parse_profile, redactor_for

KEYS = Keys(b"k" * 32)
MARKER = b"m" * 32
FIELDS = b"""
profile: traced
version: 1
packs: [secrets@1, credentials@1, pii-core@1]
mode: fields
classes: {secret: mask, credential: mask, pii: pseudonym}
fields: {trace_id: pseudonym, user.id: mask}
"""
ALL_FIELDS = b"""
profile: linked
version: 1
packs: [pii-core@1]
mode: fields
classes: {pii: pseudonym}
fields: {trace_id: pseudonym}
"""
FEW = b"""
profile: few
version: 1
packs: [pii-core@1]
mode: allow
classes: {pii: pseudonym}
allow: [msg]
"""


def library(*documents: bytes) -> Library:
    shipped = builtin_library()
    return replace(shipped, profiles=(*shipped.profiles, *map(parse_profile, documents)))


def redactor(known: Library, pin: str) -> Redactor:
    return redactor_for([pin], keys=KEYS, marker=MARKER, profiles=known.profiles, packs=known.packs)


def tokens(redacting: Redactor, line: str) -> set[str]:
    redacted = redacting.open().feed(line.encode() + b"\n")
    return {redacted.out[one.start : one.end].decode() for one in redacted.spans if one.treatment == "pseudonym"}


def test_every_pseudonym_that_the_examples_of_rules_get_is_found_by_the_value() -> None:
    known = library()
    redacting = redactor(known, "pii-default@1")
    tried = 0
    for active in redacting.active:
        if active.treatment.kind != "pseudonym":
            continue
        lookup = Lookup(known, active.rule.cls)
        for example in active.rule.examples:
            marked = example.replace("«", "\0").replace("»", "\0").split("\0")
            line, values = "".join(marked), marked[1::2]
            shown = tokens(redacting, line)
            found = {token for value in values for token in lookup.pseudonyms(value.encode(), KEYS)}
            own = {one for one in shown if one.startswith(f"⟦{active.rule.label}:")}
            assert own <= found, (active.rule.id, line)
            tried += len(own)
    assert tried > 20


def test_a_value_of_a_field_is_found_whether_a_rule_finds_it_too() -> None:
    known = library(FIELDS)
    redacting = redactor(known, "traced@1")
    trace, email = "4bf92f3577b34da6a3ce929d0e0e4736", "jane@example.com"
    (shown,) = tokens(redacting, f'{{"trace_id":"{trace}"}}')
    assert shown in Lookup(known, "field").pseudonyms(trace.encode(), KEYS)
    for line in (f'{{"trace_id":"{email}"}}', f'{{"msg":"{email}"}}'):
        (shown,) = tokens(redacting, line)
        assert shown in Lookup(known, "email").pseudonyms(email.encode(), KEYS)


def test_another_value_class_or_key_has_other_pseudonyms() -> None:
    lookup = Lookup(library(), "email")
    one = lookup.pseudonyms(b"jane@example.com", KEYS)
    # Equal but for letters: one e-mail address, two values of a field.
    assert {token.partition(":")[0] for token in one & lookup.pseudonyms(b"Jane@Example.com", KEYS)} == {"⟦email"}
    assert one.isdisjoint(lookup.pseudonyms(b"june@example.com", KEYS))
    assert one.isdisjoint(lookup.pseudonyms(b"jane@example.com", Keys(b"j" * 32)))


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (
            "email",
            {"pii-default@1": None, "raw@1": "profile_raw", "secrets@1": "class_absent", "strict@1": "class_masked"},
        ),
        ("pii.email", {"pii-default@1": None, "traced@1": "class_partly_masked", "linked@1": None}),
        ("pii", {"pii-default@1": "class_partly_masked", "strict@1": "class_masked", "raw@1": "profile_raw"}),
        ("pci.card", {"pii-default@1": "class_masked", "traced@1": "class_partly_masked", "secrets@1": "class_absent"}),
        ("net.ip.private", {"pii-default@1": "class_absent"}),
        ("field", {"traced@1": "class_partly_masked", "linked@1": None, "pii-default@1": "class_absent"}),
        ("email ", {}),
        (
            "pii.email",
            {"few@1": "class_partly_masked", "gone@1": "profile_unknown", "pii-default@9": "profile_unknown"},
        ),
    ],
)
def test_where_a_class_is_not_shown_as_pseudonyms_is_said(cls: str, expected: Mapping[str, str | None]) -> None:
    known = library(FIELDS, ALL_FIELDS, FEW)
    lookup = Lookup(known, cls)
    assert lookup.is_known == bool(expected)
    assert {pin: lookup.hidden(pin) for pin in expected} == expected


def test_what_is_said_is_a_closed_list() -> None:
    assert {str(one) for one in Hidden} == {
        "profile_raw",
        "class_absent",
        "class_masked",
        "class_partly_masked",
        "profile_unknown",
    }
