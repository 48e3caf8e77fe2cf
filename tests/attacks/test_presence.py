"""A grant whose policy wants its holder to be in a known network, on a real server behind a proxy of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.doors import sent
from tests.attacks.test_networks import BEHIND_PROXY, HOME, LINE, Away, code_of, granted
from tests.fakes.stack import Stack
from tests.promises.shared import POLICY, Following, followed

FACTS = """
---
api: loglease/v1
kind: Facts
id: main
facts:
  ctx.net: {type: [corp, other], from: gateway}
"""
KEPT = POLICY.replace(
    "  redaction: pii-default\n", '  redaction: pii-default\n  keep: {when: ctx.net == "corp", every: 10s}\n'
)
WITHIN_S = 60


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("presence")
    (folder / "policy").mkdir()
    (folder / "policy" / "policy.yaml").write_text(KEPT + FACTS)
    made = Stack(folder, config=f'{BEHIND_PROXY}\n[policy]\ndirectory = "{folder / "policy"}"\n')
    made.logs.mkdir()
    (made.logs / "shop.log").write_text(LINE * 20)
    made.start()
    made.add("alice", "everybody")
    made.add("bob", "approvers")
    yield made
    made.stop()


def state(who: Any, grant: str) -> str:
    return str(who.call("GET", f"/grants/{grant}")["state"])


@pytest.mark.parametrize("door", ["reading", "looking"])
def test_a_call_from_elsewhere_stops_the_grant_and_one_from_home_lets_it_go_on(stack: Stack, door: str) -> None:
    """Also what was open at home ends: nobody knows which of the two is the thief."""
    alice, grant = granted(stack)
    bob = Away(stack.url, "bob", stack.sign_in("bob").token, address=HOME)
    tail = Following.opened(alice, grant)
    if door == "reading":
        assert code_of(sent(alice.at(HOME), "GET", f"/g/{grant}/logs")) == (403, "policy_denied")
    else:
        state(alice.at(HOME), grant)
    followed(lambda: state(bob, grant) == "suspended", WITHIN_S)
    assert tail.end() == "suspended"
    if door == "reading":
        assert code_of(sent(alice, "GET", f"/g/{grant}/logs"))[0] == 403
    else:
        state(alice, grant)
    followed(lambda: state(bob, grant) == "active", WITHIN_S)
    assert sent(alice, "GET", f"/g/{grant}/logs").status_code == 200
    steps = bob.call("GET", f"/requests/{bob.call('GET', f'/grants/{grant}')['request']}/timeline")["items"]
    kinds = [one["type"] for one in steps if one["type"] in ("grant.suspended", "grant.resumed")]
    assert kinds == ["grant.suspended", "grant.resumed"]
