"""Notices over REST: what was given up, another try, and a test of a channel."""

from __future__ import annotations

from pathlib import Path

from tests.api.world import world_in
from tests.fakes.receivers import SECRET, Receiver, listening, secret_file

from loglease.model.principal import Role


async def test_an_administrator_looks_tries_again_and_tests(tmp_path: Path) -> None:
    async with listening(Receiver()) as receiver:
        hook = {"kind": "webhook", "url": receiver.url, "secret_file": secret_file(tmp_path), "private_network": True}
        notifications = {"channels": {"hook": {**hook, "events": ["request.submitted"]}}}
        async with world_in(tmp_path, notifications=notifications) as world:
            admin = await world.add("root@example.com", roles=(Role.ADMIN,))
            await world.add("bob@example.com", groups=("approvers",))
            alice = await world.add("alice@example.com")
            tested = await world.client.post("/notices/test", json={"channel": "hook"}, headers=admin)
            assert tested.json() == {"channel": "hook", "taken": True}
            assert receiver.received[0].verified == [SECRET]
            assert receiver.types == ["notifications.test"]
            unknown = await world.client.post("/notices/test", json={"channel": "email"}, headers=admin)
            assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
            receiver.answer = "410 Gone"
            refused = await world.client.post("/notices/test", json={"channel": "hook"}, headers=admin)
            assert refused.json()["error"] == "It answered 410: it takes no more messages."

            body = {"source": "files", "selector": '{service="pay-api"}', "window": {"lookback_s": 3_600}}
            asked = await world.created("/requests", {"scopes": [body], "reason": "checkout fails"}, alice)
            assert await world.services.courier.step("hook")
            (dead,) = (await world.client.get("/notices?state=dead", headers=admin)).json()["items"]
            assert dead["about"] == asked.json()["id"]
            assert (dead["event"], dead["recipient"], dead["attempts"]) == ("request.submitted", "channel:hook", 1)
            receiver.answer = "204 No Content"
            again = await world.client.post("/notices/retry", json={"id": dead["id"]}, headers=admin)
            assert again.json() == {"retried": 1}
            assert await world.services.courier.step("hook")
            assert receiver.types[-1] == "request.submitted"
            none = await world.client.post("/notices/retry", json={"id": dead["id"]}, headers=admin)
            assert none.status_code == 404
            (sent,) = (await world.client.get("/notices", headers=admin)).json()["items"]
            assert sent["state"] == "sent"
