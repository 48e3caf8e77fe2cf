"""Profiles: the built-in ones, their order, and what is refused."""

import pytest
from tests.redaction.corpus import SAMPLES, redacted

from loglease.redaction import (
    STRICTNESS,
    ProfileInvalid,
    ProfileUnknown,
    parse_profile,
    profile_named,
    profiles,
    strictness,
)
from loglease.redaction.profile import MASK, Treatment, strictest

GOOD = "profile: shop\nversion: 3\npacks: [secrets@1]\n"


def test_the_built_in_profiles_are_there_and_pinned_by_digest() -> None:
    assert {one.name for one in profiles()} == set(STRICTNESS)
    assert all(len(one.digest) == 64 and one.pin == f"{one.name}@{one.version}" for one in profiles())
    assert [strictness(pin) for pin in ("raw@1", "secrets", "default", "strict@1", "shop@1")] == [0, 1, 2, 3, None]


@pytest.mark.parametrize("text", SAMPLES)
def test_a_stricter_profile_masks_at_least_as_much(text: bytes) -> None:
    masked = []
    for name in STRICTNESS:
        out = redacted(text + b"\n", profile=f"{name}@1").decode()
        masked.append(out.count("⟦"))
    assert masked == sorted(masked)


@pytest.mark.parametrize("pin", ["none@1", "pii-default@99", "", "@1"])
def test_what_is_not_there_is_refused(pin: str) -> None:
    with pytest.raises(ProfileUnknown):
        profile_named(pin)


def test_the_longest_prefix_decides_and_what_is_not_named_is_masked() -> None:
    one = parse_profile(
        (GOOD + "classes:\n  net: keep\n  net.ip.public: pseudonym\n  pci.card: {partial: last4}\n").encode()
    )
    assert one.treatment_of("net.mac").kind == "keep"
    assert one.treatment_of("net.ip.public").kind == "pseudonym"
    assert one.treatment_of("network") == MASK
    assert one.treatment_of("pci.card") == Treatment("partial", "last4")
    assert one.treatment_of("anything") == MASK


def test_the_strictest_treatment_wins() -> None:
    kinds = [Treatment("keep"), Treatment("partial", "last4"), Treatment("pseudonym"), MASK]
    for place in range(1, 5):
        assert strictest(kinds[:place]) == kinds[place - 1]
    assert strictest([Treatment("partial", "last4"), Treatment("partial", "domain")]) == MASK


@pytest.mark.parametrize(
    "more",
    [
        "mode: fields\n",
        "mode: allow\n",
        "mode: magic\n",
        "controls: pass\n",
        "classes: {pii: hide}\n",
        "classes: {pii: {partial: half}}\n",
        "classes: [pii]\n",
        "rules: {enable: []}\n",
        "colour: red\n",
        "version: 4\n",
    ],
)
def test_anything_unknown_refuses_the_profile(more: str) -> None:
    with pytest.raises(ProfileInvalid):
        parse_profile((GOOD + more).encode())


@pytest.mark.parametrize(
    "text", ["", "a: [", "profile: X\nversion: 1\npacks: []\n", "profile: x\nversion: 0\npacks: []\n"]
)
def test_a_document_that_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(ProfileInvalid):
        parse_profile(text.encode())
