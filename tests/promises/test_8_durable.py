"""Promise 8, durable: "Nothing acknowledged is lost by a crash of any process."

One of everything, killed without warning right after the last answer. Random moments, many rounds and repeated calls are in
`tests/races/test_killed_server.py`.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.fakes.stack import Refused, Stack
from tests.promises.shared import crowd, granted


def without_moments(shown: dict[str, Any]) -> dict[str, Any]:
    """Return what may not change by being shown later."""
    return {name: value for name, value in shown.items() if not name.endswith(("remaining_s", "left_s", "now"))}


@pytest.mark.attack("FT-01")
def test_whatever_was_acknowledged_is_there_after_kill_9(killable: Stack) -> None:
    stack = killable
    people = crowd(stack)
    alice, bob, admin = people["alice"], people["bob"], people["admin"]
    grants = {name: granted(alice, bob) for name in ("scheduled", "active", "revoked", "returned", "suspended")}
    alice.call("POST", f"/grants/{grants['active']}/activate")
    lines = [one for one in alice.lines(grants["active"], since="1h") if one["type"] == "line"]
    bob.call("POST", f"/grants/{grants['revoked']}/revoke", {"reason": "over"})
    alice.call("POST", f"/grants/{grants['returned']}/return")
    bob.call("POST", f"/grants/{grants['suspended']}/suspend", {"reason": "a look"})
    pending, denied, half = alice.ask(), alice.ask(), alice.ask('{service="pay"}')
    bob.decide(denied, "deny", comment="no")
    review = bob.decide(half)["review"]
    token = alice.create("/tokens", {"label": "mine", "rights": ["requests.read"], "expires_in_s": 3_600})
    lock = admin.create("/locks", {"on": "person:mallory", "reason": "left"})
    body = {
        "scopes": [{"source": "files", "selector": '{service="web"}', "window": {"lookback_s": 60}}],
        "reason": "again",
    }
    once = alice.create("/requests", body, key="the-very-same")
    before = {name: alice.call("GET", f"/grants/{grant}") for name, grant in grants.items()}
    newest = admin.call("GET", "/audit/entries?limit=1")["items"][0]

    stack.kill()
    stack.start()

    people = {name: stack.sign_in(name) for name in ("alice", "bob", "carol", "admin")}
    again, admin = people["alice"], people["admin"]
    for name, grant in grants.items():
        after = again.call("GET", f"/grants/{grant}")
        ended = "ended" if name == "returned" else name
        assert after["state"] == before[name]["state"] == ended
        for field in ("valid_from", "valid_until", "activate_by", "scopes", "duration_s"):
            assert after.get(field) == before[name].get(field), (name, field)
    assert again.call("GET", f"/grants/{grants['active']}/usage")["spent"]["lines"] >= len(lines) > 0
    assert again.call("GET", f"/requests/{pending['id']}")["digest"] == pending["digest"]
    assert again.call("GET", f"/requests/{denied['id']}")["state"] == "denied"
    assert review["id"] in {one["id"] for one in again.call("GET", f"/requests/{half['id']}/reviews")["items"]}
    people["carol"].decide(half)
    assert again.call("GET", f"/requests/{half['id']}")["state"] == "approved"
    assert token["token"]["id"] if "token" in token else token["id"]
    assert admin.call("GET", f"/locks/{lock['id']}")["in_force"] is True
    with pytest.raises(Refused):
        stack.sign_in("mallory").call("GET", "/requests")
    assert again.create("/requests", body, key="the-very-same")["id"] == once["id"]
    index = newest["index"]
    entries = admin.call("GET", "/audit/entries?limit=200")["items"]
    assert newest in entries
    assert [one["index"] for one in entries] == list(range(entries[0]["index"], entries[0]["index"] - len(entries), -1))
    assert entries[0]["index"] > index
