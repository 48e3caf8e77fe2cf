"""Reveal of one masked value, attacked at every door of a whole server."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from tests.attacks.doors import Browser, refusal, sent
from tests.fakes.stack import Person, Refused, Stack
from tests.promises.shared import crowd, granted

VALUE = "ann@example.com"


def read(person: Person, grant: str) -> dict[str, Any]:
    return next(one for one in person.lines(grant, since="24h") if one["type"] == "line" and "⟦email:" in one["line"])


def token_of(record: dict[str, Any], label: str = "email") -> str:
    return f"⟦{label}{record['line'].partition(f'⟦{label}')[2].partition('⟧')[0]}⟧"


def body(grant: str, record: dict[str, Any], **changes: Any) -> dict[str, Any]:
    reveal = {"grant": grant, "token": token_of(record), "line": record} | changes
    return {"reveal": reveal, "reason": "whose payment is it"}


def revealing(alice: Person, bob: Person, grant: str, record: dict[str, Any]) -> str:
    request = alice.create("/requests", body(grant, record))
    bob.decide(request)
    return alice.grant_of(request)


def use(person: Person, grant: str) -> httpx2.Response:
    return sent(person, "POST", f"/g/{grant}/reveal")


def test_a_value_is_shown_to_whom_it_was_approved_for_once_and_stands_nowhere_else(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    parent = granted(alice, bob)
    record = read(alice, parent)
    request = alice.create("/requests", body(parent, record))
    assert request["reveal"]["class"] == "pii.email"
    assert request["words"].startswith("ONE VALUE of class pii.email, once: what stands behind ⟦email:")
    assert request["offer"]["policy"] == "ordinary"
    bob.decide(request)
    grant = alice.grant_of(request)
    shown = alice.call("GET", f"/grants/{grant}")
    assert (shown["state"], shown["reveal"]["grant"], shown["single_use"]) == ("scheduled", parent, True)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: use(alice, grant), range(4)))
    assert sorted(one.status_code for one in answers) == [200, 403, 403, 403]
    (answer,) = [one for one in answers if one.status_code == 200]
    assert answer.json() == {"value": VALUE}
    assert answer.headers["cache-control"] == "no-store"
    assert alice.call("GET", f"/grants/{grant}")["ended_why"] == "used"
    entries = people["sam"].call("GET", f"/audit/entries?grant={grant}&limit=100")["items"]
    assert [one["type"] for one in entries].count("reveal.served") == 1
    assert VALUE not in json.dumps(entries)
    steps = alice.call("GET", f"/requests/{request['id']}/timeline")["items"]
    assert "saw the value, of class pii.email" in [one["text"] for one in steps]
    assert VALUE not in json.dumps(steps)
    assert VALUE not in (server.folder / "stderr.log").read_text()
    stored = b"".join(one.read_bytes() for one in (server.folder / "data").glob("loglease.db*"))
    assert stored
    assert VALUE.encode() not in stored


def test_nobody_asks_with_another_persons_grant_or_decides_their_own(server: Stack) -> None:
    people = crowd(server)
    alice, bob, mallory = people["alice"], people["bob"], people["mallory"]
    parent = granted(alice, bob)
    record = read(alice, parent)
    with pytest.raises(Refused) as refused:
        mallory.create("/requests", body(parent, record))
    assert refusal(refused.value) == (404, "not_found")
    own = granted(bob, people["carol"])
    request = bob.create("/requests", body(own, read(bob, own)))
    with pytest.raises(Refused) as refused:
        bob.decide(request)
    assert refusal(refused.value) == (403, "self_review")
    grant = revealing(alice, bob, parent, record)
    assert use(mallory, grant).status_code == 404
    assert use(bob, grant).status_code == 404


def test_what_was_not_served_is_not_taken(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    parent = granted(alice, bob)
    record = read(alice, parent)
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"token": "⟦email:aaaaaaaaaa⟧"}, 422),
        ({"span": 2}, 422),
        ({"token": token_of(record, "card")}, 403),
        ({"class": "credential.password"}, 403),
        ({"class": "Pii"}, 422),
        ({"line": {**record, "line": token_of(record)}}, 422),
        ({"line": {**record, "ts": "1"}}, 422),
    ]
    for changes, status in wrong:
        with pytest.raises(Refused) as refused:
            alice.create("/requests", body(parent, record, **changes))
        assert refused.value.status == status, changes
    with pytest.raises(Refused) as refused:
        alice.create("/requests", {**body(parent, record), "duration_s": 60})
    assert refusal(refused.value) == (422, "scope_invalid")
    # A line that nobody served gets as far as an approval, and no further.
    forged = {**record, "line": record["line"] + " "}
    grant = revealing(alice, bob, parent, forged)
    answer = use(alice, grant)
    assert (answer.status_code, VALUE in answer.text) == (409, False)


def test_a_revocation_of_the_grant_ends_its_reveals_decided_or_not(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    parent = granted(alice, bob)
    record = read(alice, parent)
    waiting = alice.create("/requests", body(parent, record))
    grant = revealing(alice, bob, parent, {**record})
    alice.call("POST", f"/grants/{parent}/revoke", {"reason": "it is over"})
    assert use(alice, grant).status_code == 403
    assert alice.call("GET", f"/grants/{grant}")["state"] == "revoked"
    assert alice.call("GET", f"/requests/{waiting['id']}")["state"] == "cancelled"


def test_a_token_for_the_grant_does_not_reveal_and_a_page_does_not_either(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    parent = granted(alice, bob)
    grant = revealing(alice, bob, parent, read(alice, parent))
    wish = {"kind": "grant", "label": "t", "rights": ["logs.read"], "expires_in_s": 600, "grant": grant}
    secret = alice.create("/tokens", wish)["secret"]
    # It is no sign-in, and seeing a value takes a recent one.
    assert use(Person(server.url, "alice", secret), grant).status_code == 401
    with Browser(server, "alice") as browser:
        refused = browser.client.post(f"/g/{grant}/reveal", headers={"origin": server.url})
        assert refused.status_code == 401
    assert use(alice, grant).status_code == 200
