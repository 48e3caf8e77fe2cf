"""A whole server over stores behind HTTP: what people read is narrowed and redacted, and none of their text gets there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fakes.http import Answer, Call, Server, serving
from tests.fakes.journal import FakeJournal
from tests.fakes.loki import FakeLoki
from tests.fakes.loki import Stored as LokiLine
from tests.fakes.loki import whole as loki_answer
from tests.fakes.stack import CONFIG, Person, Refused, Stack
from tests.fakes.victorialogs import LINES, FakeVictoriaLogs, Stored, record_of

from loglease.server.clock import SystemClock

TYPED = 'typed" } | delete * or'
SAID = "a password that is in an error of the store"


@dataclass
class World:
    shop: FakeVictoriaLogs
    machine: FakeJournal
    cluster: FakeLoki
    servers: tuple[Server, Server, Server]
    alice: Person
    bob: Person

    def now_ns(self) -> int:
        return SystemClock().now() * 1_000

    async def granted(self, source: str, selector: str) -> str:
        def ask() -> str:
            request = self.alice.ask(selector, scope={"source": source})
            self.bob.decide(request)
            return self.alice.grant_of(request)

        return await asyncio.to_thread(ask)

    async def read(self, grant: str, query: str = "{}", **parameters: str) -> list[str]:
        def lines() -> list[str]:
            return [one["line"] for one in self.alice.lines(grant, query, **parameters) if one["type"] == "line"]

        return await asyncio.to_thread(lines)


@pytest.fixture(scope="module")
def config() -> str:
    return (
        CONFIG + '\n[sources.shop]\nkind = "victorialogs"\naddress = "{{shop}}"\ntrusted_labels = ["service"]\n'
        '[sources.machine]\nkind = "journald"\naddress = "{{machine}}"\n'
        '[sources.cluster]\nkind = "loki"\naddress = "{{cluster}}"\ntrusted_labels = ["service"]\n'
    )


@pytest.fixture
async def world(tmp_path: Path, config: str) -> AsyncIterator[World]:
    shop, machine, cluster = FakeVictoriaLogs(), FakeJournal(), FakeLoki()
    async with AsyncExitStack() as stack:
        servers = (
            await stack.enter_async_context(serving(shop.respond)),
            await stack.enter_async_context(serving(machine.respond)),
            await stack.enter_async_context(serving(cluster.respond)),
        )
        text = config
        for name, one in zip(("shop", "machine", "cluster"), servers, strict=True):
            text = text.replace("{{" + name + "}}", one.address)
        server = await asyncio.to_thread(Stack(tmp_path, config=text).start)
        try:
            alice = await asyncio.to_thread(server.add, "alice")
            bob = await asyncio.to_thread(server.add, "bob", "approvers")
            yield World(shop, machine, cluster, servers, alice, bob)
        finally:
            await asyncio.to_thread(server.stop)


async def test_lines_of_victorialogs_are_narrowed_redacted_and_asked_for_without_what_was_typed(world: World) -> None:
    now = world.now_ns()
    pay, other = {"service": "pay"}, {"service": "other"}
    await world.shop.write(
        [
            Stored(now - 5 * 10**9, pay, f"{TYPED} from jane.roe@example.com"),
            Stored(now - 4 * 10**9, pay, "no"),
            Stored(now - 3 * 10**9, other, f"{TYPED} hidden"),
            Stored(now - 86_400 * 10**9, pay, f"{TYPED} too old"),
        ]
    )
    grant = await world.granted("shop", '{service="pay"}')
    quoted = TYPED.replace('"', '\\"')
    [line] = await world.read(grant, f'{{service="pay"}} |= "{quoted}"')
    assert line.startswith(TYPED)
    assert "jane.roe" not in line
    for call in world.servers[0].calls:
        assert TYPED not in str(call)
        if call.path.endswith("/query") and "limit 1" not in str(call.form[0]):
            assert ("extra_stream_filters", '_stream:{"service"="pay"}') in call.form
    await _too_much_is_not_passed_on(world, grant, now)


async def _too_much_is_not_passed_on(world: World, grant: str, now: int) -> None:
    answered: list[Call] = []

    async def instead(call: Call, answer: Answer) -> bool:
        first = call.path.endswith("/query") and not answered
        if first:
            answered.append(call)
            await answer.head(LINES)
            for step, service in enumerate(["other", "pay", "other"]):
                await answer.piece(record_of(Stored(now - 10**9 - step, {"service": service}, f"of {service}")))
            await answer.end()
        return first

    world.shop.rows.clear()
    world.shop.instead = instead
    assert await world.read(grant, direction="backward") == ["of pay"]


@pytest.mark.attack("RD-08")
async def test_lines_of_the_journal_are_read_and_what_a_store_says_in_an_error_reaches_nobody(
    world: World, tmp_path: Path
) -> None:
    us = world.now_ns() // 1_000
    for step, unit in enumerate(["pay.service", "ssh.service", "pay.service"]):
        text = f"{step} accepted jane.roe@example.com"
        await world.machine.write(us - 10**6 + step, MESSAGE=text, _SYSTEMD_UNIT=unit, _HOSTNAME="h", PRIORITY="6")
    grant = await world.granted("machine", '{systemd_unit="pay.service"}')
    found = await world.read(grant, direction="forward")
    assert [line[:10] for line in found] == ["0 accepted", "2 accepted"]
    assert not any("jane.roe" in line for line in found)

    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.whole(SAID.encode(), "text/plain", status="400 Bad")
        return True

    world.machine.instead = instead
    with pytest.raises(Refused) as caught:
        await world.read(grant)
    assert caught.value.status == 502
    assert SAID not in str(caught.value)
    assert SAID not in (tmp_path / "stderr.log").read_text()
    assert '"status": 400' in (tmp_path / "stderr.log").read_text()
    shown = await asyncio.to_thread(world.alice.call, "GET", "/sources")
    assert {one["id"]: one["ok"] for one in shown["items"]} == {
        "files": True,
        "shop": True,
        "machine": False,
        "cluster": True,
    }


async def test_lines_of_loki_are_narrowed_redacted_and_asked_for_without_what_was_typed(world: World) -> None:
    now = world.now_ns()
    pay, other = {"service": "pay"}, {"service": "other"}
    await world.cluster.write(
        [
            LokiLine(now - 86_400 * 10**9, pay, f"{TYPED} too old"),
            LokiLine(now - 5 * 10**9, pay, f"{TYPED} from jane.roe@example.com", {"user": "jane.roe@example.com"}),
            LokiLine(now - 4 * 10**9, pay, "no"),
            LokiLine(now - 3 * 10**9, other, f"{TYPED} hidden", {"service": "pay"}),
        ]
    )
    grant = await world.granted("cluster", '{service="pay"}')
    quoted = TYPED.replace('"', '\\"')
    [line] = await world.read(grant, f'{{service="pay"}} |= "{quoted}"')
    assert line.startswith(TYPED)
    assert "jane.roe" not in line
    for call in world.servers[2].calls:
        assert TYPED not in str(call)
        if dict(call.query)["limit"] != "1":  # which a health check asks for, of no line
            assert dict(call.query)["query"] == '{service="pay"}'

    async def instead(_call: Call, answer: Answer) -> bool:
        rows = [
            LokiLine(now - 10**9 - step, {"service": one}, f"of {one}") for step, one in enumerate(["other", "pay"])
        ]
        await loki_answer(answer, world.cluster.answer_of(rows))
        return True

    world.cluster.instead = instead
    assert await world.read(grant, direction="backward") == ["of pay"]

    async def refusing(_call: Call, answer: Answer) -> bool:
        await answer.whole(SAID.encode(), "text/plain", status="400 Bad")
        return True

    world.cluster.instead = refusing
    with pytest.raises(Refused) as caught:
        await world.read(grant)
    assert (caught.value.status, SAID in str(caught.value)) == (502, False)
