"""An operator's packs and profiles, as one set: what refuses it, and what comes out of it."""

from dataclasses import replace

import pytest
import re2
from tests.redaction.corpus import EXAMPLES, LOOKALIKES, OTHERS

from loglease.redaction import (
    Fault,
    Keys,
    Plugin,
    RulesInvalid,
    builtin_library,
    load_library,
    packs,
    profiles,
    redactor_for,
)
from loglease.redaction.engine.re2_engine import linear
from loglease.redaction.patterns import tree_of
from loglease.redaction.plugins import Extensions
from loglease.redaction.proof import claims_broken, engines_at_hand, labels_of, proof_of
from loglease.redaction.rules import PatternRule
from loglease.redaction.samples import samples

ENGINES = engines_at_hand()
HEAD = "pack: shop\nversion: 1\nformat: loglease-rules/1\nrules:\n"
SESSION = """\
  - id: shop.session
    class: secret.session
    label: session
    pattern: '\\bacs_(?P<value>[A-Za-z0-9]{12}_[0-9a-f]{8,64})'
    mask: value
    extend: '[0-9a-f]'
    near: {words: [sid], within: 12}
    not_near: {words: [sample], within: 24}
    examples: ['sid=acs_«Qm3xT9bZ0aLw_0b1c9f3e»; path=/']
    non_examples: ['acs_documentation_0000', 'sample sid=acs_Qm3xT9bZ0aLw_0b1c9f3e']
"""
PROFILE = "profile: shop-logs\nversion: 2\npacks: [secrets@1, shop@1]\nclasses: {secret.session: pseudonym}\n"
BLOCK = """\
  - id: shop.vault
    kind: block
    class: secret.vault
    label: vault
    begin: '<<vault [a-z]{1,9}>>'
    end: '<</vault>>'
    payload: '(?:~[a-z]{4}){1,40}'
    marks: ['<<vault ']
    examples: ['<<vault a>>«~abcd~efgh»<</vault>>']
"""


def faults(*packs: str, **files: str) -> tuple[Fault, ...]:
    named = {f"{name}.yaml": text.encode() for name, text in files.items()}
    named |= {f"pack{number}.yaml": text.encode() for number, text in enumerate(packs)}
    with pytest.raises(RulesInvalid) as found:
        load_library(named)
    return found.value.faults


def test_packs_and_profiles_of_an_operator_stand_beside_ours() -> None:
    library = load_library({"shop.yaml": (HEAD + SESSION + BLOCK).encode(), "p.yaml": PROFILE.encode()})
    assert library.own == {"shop@1", "shop-logs@2"}
    assert {one.pin for one in library.profiles} == {"shop-logs@2", *(one.pin for one in profiles())}
    for engine in ENGINES:
        redactor = redactor_for(
            ["shop-logs@2"], keys=Keys(bytes(32)), marker=bytes(16), engine=engine.name,
            profiles=library.profiles, packs=library.packs,
        )  # fmt: skip
        out = (
            redactor.open().feed(b"sid=acs_Qm3xT9bZ0aLw_0b1c9f3e a\n<<vault a>>\n ~abcd~efgh\nx <</vault>> ~abcd\n").out
        )
        assert out.startswith("sid=acs_⟦session:".encode())
        assert "\n ⟦vault⟧\nx <</vault>> ~abcd\n".encode() in out


def test_without_files_there_is_what_comes_with_the_program() -> None:
    assert load_library({}) == builtin_library()


def test_the_digest_of_a_profile_changes_with_its_rules() -> None:
    one = load_library({"a.yaml": (HEAD + SESSION).encode(), "p.yaml": PROFILE.encode()}).digests()
    other = SESSION.replace("within: 12", "within: 13")
    two = load_library({"a.yaml": (HEAD + other).encode(), "p.yaml": PROFILE.encode()}).digests()
    assert {pin for pin in one if one[pin] != two[pin]} == {"shop-logs@2"}


@pytest.mark.parametrize(
    ("before", "after", "detail"),
    [
        ("«Qm3xT9bZ0aLw_0b1c9f3e»", "Qm3x«T9bZ0aLw_0b1c9f3e»", "example 1: 8-29 is masked; marked is 12-29"),
        ("sid=acs_«", "xid=acs_«", "example 1: nothing is masked; marked is 8-29"),
        ("mask: value\n", "mask: value\n    tripwire: 'never'\n", "example 1: the tripwire does not fire"),
        ("'acs_documentation_0000'", "'sid acs_Qm3xT9bZ0aLw_0b1c9f3e'", "non-example 1 is masked at 8-29"),
        ("\\bacs_(?P<value>", "(?P<value>[a-z]{7}|", "can match a token: ⟦"),
        ("'\\bacs_(?P", "'\\bacs(?i)_(?P", "`pattern` does not compile"),
    ],
)  # fmt: skip
def test_what_a_pack_says_of_itself_has_to_hold(before: str, after: str, detail: str) -> None:
    assert before in SESSION
    found = faults(HEAD + SESSION.replace(before, after, 1))
    assert any(detail in one.detail for one in found), [one.detail for one in found]
    assert {one.where for one in found} == {"shop.session"}


