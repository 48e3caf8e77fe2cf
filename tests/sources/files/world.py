"""A folder of logs, a file source over it, and clocks that only move when told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loglease.model.instant import Instant, Interval
from loglease.model.labels import Labels, Selector, matcher_of, selector_of
from loglease.sources.files import FileSource, FileSourceConfig, Watch
from loglease.sources.interface import Direction, Gap, Page, ReadPlan

NOW_S = 1_795_000_000  # 2026-11-18
FULL = Interval(0, 1 << 62)


@dataclass
class ToldClock:
    now_us: int = NOW_S * 1_000_000
    boot: int = 0

    def now(self) -> Instant:
        return Instant(self.now_us)

    def boot_ns(self) -> int:
        return self.boot

    def pass_s(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)
        self.boot += round(seconds * 1e9)


@dataclass
class World:
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    clock: ToldClock = field(default_factory=ToldClock)
    watches: tuple[Watch, ...] | None = None

    def __post_init__(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def configuration(self) -> FileSourceConfig:
        watches = self.watches
        if watches is None:
            watches = (Watch(root=self.logs, pattern="app.log*", labels={"service": "shop"}),)
        return FileSourceConfig(name="files", directory=self.data, watches=watches, **self.options)

    def source(self) -> FileSource:
        return FileSource(self.configuration(), self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FileSource]:
        source = self.source()
        await source.start(poll=False)
        try:
            yield source
        finally:
            await source.aclose()

    def write(self, name: str, data: bytes) -> Path:
        path = self.logs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(data)
        return path

    async def stored(self) -> list[bytes]:
        """What a fresh process stores and reads; the world before is as it was left."""
        async with self.running() as source:
            await source.refresh()
            return await texts(source)

    def watching(self, **changes: Any) -> World:
        watch = Watch(root=self.logs, pattern="app.log*", labels={"service": "shop"})
        self.watches = (replace(watch, **changes),)
        return self


def plan(
    start: int = 0,
    end: int | None = 1 << 62,
    *,
    direction: Direction = Direction.FORWARD,
    literals: tuple[bytes, ...] = (),
    marks: tuple[bytes, ...] = (),
    page_lines: int = 5_000,
    page_bytes: int = 1 << 20,
    **labels: str,
) -> ReadPlan:
    matchers = {name: matcher_of(exact=[value]) for name, value in labels.items()}
    selector = selector_of({name: matcher for name, matcher in matchers.items() if matcher is not None})
    return ReadPlan(
        selector=selector,
        interval=Interval(start, end),
        direction=direction,
        literals=literals,
        marks=marks,
        page_lines=page_lines,
        page_bytes=page_bytes,
    )


def rows_of(page: Page) -> list[tuple[int, Labels, bytes]]:
    return [
        (time, page.streams[place], line) for time, place, line in zip(page.ts, page.stream, page.lines, strict=True)
    ]


async def rows(source: FileSource, wanted: ReadPlan | None = None) -> list[tuple[int, Labels, bytes]]:
    return [row async for page in source.read(wanted or plan()) for row in rows_of(page)]


async def texts(source: FileSource, wanted: ReadPlan | None = None) -> list[bytes]:
    return [line for _, _, line in await rows(source, wanted)]


class Tailing:
    """A follower in a task of its own, whose lines can be waited for."""

    def __init__(self, source: FileSource, wanted: ReadPlan | None = None) -> None:
        self.rows: list[tuple[int, Labels, bytes]] = []
        self.gaps: list[Gap] = []
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._run(source, wanted or plan(0, None)))

    async def _run(self, source: FileSource, wanted: ReadPlan) -> None:
        async for item in source.follow(wanted):
            if isinstance(item, Gap):
                self.gaps.append(item)
            else:
                self.rows += rows_of(item)
            async with self._changed:
                self._changed.notify_all()

    @property
    def texts(self) -> list[bytes]:
        return [line for _, _, line in self.rows]

    async def until(self, true: Callable[[Tailing], bool]) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: true(self))

    async def count(self, lines: int) -> None:
        await self.until(lambda tail: len(tail.rows) >= lines)

    async def end(self) -> None:
        await self._task

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


EVERYTHING = Selector()
