"""What goes wrong during a soak: each fault lasts for a while, and is over when its function returns."""

from __future__ import annotations

import random
import resource
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
import psycopg
from tests.fakes.own_postgres import OwnPostgres
from tests.fakes.stack import Stack
from tests.soak.proxy import Proxy

NO_GROWTH = 0
"""With this limit no file may be written at all, as on a disk that is full to the last byte."""


@dataclass
class Place:
    """What may fail: servers, the roads between them and the database, and that."""

    servers: Sequence[Stack]
    roads: Sequence[Proxy]
    database: OwnPostgres
    chance: random.Random
    clocks: list[dict[str, float]] = field(default_factory=list)

    def server(self) -> Stack:
        """Draw one."""
        return self.chance.choice(list(self.servers))

    def road(self) -> Proxy:
        """Draw one."""
        return self.chance.choice(list(self.roads))

    def lasting(self, least: float, most: float) -> None:
        """Let it last."""
        time.sleep(self.chance.uniform(least, most))


def server_killed(place: Place) -> None:
    """A server ends without any warning, and is started again."""
    one = place.server()
    one.kill()
    place.lasting(0, 2)
    restarted(one)


def server_stopped(place: Place) -> None:
    """A server is asked to end, and is started again."""
    one = place.server()
    one.stop()
    restarted(one)


def server_frozen(place: Place) -> None:
    """A server does nothing for a while."""
    one = place.server()
    assert one.process is not None
    one.process.send_signal(signal.SIGSTOP)
    place.lasting(0.5, 6)
    one.process.send_signal(signal.SIGCONT)


def server_disk_full(place: Place) -> None:
    """No file of a server can be written for a while."""
    one = place.server()
    assert one.process is not None
    pid = one.process.pid
    with suppress(ProcessLookupError):
        limited(pid, NO_GROWTH)
        place.lasting(1, 5)
        limited(pid, None)
    place.lasting(0.5, 1)


def clock_jumps(place: Place) -> None:
    """The wall clock of a server's machine is wrong for a while."""
    one = place.server()
    ahead_s = place.chance.choice((-30.0, -3.0, 3.0, 30.0))
    place.clocks.append({"at": time.monotonic(), "ahead_s": ahead_s})
    one.step(ahead_s)
    place.lasting(1, 4)
    one.step(0.0)


def database_killed(place: Place) -> None:
    """The database ends without any warning, and is started again."""
    place.database.kill()
    place.lasting(0, 3)
    place.database.start()


def database_stopped(place: Place) -> None:
    """The database is stopped in order, and is started again."""
    place.database.stop()
    place.lasting(0, 5)
    place.database.start()


def database_frozen(place: Place) -> None:
    """The database does nothing for a while."""
    with place.database.frozen():
        place.lasting(0.5, 6)


def connections_cut(place: Place) -> None:
    """The database ends all connections, whatever they are doing."""
    for _ in range(place.chance.randint(1, 5)):
        place.database.cut_connections()
        place.lasting(0, 0.3)


def partition(place: Place) -> None:
    """Nothing goes through between a server and the database, and neither is told."""
    road = place.road()
    road.say("hold")
    place.lasting(0.5, 7)
    if place.chance.random() < 0.5:
        road.say("tear")
    road.say("open")


def slow_store(place: Place) -> None:
    """All that goes between a server and the database takes longer."""
    road = place.road()
    road.say(f"slow {place.chance.uniform(0.02, 0.4):.3f}")
    place.lasting(2, 8)
    road.say("open")


def road_torn(place: Place) -> None:
    """All connections between a server and the database end."""
    place.road().say("tear")


FAULTS: tuple[Callable[[Place], None], ...] = (
    server_killed,
    server_killed,
    server_stopped,
    server_frozen,
    server_disk_full,
    clock_jumps,
    database_killed,
    database_stopped,
    database_frozen,
    connections_cut,
    partition,
    partition,
    slow_store,
    road_torn,
)


def limited(pid: int, most: int | None) -> None:
    """Let a process write files up to a size, or of any size again."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if most is None else most, hard))


def restarted(one: Stack, within_s: float = 120) -> None:
    """Start a server, again and again if the database does not let it."""
    until = time.monotonic() + within_s
    while True:
        try:
            one.start()
        except AssertionError:
            if time.monotonic() > until:
                raise
            one.stop()
            time.sleep(0.5)
        else:
            return


def revived(database: OwnPostgres) -> None:
    """Start the database again if it ended; wait until it answers."""
    until = time.monotonic() + 60
    while True:
        with suppress(psycopg.OperationalError, psutil.NoSuchProcess, RuntimeError):
            if not database.runs():
                database.start()
            with psycopg.connect(database.url, connect_timeout=5):
                return
        if time.monotonic() > until:
            raise RuntimeError("the database does not come back")
        time.sleep(0.3)
