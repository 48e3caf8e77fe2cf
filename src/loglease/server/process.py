"""One serving process: sockets first, then everything else, until a signal ends it in an orderly way."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import structlog
import uvicorn

from loglease.audit.interface import AuditUnavailable
from loglease.audit.lost import LogBehind
from loglease.gateway.arrivals import Arrivals
from loglease.gateway.connection import MAX_HEAD_BYTES, listening_protocol
from loglease.server.edge import App
from loglease.server.health import health_app
from loglease.server.local_door import local_door
from loglease.server.loops import running, supervised
from loglease.server.memory import keep_one_heap
from loglease.server.reload import reload_rules
from loglease.server.services import Services
from loglease.server.settings import Address, LimitSettings, Settings, SettingsInvalid
from loglease.server.telemetry import report_fault
from loglease.server.wiring import Application, build, close, create_app
from loglease.store.interface import StoreUnavailable, Transaction

BACKLOG: Final = 1_024
OWN_DESCRIPTORS: Final = 256
"""Descriptors kept for the database, the sources and the health checks."""

HEALTH_CONNECTIONS: Final = 64
"""Health checks have a listener and places of their own."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_STARTED_WITHIN_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.01
AGAIN_AFTER_S: Final = 1.0
"""How long a server that begins anew waits for a database that does not take it yet."""
COLLECT_ALL_AFTER: Final = 50
"""Collections of what is young and middle-aged before one of everything, which takes a quarter of a second with a
thousand tails."""

_log: Final = structlog.get_logger("loglease.process")


@dataclass(frozen=True, slots=True)
class Ready:
    """A process that answers: where, and the first administrator's password if it was just made.

    Attributes:
        is_new: there is nobody beside the first administrator yet, or nobody has asked for anything.
    """

    services: Services
    url: str
    health_url: str
    admin_password: str | None
    is_new: bool


def listening(address: Address, flag: str = "--listen") -> socket.socket:
    """Return a socket that is bound to an address.

    Args:
        flag: the flag of `loglease serve` that chooses this address.

    Raises:
        SettingsInvalid: it is in use, or not ours.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio switches Nagle's delay off only where the protocol is named; with it every second answer waits for 40 ms.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((address.host, address.port))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        raise SettingsInvalid(
            f"{address} cannot be listened on: {error.strerror}.",
            next_step=f"Stop what uses it, or choose another: {flag} 127.0.0.1:0 takes a free one.",
        ) from error
    found.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    return found


def arrivals_of(limits: LimitSettings) -> Arrivals:
    """Return how many connections pages, API and gateway take: as set, or as the process has descriptors for."""
    if not limits.enforced:
        return Arrivals()
    most = limits.connections
    if most is None:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors != resource.RLIM_INFINITY:
            most = max(descriptors // 2, descriptors - OWN_DESCRIPTORS)
    return Arrivals(most=most, most_of_one=limits.connections_per_address)


class _Server(uvicorn.Server):
    """A server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


def _server(app: App, settings: Settings, arrivals: Arrivals, *, tls: bool) -> _Server:
    http = settings.http
    config = uvicorn.Config(
        app,
        http=listening_protocol(arrivals),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=http.drain_s,
        ssl_certfile=str(http.tls_certificate) if tls else None,
        ssl_keyfile=str(http.tls_key) if tls else None,
    )
    return _Server(config)


SWITCH_S: Final = 0.0005
"""How long a thread that computes keeps the others from the interpreter: commits and sockets wait for it many times."""


