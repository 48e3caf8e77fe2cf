from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.grown_log import GrownLog

from loglease.audit.note import SigningKey
from loglease.audit.sinks.delivery import AT_ONCE, Delivery, SinkState
from loglease.audit.sinks.interface import SinkFailed, checkpoint_of
from loglease.model.instant import Instant
from loglease.store.interface import StoreUnavailable

LOG = GrownLog()


class Heads:
    """The table of signed heads, and what is remembered of sinks."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = list(sizes)
        self.states: dict[str, SinkState] = {}
        self.down = False

    async def after(self, size: int, limit: int) -> Sequence[bytes]:
        if self.down:
            raise StoreUnavailable("The database is down.")
        return [LOG.note(one) for one in self.sizes if one > size][:limit]

    async def newest_size(self) -> int:
        return self.sizes[-1] if self.sizes else 0

    async def state(self, sink: str) -> SinkState | None:
        return self.states.get(sink)

    async def keep(self, sink: str, state: SinkState) -> None:
        self.states[sink] = state


class Shelf:
    """A sink in memory."""

    kind = "shelf"
    readable = True

    def __init__(self) -> None:
        self.notes: list[bytes] = []
        self.full = False
        self.closed = False

    @property
    def sizes(self) -> list[int]:
        return [checkpoint_of(one).size for one in self.notes]

    def write(self, notes: Sequence[bytes], at: Instant) -> None:
        if self.full:
            self.notes += notes[:1]
            raise SinkFailed("There is no room.")
        self.notes += notes

    def newest(self) -> bytes | None:
        return self.notes[-1] if self.notes else None

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


Make = Callable[..., Delivery]


@pytest.fixture
async def make(clock: FakeClock) -> AsyncIterator[Make]:
    made: list[tuple[Delivery, Shelf]] = []

    def delivery(heads: Heads, shelf: Shelf, **more: object) -> Delivery:
        keys = [LOG.key.verifier]
        made.append((Delivery("shelf", shelf, heads=heads, keys=keys, clock=clock, **more), shelf))
        return made[-1][0]

    yield delivery
    for one, shelf in made:
        await one.aclose()
        assert shelf.closed


async def test_a_new_sink_begins_with_the_newest_head_and_gets_every_later_one(make: Make) -> None:
    heads, shelf = Heads(0, 5, 9), Shelf()
    delivery = make(heads, shelf)
    assert await delivery.step()
    assert not await delivery.step()
    heads.sizes += [10, 11, 200]
    assert await delivery.step()
    assert shelf.sizes == [9, 10, 11, 200]
    assert heads.states == {"shelf": SinkState(200)}
    assert (delivery.size, delivery.fault, delivery.lag_s) == (200, None, 0.0)


async def test_a_log_without_a_head_is_waited_for(make: Make) -> None:
    heads, shelf = Heads(), Shelf()
    delivery = make(heads, shelf)
    assert not await delivery.step()
    heads.sizes.append(0)
    assert await delivery.step()
    assert shelf.sizes == [0]


async def test_after_a_crash_heads_come_once_more_and_none_is_left_out(make: Make) -> None:
    heads, shelf = Heads(5), Shelf()
    await make(heads, shelf).step()
    heads.sizes += [6, 7]
    shelf.write([LOG.note(6)], Instant(0))  # written, and then the process was killed
    await make(heads, shelf).step()
    assert shelf.sizes == [5, 6, 6, 7]


async def test_a_flood_comes_in_parts(make: Make) -> None:
    heads, shelf = Heads(0), Shelf()
    delivery = make(heads, shelf)
    await delivery.step()
    heads.sizes += range(1, 251)
    while await delivery.step():
        assert len(shelf.notes) <= AT_ONCE + 1 or shelf.sizes[-1] == 250
    assert shelf.sizes == list(range(251))


async def test_a_sink_that_fails_is_handed_the_same_again(make: Make, clock: FakeClock) -> None:
    heads, shelf = Heads(5), Shelf()
    delivery = make(heads, shelf, max_lag_s=60)
    await delivery.step()
    heads.sizes += [6, 7]
    shelf.full = True
    began = clock.now()
    with pytest.raises(SinkFailed):
        await delivery.step()
    assert delivery.fault == "There is no room."
    assert heads.states["shelf"] == SinkState(5, began)
    assert not delivery.late
    clock.advance(60.5)
    with pytest.raises(SinkFailed):
        await delivery.step()
    assert (delivery.late, delivery.lag_s) == (True, 60.5)
    assert heads.states["shelf"] == SinkState(5, began)
    shelf.full = False
    assert await delivery.step()
    assert [delivery.late, delivery.fault] == [False, None]
    assert heads.states["shelf"] == SinkState(7)
    assert sorted(set(shelf.sizes)) == [5, 6, 7]


async def test_a_start_does_not_forget_since_when_a_head_waits(make: Make, clock: FakeClock) -> None:
    heads, shelf = Heads(5), Shelf()
    await make(heads, shelf).step()
    heads.sizes.append(6)
    shelf.full = True
    began = clock.now()
    with pytest.raises(SinkFailed):
        await make(heads, shelf).step()
    clock.advance(1_000)
    again = make(heads, shelf)
    with pytest.raises(SinkFailed):
        await again.step()
    assert again.late
    assert heads.states["shelf"] == SinkState(5, began)


async def test_a_sink_that_never_took_a_head_begins_again_with_the_newest(make: Make) -> None:
    heads, shelf = Heads(5), Shelf()
    shelf.full = True
    with pytest.raises(SinkFailed):
        await make(heads, shelf).step()
    assert heads.states["shelf"].size == -1
    shelf.full, shelf.notes = False, []
    heads.sizes.append(9)
    await make(heads, shelf).step()
    assert shelf.sizes == [9]


async def test_a_sink_that_has_lost_heads_gets_no_new_ones(make: Make) -> None:
    heads, shelf = Heads(5, 9), Shelf()
    await make(heads, shelf).step()
    for left in ([], [LOG.note(5)]):
        shelf.notes = list(left)
        heads.sizes.append(heads.sizes[-1] + 1)
        delivery = make(heads, shelf)
        with pytest.raises(SinkFailed, match="has lost heads: it had one of size 9"):
            await delivery.step()
        assert shelf.notes == left
    shelf.notes = [LOG.note(9)]
    assert await delivery.step()
    assert shelf.sizes == [9, 10, 11]


async def test_heads_that_others_signed_are_noticed(make: Make) -> None:
    heads, shelf = Heads(5), Shelf()
    await make(heads, shelf).step()
    shelf.notes = [GrownLog(seed=2).note(9)]
    delivery = make(heads, shelf)
    with pytest.raises(SinkFailed, match="not signed by this log's key"):
        await delivery.step()
    with pytest.raises(SinkFailed, match="not signed"):
        await delivery.newest()


async def test_heads_of_another_log_are_none_of_ours(make: Make) -> None:
    shelf = Shelf()
    shelf.notes = [GrownLog(origin="logs.example.com/loglease/0").note(9)]
    delivery = make(Heads(5), shelf)
    assert await delivery.newest() is None
    await delivery.step()
    assert await delivery.newest() == LOG.head(5)


async def test_what_cannot_be_read_back_is_not_asked(make: Make) -> None:
    class Hole(Shelf):
        readable = False

        def newest(self) -> bytes | None:
            raise AssertionError

    heads, hole = Heads(5), Hole()
    delivery = make(heads, hole)
    await delivery.step()
    assert await delivery.newest() is None
    assert await make(heads, hole).step() is False


async def test_a_database_that_is_down_is_told_and_loses_nothing(make: Make) -> None:
    heads, shelf = Heads(5), Shelf()
    delivery = make(heads, shelf)
    heads.down = True
    with pytest.raises(StoreUnavailable):
        await delivery.step()
    await delivery.finish(1.0)
    heads.down = False
    await delivery.finish(20.0)
    assert shelf.sizes == [5]


async def test_the_loop_goes_on_after_failures(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    heads, shelf = Heads(5), Shelf()
    delivery = make(heads, shelf)
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 9:
            shelf.full = False
        await real(0)

    monkeypatch.setattr("loglease.audit.sinks.delivery.asyncio.sleep", sleep)
    shelf.full = True
    task = asyncio.create_task(delivery.run())
    while len(pauses) < 11:
        await real(0)
    task.cancel()
    assert pauses[:11] == [1, 2, 4, 8, 16, 32, 60, 60, 60, 1, 1]
    assert shelf.sizes[-1] == 5


async def test_a_key_of_another_name_is_no_key_of_this_log(clock: FakeClock) -> None:
    shelf = Shelf()
    shelf.notes = [LOG.note(5)]
    other = SigningKey("logs.example.com/loglease/2", bytes(32)).verifier
    delivery = Delivery("shelf", shelf, heads=Heads(), keys=[other], clock=clock)
    assert await delivery.newest() is None
    await delivery.aclose()