def test_a_tripwire_that_no_engine_takes_is_named() -> None:
    rule = SESSION.replace("mask: value\n", "mask: value\n    tripwire: '(?P<a>x)(?P<a>y)'\n", 1)
    found = faults(HEAD + rule)
    assert found
    assert all("tripwire" in one.detail and one.line == 10 for one in found)


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        ({"a": HEAD + SESSION, "b": HEAD + SESSION}, "shop@1 stands in a.yaml too"),
        ({"a": HEAD.replace("shop", "secrets") + "  []\n"}, "the pack secrets comes with the program"),
        ({"a": "profile: strict\nversion: 9\npacks: []\n"}, "the profile strict comes with the program"),
        ({"a": "profile: default\nversion: 9\npacks: []\n"}, "the profile default comes with the program"),
        ({"a": "profile: p\nversion: 9\npacks: [shop@1]\n"}, "there is no pack shop@1"),
        ({"a": "profile: p\nversion: 9\npacks: [secrets@1, secrets@1]\n"}, "the pack secrets stands twice"),
        ({"a": "profile: p\nversion: 9\npacks: [secrets@1]\nrules: {disable: [secrets.gitlub]}\n"},
         "there is no rule secrets.gitlub to disable"),
        ({"a": "rule: p\n"}, "neither a pack nor a profile"),
        ({"a": HEAD.replace("shop", "limit") + "  []\n"}, "taken by the program"),
    ],
)  # fmt: skip
def test_a_set_that_does_not_fit_together_is_refused(files: dict[str, str], detail: str) -> None:
    [fault] = faults(**files)
    assert detail in fault.detail


def test_one_bad_pack_refuses_all_and_every_mistake_is_told() -> None:
    found = faults(good=HEAD + SESSION, bad="pack: x\nversion: no\n", worse="[", p=PROFILE)
    assert {one.file for one in found} == {"bad.yaml", "worse.yaml"}


# RE2 reports blocks of lines, so that a neighbour's hit would hide a miss.
EXACT = [one for one in ENGINES if one.name != "re2"]


@pytest.mark.parametrize("engine", EXACT, ids=lambda one: one.name)
@pytest.mark.parametrize("pack", packs(), ids=lambda one: one.name)
def test_our_own_tripwires_fire_wherever_their_rules_match(pack, engine) -> None:
    assert [one.rule.id for one in claims_broken(pack, engine)] == []


# These look for the very word that is their label; with `tokens="keep"` a token is covered before anything is looked for.
# A number behind its name looks like a pseudonym that happens to be all digits.
NAMED_AS_FOUND = ("⟦authorization:", "⟦cookie:", ":2345672345⟧")


@pytest.mark.parametrize("pack", packs(), ids=lambda one: one.name)
def test_our_own_packs_prove_what_an_operators_have_to(pack) -> None:
    broken = list(proof_of(pack, ENGINES, labels_of(packs())))
    assert [one.detail for one in broken if not any(token in one.detail for token in NAMED_AS_FOUND)] == []


def test_a_tripwire_that_misses_its_rule_is_found() -> None:
    rule = SESSION.replace("    mask: value\n", "    mask: value\n    tripwire: 'acs_[A-Z]'\n", 1)
    rule = rule.replace("«Qm3xT9bZ0aLw", "«QM3xT9bZ0aLw")
    library = load_library({"a.yaml": (HEAD + rule).encode()})
    [pack] = [one for one in library.packs if one.name == "shop"]
    for engine in EXACT:
        [broken] = claims_broken(pack, engine)
        assert "does not fire where it matches: " in broken.detail


def test_samples_are_texts_of_the_pattern_and_the_same_each_time() -> None:
    import re

    for pattern in [r"\bacs_[0-9]{2,9}(?:x|[^a-z\n]{3})?", r"(?i)key-(?P<v>[a-f]{1,3})", "a|b{3}|[]x-]"]:
        drawn = list(samples(pattern, 30))
        assert drawn == list(samples(pattern, 30))
        assert len(set(drawn)) > 3
        assert all(re.compile(pattern.encode(), re.DOTALL).fullmatch(one) for one in drawn), tree_of(pattern)


