"""Differences as Markdown: a table whose cells nobody can leave."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from tests.policy.world import ORGANISATION, bundle_of

from loglease.policy import differences
from loglease.policy.difference import Difference, Verdict
from loglease.policy.difference.markdown import markdown
from loglease.policy.live import Affected

OLD = bundle_of(*ORGANISATION)
NEW = bundle_of(*("---\n".join(ORGANISATION).replace("level_from: info", "level_from: debug").split("---\n")))


def test_a_change_is_a_row_with_its_place() -> None:
    live = [Affected(grant="grt_1", holder="maria", policy="sre-prod", refused=True, why="the policy is gone")]
    text = markdown(OLD, NEW, differences(OLD, NEW), live)
    assert text.startswith("### Policy: WIDENS\n\nSomebody may get more, or more easily.\n\n| | document | change |\n")
    assert re.search(
        r"^\| \*\*WIDENS\*\* \| `sre-prod` `policies/main\.yaml:\d+:1` \| `scopes\[0\]\.level_from info -> debug` \|$",
        text,
        re.MULTILINE,
    )
    assert "| `grt_1` | `maria` | `sre-prod` | `the policy is gone` |" in text
    assert text.endswith(f"`{OLD.hash[:12]}` → `{NEW.hash[:12]}`")


def test_no_change_is_said_to_be_none() -> None:
    assert markdown(OLD, OLD, ()) == (
        f"### Policy: SAME\n\nNothing that decides has changed.\n\n`{OLD.hash[:12]}` → `{OLD.hash[:12]}`"
    )


@given(text=st.text(st.sampled_from("`|\\\n\r\u2028<@a *_[]")), verdict=st.sampled_from(Verdict))
def test_no_text_leaves_its_cell(text: str, verdict: Verdict) -> None:
    one = Difference(verdict=verdict, kind="AccessPolicy", document="d", place="p", old=text, new="x")
    rows = [line for line in markdown(OLD, NEW, [one]).splitlines() if line.startswith("|")]
    assert len(rows) == 3
    cells = re.split(r"(?<!\\)\|", rows[2])
    assert len(cells) == 5
    fence = re.match(r" (`+)", cells[3])
    assert fence is not None
    inner = cells[3].strip()[len(fence[1]) : -len(fence[1])]
    assert not re.search(rf"(?<!`){fence[1]}(?!`)", inner)