async def run_process(settings: Settings, *, on_ready: Callable[[Ready], None]) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends what is still open at once. SIGHUP reads the rules again.

    Where the database went on without it, the server begins anew, as it does after a restart: that is the one way back.

    Raises:
        LogLeaseError: it could not be started.
    """
    sys.setswitchinterval(SWITCH_S)
    keep_one_heap()
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def heard() -> None:
        (hurry if stop.is_set() else stop).set()

    for one in _SIGNALS:
        loop.add_signal_handler(one, heard)
    asked = asyncio.Event()
    # From the beginning, since without a handler the signal would end the process.
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    announce: Callable[[Ready], None] | None = on_ready
    moved = False
    while not stop.is_set():
        try:
            async with serving(settings, hurry=hurry, moved=moved) as ready:
                moved = False
                if announce is not None:
                    _rest_from_collecting()
                    announce(ready)
                    announce, settings = None, ready.services.settings
                await _until_over(ready.services, stop, asked)
                moved = ready.services.watch.moved
        except (AuditUnavailable, LogBehind, StoreUnavailable) as error:
            if announce is not None or stop.is_set():
                raise
            # What a database has lost, another server may have published, and puts back.
            _log.error("begins_anew", reason=error.message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), AGAIN_AFTER_S)


def _rest_from_collecting() -> None:
    """Have collections of garbage walk over less, and less often over everything: each holds up all that is served."""
    # What the start made stays until the end.
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, COLLECT_ALL_AFTER)


async def _until_over(services: Services, stop: asyncio.Event, asked: asyncio.Event) -> None:
    """Wait for the end, or until the database says that the server has to begin anew; read rules when asked to."""
    waits = [asyncio.create_task(one.wait()) for one in (stop, services.watch.gone)]
    reloading = asyncio.create_task(supervised("reload", lambda: _reloading(services, asked)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*waits, reloading):
            task.cancel()
    if not stop.is_set():
        reason = (
            "The database went on from an earlier moment" if services.watch.moved else "The others went on without it"
        )
        _log.warning("begins_anew", reason=f"{reason}.")


async def _reloading(services: Services, asked: asyncio.Event) -> None:
    """Read the rules each time that it is asked for; being asked again meanwhile counts once."""
    while True:
        await asked.wait()
        asked.clear()
        await reload_rules(services)


@asynccontextmanager
async def serving(
    settings: Settings, *, hurry: asyncio.Event | None = None, moved: bool = False
) -> AsyncIterator[Ready]:
    """Serve inside the block; leaving it drains: nothing new, bodies finish, the stop is recorded.

    Args:
        hurry: ends the waiting for bodies.
        moved: whether the database went on from an earlier moment while this server used it.

    Raises:
        LogLeaseError: it could not be started.
    """
    asyncio.get_running_loop().set_exception_handler(report_fault)
    listeners = [listening(settings.http.listens_at), listening(settings.http.health_at, "--health")]
    try:
        settings = _with_ports(settings, listeners)
        services = await build(settings, moved=moved)
        try:
            admin = await services.accounts.first_admin()
            async with (
                running(services),
                local_door(services),
                _answering(services, listeners, hurry or asyncio.Event()),
            ):
                scheme = "https" if settings.http.tls else "http"
                _log.info("serving", address=settings.http.listen, vkey=str(services.publishing.key))
                yield Ready(
                    services=services,
                    url=f"{scheme}://{settings.http.listen}",
                    health_url=f"http://{settings.http.health}",
                    admin_password=None if admin is None else admin.password,
                    is_new=await services.store.read(_is_new),
                )
        finally:
            await close(services)
    finally:
        for listener in listeners:
            listener.close()


def _is_new(tx: Transaction) -> bool:
    return len(list(tx.principals.directory().humans())) < 2 or not tx.requests.page(limit=1)  # noqa: PLR2004 - a pair


def _with_ports(settings: Settings, listeners: list[socket.socket]) -> Settings:
    """Return the settings with the ports that were taken, where a free one was asked for."""
    listen, health = (
        str(replace(address, port=listener.getsockname()[1]))
        for address, listener in zip((settings.http.listens_at, settings.http.health_at), listeners, strict=True)
    )
    return settings.model_copy(update={"http": settings.http.model_copy(update={"listen": listen, "health": health})})


@asynccontextmanager
async def _answering(services: Services, listeners: list[socket.socket], hurry: asyncio.Event) -> AsyncIterator[None]:
    app = create_app(services)
    servers = [
        _server(app, services.settings, arrivals_of(services.settings.limits), tls=services.settings.http.tls),
        _server(health_app(services), services.settings, Arrivals(most=HEALTH_CONNECTIONS), tls=False),
    ]
    began = time.monotonic()
    try:
        # A listener that fails ends the block, and with it the process, so that whoever supervises it sees.
        async with asyncio.TaskGroup() as group:
            for server, listener in zip(servers, listeners, strict=True):
                group.create_task(server.serve(sockets=[listener]))
            try:
                await asyncio.wait_for(_started(servers), _STARTED_WITHIN_S)
                yield
            finally:
                began = time.monotonic()
                services.standing.draining = True
                services.hub.close()
                await _drained(app, services.settings.http.drain_s, hurry)
                for server in servers:
                    server.should_exit = True
    finally:
        app.gateway.close()
        _log.info("stopped", duration_ms=round((time.monotonic() - began) * 1_000))


async def _drained(app: Application, within_s: float, hurry: asyncio.Event) -> None:
    """End all sessions: tails at once, queries when they are done or the time is over, or when told to hurry."""
    draining = asyncio.create_task(app.gateway.drain(within_s))
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        await app.gateway.drain(0)
    hurried.cancel()
    await draining


async def _started(servers: list[_Server]) -> None:
    """Wait until the servers answer; uvicorn has no event for that."""
    while not all(server.started for server in servers):  # noqa: ASYNC110 - the flag is uvicorn's
        await asyncio.sleep(_LOOK_EVERY_S)
