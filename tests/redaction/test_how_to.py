"""The pack, profile and mistake that the guide to writing rules shows are true."""

import re
from pathlib import Path

import pytest

from loglease.redaction import Keys, RulesInvalid, load_library, redactor_for

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "write-redaction-rules.md").read_text()
PACK, PROFILE = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
FILES = {"rules/shop.yaml": PACK.encode(), "rules/shop-profile.yaml": PROFILE.encode()}


def test_the_guides_pack_and_profile_load_and_mask() -> None:
    library = load_library(FILES)
    redactor = redactor_for(
        ["shop-logs@1"], keys=Keys(bytes(32)), marker=bytes(16), profiles=library.profiles, packs=library.packs
    )
    out = redactor.open().feed(b"resumed acs_Qm3xT9bZ0aLw8KcV5nYd2RtE_0b1c9f3e, X-Loyalty-Card: 4821\n").out
    assert re.fullmatch("resumed acs_⟦session⟧, X-Loyalty-Card: ⟦loyalty:[a-z2-7]{10}⟧\n", out.decode())


def test_the_mistake_reads_as_the_guide_says() -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    shown = next(block for block in blocks if "an unbounded repeat" in block)
    pattern = re.search(r"pattern: '[^']*'", shown)
    assert pattern is not None
    bad = re.sub(r"pattern: '[^']*'", lambda _: pattern[0], PACK, count=1)
    with pytest.raises(RulesInvalid) as found:
        load_library({**FILES, "rules/shop.yaml": bad.encode()}, engines=())
    assert found.value.faults[0].render() == shown.rstrip("\n")
