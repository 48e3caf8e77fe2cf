"""A chunk that misses its deadline: nothing of it leaves, nobody else waits for it, and no end of the process does."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from tests.fakes.redaction import built, with_validator
from tests.gateway.world import T0, TOKEN, call, eventually, line, world

from loglease.gateway import GatewaySettings
from loglease.gateway.chunks import redacting
from loglease.gateway.turns import MAX_STUCK, Turns
from loglease.redaction import Withheld

SHORT_S = 0.05


class Gate:
    """What work waits for until a test lets it go on."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.begun = threading.Semaphore(0)

    def wait(self, _value: bytes = b"") -> bool:
        self.begun.release()
        self._open.wait(30)
        return True

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    one = Gate()
    yield one
    one.open()


@pytest.mark.attack("RD-08")
async def test_a_chunk_that_misses_its_deadline_is_withheld_and_its_thread_replaced(gate: Gate) -> None:
    turns, redactor = Turns(1, deadline_s=SHORT_S), built()

    def work() -> str:
        with redacting(redactor):
            gate.wait()
        return "late"

    with pytest.raises(Withheld) as caught:
        await turns.turn()(work)
    assert (caught.value.reason, caught.value.engine) == ("deadline", "hyperscan")
    assert turns.stuck == 1
    assert await turns.turn()(lambda: "another's") == "another's"
    gate.open()
    await eventually(lambda: turns.stuck == 0)
    assert await turns.turn()(lambda: "and on") == "and on"
    turns.close()


async def test_a_loop_without_end_is_stopped() -> None:
    turns, redactor = Turns(1, deadline_s=SHORT_S), built()

    def work() -> None:
        with redacting(redactor):
            while True:
                with contextlib.suppress(Exception):
                    len("code that goes on after errors")

    with pytest.raises(Withheld):
        await turns.turn()(work)
    await eventually(lambda: turns.stuck == 0)
    assert await turns.turn()(lambda: "and on") == "and on"
    turns.close()


async def test_only_redaction_counts(gate: Gate) -> None:
    turns = Turns(1, deadline_s=SHORT_S)
    late = asyncio.create_task(turns.turn()(gate.wait))
    await asyncio.sleep(4 * SHORT_S)
    assert not late.done()
    gate.open()
    assert await late is True
    assert turns.stuck == 0
    turns.close()


async def test_many_short_chunks_may_take_longer_together() -> None:
    turns, redactor = Turns(1, deadline_s=SHORT_S), built()

    def work() -> str:
        for _ in range(8):
            with redacting(redactor):
                threading.Event().wait(SHORT_S / 4)
        return "all"

    assert await turns.turn()(work) == "all"
    turns.close()


async def test_who_no_longer_waits_keeps_the_thread_until_it_is_free_or_given_up(gate: Gate) -> None:
    turns, redactor = Turns(1, deadline_s=SHORT_S), built()

    def work() -> None:
        with redacting(redactor):
            gate.wait()

    gone = asyncio.create_task(turns.turn()(work))
    await eventually(lambda: gate.begun.acquire(blocking=False))
    gone.cancel()
    assert await turns.turn()(lambda: "next") == "next"
    assert turns.stuck == 1
    turns.close()


async def test_threads_that_are_stuck_have_a_bound(gate: Gate) -> None:
    turns, redactor = Turns(1, deadline_s=SHORT_S), built()

    def work() -> None:
        with redacting(redactor):
            gate.wait()

    for _ in range(MAX_STUCK + 1):
        with pytest.raises(Withheld):
            await turns.turn()(work)
    waiting = asyncio.create_task(turns.turn()(lambda: "at last"))
    await asyncio.sleep(2 * SHORT_S)
    assert not waiting.done()
    gate.open()
    assert await waiting == "at last"
    await eventually(lambda: turns.stuck == 0)
    turns.close()


async def test_a_stuck_validator_ends_its_session_and_no_other(tmp_path, gate: Gate) -> None:
    lines = [line(T0, "fine", service="a"), line(T0 + 1, "code=a1b2c3d4e5", service="a"), line(T0, "b", service="b")]
    settings = GatewaySettings(workers=1, deadline_s=SHORT_S)
    async with world(tmp_path, settings=settings, lines=lines) as w:
        stuck, other = await w.grant(), await w.grant('{service="b"}')
        redactor = with_validator(lambda value: value == b"a1b2c3d4" or gate.wait(value))
        w.redactors[stuck.id] = redactor
        answer = await call(w, f"/g/{stuck.id}/logs?start=0", TOKEN)
        assert answer.status == 503
        assert b"fine" not in answer.raw
        assert b"a1b2" not in answer.raw
        assert (await call(w, f"/g/{other.id}/logs?start=0", TOKEN)).lines == ["b"]
        closed = {one["ref"]["grant"]: one["data"] for one in await w.entries("session.closed")}
        assert closed[stuck.id]["why"] == "redaction"
        assert closed[stuck.id]["detail"] == "deadline; engine hyperscan; profile shop@1"
        assert closed[stuck.id]["total"]["lines"] == 0
        assert closed[other.id]["why"] == "complete"
        assert [fault.reason for fault in w.withheld] == ["deadline"]
        assert redactor.open().feed(b"fine\n").out == b"fine\n"


def test_a_stuck_thread_keeps_no_process_from_its_end() -> None:
    code = (
        "import asyncio, threading\n"
        "from loglease.gateway.turns import Turns\n"
        "async def main():\n"
        "    turns = Turns(1)\n"
        "    begun = threading.Event()\n"
        "    waiting = asyncio.create_task(turns.turn()(lambda: (begun.set(), threading.Event().wait())))\n"
        "    await asyncio.to_thread(begun.wait)\n"
        "    waiting.cancel()\n"
        "    turns.close()\n"
        "asyncio.run(main())\n"
        "print('ended')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"ended\n"
