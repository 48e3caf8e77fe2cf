"""Provably not weaker, and what differs between two versions of packs and profiles."""

import itertools

import pytest

from loglease.redaction import STRICTNESS, packs, parse_pack, parse_profile, profile_named, weaknesses
from loglease.redaction.comparison import pack_changes, profile_changes, verdict_of

PACK = """\
pack: shop
version: 1
format: loglease-rules/1
rules:
  - id: shop.session
    class: secret.session
    label: session
    pattern: '\\bacs_[0-9]{10,20}'
    validate: [{least: {bytes: 4}}]
    near: {words: [sid], within: 20}
    examples: ['sid=«acs_0123456789»']
  - id: shop.pin
    kind: key
    class: credential.pin
    label: pin
    keys: [pin, pin_code]
    examples: ['pin=«4821»']
"""
PROFILE = "profile: p\nversion: {version}\npacks: [{packs}]\n{rest}"


@pytest.mark.parametrize(("looser", "stricter"), list(itertools.combinations(STRICTNESS, 2)))
def test_our_profiles_are_in_the_order_that_they_claim(looser: str, stricter: str) -> None:
    assert weaknesses(profile_named(stricter), profile_named(looser), packs()) == []
    assert weaknesses(profile_named(looser), profile_named(stricter), packs()) != []


def profile(packs: str = "shop@1", rest: str = "", version: int = 1):
    return parse_profile(PROFILE.format(version=version, packs=packs, rest=rest).encode())


SHOP = [parse_pack(PACK.encode()), parse_pack(PACK.replace("version: 1", "version: 2").encode())]
OTHER = parse_pack(PACK.replace("version: 1", "version: 3").replace("acs_", "acs-").encode())


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (profile(), profile(version=2), None),
        (profile(), profile("shop@2", version=2), None),
        (profile(rest="classes: {secret: pseudonym}"), profile(), None),
        (profile(rest="classes: {secret: {partial: last4}}"), profile(rest="classes: {secret: pseudonym}"), None),
        (profile(rest="classes: {secret: keep}"), profile(rest="rules: {disable: [shop.session]}"), None),
        (profile(rest="controls: keep-colour"), profile(), None),
        (profile(), profile(rest="controls: keep-colour"), "it keeps colours"),
        (profile(), profile(rest="classes: {secret: pseudonym}"), "shop.session is treated with pseudonym, not mask"),
        (profile(rest="classes: {secret: {partial: last4}}"), profile(rest="classes: {secret: {partial: domain}}"),
         "shop.session is treated with partial domain, not partial last4"),
        (profile(), profile(rest="rules: {disable: [shop.pin]}"), "shop.pin is not among its rules"),
        (profile(), profile("shop@3"), "shop.session is another rule"),
        (profile(), profile("shop@9"), "a pack is not there"),
    ],
)  # fmt: skip
def test_a_profile_is_proved_or_not(old, new, why) -> None:
    assert weaknesses(new, old, [*SHOP, OTHER]) == ([] if why is None else [why])


@pytest.mark.parametrize(
    ("before", "after", "verdict", "detail"),
    [
        ("version: 1", "version: 2", "equal", None),
        ("'sid=«acs_0123456789»'", "'sid=«acs_1111111111»'", "equal", "only examples"),
        ("keys: [pin, pin_code]", "keys: [pin, pin_code, code]", "stricter", "key code is new"),
        ("keys: [pin, pin_code]", "keys: [pin]", "weaker", "key pin_code is gone"),
        ("keys: [pin, pin_code]", "keys: [pin, code]", "incomparable", "key code is new"),
        ("    validate: [{least: {bytes: 4}}]\n", "", "stricter", 'validator least({"bytes": 4}) is gone'),
        ("[{least: {bytes: 4}}]", "[{least: {bytes: 4}}, card]", "weaker", "validator card is new"),
        ("    near: {words: [sid], within: 20}\n", "", "stricter", "`near` is gone"),
        ("within: 20", "within: 30", "incomparable", "`near` is another one"),
        ("acs_[0-9]{10,20}", "acs_[0-9]{10,21}", "incomparable", "its pattern is another one"),
        ("class: credential.pin", "class: pii.pin", "incomparable", "its class is pii.pin"),
        ("label: pin\n", "label: pin\n    value: number\n", "weaker", "its values are number"),
        ("label: pin\n", "label: pin\n    except: []\n", "stricter", "exception null is gone"),
        ("shop.pin", "shop.pins", "incomparable", "the rule is gone"),
    ],
)  # fmt: skip
def test_packs_are_compared_rule_by_rule(before: str, after: str, verdict: str, detail: str | None) -> None:
    assert before in PACK
    changes = pack_changes([parse_pack(PACK.encode())], [parse_pack(PACK.replace(before, after, 1).encode())])
    assert verdict_of(changes) == verdict, changes
    assert detail is None or any(detail in change.detail for change in changes), changes


def test_profiles_are_compared_in_their_newest_versions() -> None:
    old = [profile(version=1), profile(version=2, rest="classes: {secret: keep}")]
    changes = profile_changes(old, [profile(version=3, rest="classes: {secret: mask}")], (SHOP, SHOP))
    assert verdict_of(changes) == "stricter"
    assert [one.detail for one in changes] == ["shop.session is treated with mask, not keep"]