def shop_plugin(**parts) -> Extensions:
    return Extensions([Plugin(name="shop", version="1.0", digest="00", **parts)])


def test_a_plugin_judges_names_and_finds() -> None:
    asked = []

    def check(value: bytes) -> bool:
        asked.append(value)
        if value.endswith(b"f"):
            raise ValueError(value)
        return value.endswith(b"e")

    rules = SESSION.replace(
        "    mask: value\n", "    mask: value\n    validate: [shop.check]\n    canonical: shop.upper\n"
    )
    rules += (
        "  - id: shop.name\n    kind: detector\n    detector: shop.people\n    class: pii.name\n    label: name\n"
        "    examples: ['from «Ada»']\n"
        "  - id: shop.street\n    kind: detector\n    detector: shop.people\n    class: pii.street\n    label: street\n"
        "    examples: ['at «Elm St»']\n"
    )

    def people(line: bytes):
        if b"boom" in line:
            raise RuntimeError(line)
        yield from ((at, at + 3, "pii.name") for at in [line.find(b"Ada")] if at >= 0)
        yield from ((at, at + 6, "pii.street") for at in [line.find(b"Elm St")] if at >= 0)
        yield from ((at, at + 3, "other") for at in [line.find(b"odd")] if at >= 0)

    extensions = shop_plugin(
        validators={"check": check}, canonical_forms={"upper": bytes.upper}, detectors={"people": people}
    )
    library = load_library({"a.yaml": (HEAD + rules).encode(), "p.yaml": PROFILE.encode()}, extensions=extensions)
    redactor = redactor_for(
        ["shop-logs@2"], keys=Keys(bytes(32)), marker=bytes(16), profiles=library.profiles, packs=library.packs
    )

    def masked(line: str) -> str:
        return redactor.open().feed(line.encode() + b"\n").out.decode().rstrip("\n")

    first, second = (masked(f"sid=acs_Qm3x{four}bZ0aLw_0b1c9f3e") for four in ("T9", "t9"))
    assert first == second.replace("t9", "T9")
    assert first.startswith("sid=acs_⟦session:")
    assert masked("sid=acs_Qm3xT9bZ0aLw_0b1c9f33") == "sid=acs_Qm3xT9bZ0aLw_0b1c9f33"
    assert masked("sid=acs_Qm3xT9bZ0aLw_0b1c9f3f").startswith("sid=acs_⟦session:"), "a validator that raises masks"
    assert masked("Ada at Elm St, odd") == "⟦name⟧ at ⟦street⟧, ⟦name⟧"
    assert masked("boom with anything") in {"⟦name⟧", "⟦street⟧"}
    assert masked("x%41da") == "x⟦name⟧", "what a disguise hides is asked, too"
    assert asked


def test_a_plugin_is_part_of_the_digest() -> None:
    rules = SESSION.replace("    mask: value\n", "    mask: value\n    validate: [shop.check]\n")
    files = {"a.yaml": (HEAD + rules).encode(), "p.yaml": PROFILE.encode()}
    digests = []
    for digest in ("00", "01"):
        plugin = Plugin(name="shop", version="1.0", digest=digest, validators={"check": lambda value: True})
        digests.append(load_library(files, extensions=Extensions([plugin])).digests()["shop-logs@2"])
    assert len(set(digests)) == 2


def test_a_rule_that_names_a_plugin_which_is_not_enabled_is_refused() -> None:
    rules = SESSION.replace("    mask: value\n", "    mask: value\n    validate: [shop.check]\n")
    [fault] = faults(HEAD + rules)
    assert "plug-in enabled" in (fault.remedy or "")


def compiles(rule) -> bool:
    return not isinstance(rule, PatternRule) or re2_takes(rule.pattern)


def re2_takes(pattern: str) -> bool:
    try:
        return linear(pattern) is not None
    except re2.error:
        return False


def test_a_pack_means_the_same_whether_it_is_ours_or_an_operators() -> None:
    """Ours are confirmed in `re`, an operator's in RE2."""
    text = b"".join(line + b"\n" for line in (*EXAMPLES, *OTHERS, *LOOKALIKES))
    outs = []
    assert sum(not compiles(rule) for pack in packs() for rule in pack.rules) < 30
    for trusted in (True, False):
        # RE2 repeats at most 1,000 times; a few of ours do so more often.
        known = [
            replace(one, trusted=trusted, rules=tuple(rule for rule in one.rules if compiles(rule))) for one in packs()
        ]
        redactor = redactor_for(["strict@1"], keys=None, marker=bytes(16), packs=known)
        outs.append(redactor.open().feed(text).out)
    assert outs[0] == outs[1]
