"""Health and metrics, on a listener of their own: does the process answer, and may calls be sent to it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson

from loglease.access.watch import Watch
from loglease.audit.interface import Recorded
from loglease.audit.sinks.delivery import Delivery
from loglease.model.errors import LogLeaseError
from loglease.model.instant import MICROSECONDS, duration_text, instant_text
from loglease.model.notice import NoticeState
from loglease.model.pace import SETTLED_S, ClockCheck
from loglease.server.edge import App, Receive, Scope, Send
from loglease.server.engines import Engines
from loglease.server.metrics.gauges import CONTENT_TYPE, exposition
from loglease.server.notifications.building import missing
from loglease.server.publishing import Publishing
from loglease.server.services import Services
from loglease.sources.interface import Health
from loglease.sources.registry import Source
from loglease.store.interface import StoreUnavailable

FREE_SHARE: Final = 0.05
APPEND_WITHIN_S: Final = 2.0
_OK: Final[dict[str, object]] = {"status": "ok"}
_SETTLED: Final = duration_text(SETTLED_S)
_JSON: Final = b"application/json"
_NOT_FOUND: Final[dict[str, object]] = {"status": "not found"}


@dataclass(frozen=True, slots=True)
class Check:
    """One check: whether it passed, and in words what was seen. Only decisive ones make the process unready."""

    name: str
    ok: bool
    detail: str
    decisive: bool = True


async def checks(services: Services) -> list[Check]:
    """Return every check of readiness."""
    return [
        await _passes("database", lambda: services.store.touch(None), "The database takes a durable write."),
        await _passes("audit", lambda: _append(services), "The audit log takes an append."),
        await _log(services.publishing),
        *_witnesses(services),
        *map(_sink, services.sinks.deliveries),
        _policy(services),
        await _redactor(services.engines),
        _rules(services),
        await _notifications(services),
        _clock(services.watch),
        *await _servers(services),
        Check(
            "feed", services.watch.lease_until_ns > services.clock.boot_ns(), "The newest revocations are known here."
        ),
        _disk(services),
        Check("draining", not services.standing.draining, "The process is not stopping."),
        *await asyncio.gather(*map(_source, services.sources.values())),
        *_rotas(services),
        *(_facts(name, provider.health()) for name, provider in services.fact_providers.items()),
    ]


async def _log(publishing: Publishing) -> Check:
    """Return whether the log is what was recorded; that its end is not signed or published yet stops nobody."""
    fault, head = publishing.integrator.fault, publishing.head
    if fault is not None:
        return Check("log", ok=False, detail=f"The audit log was changed, so everything has ended. {fault.message}")
    try:
        size = await publishing.ledger.read(lambda tx: tx.entries.head().next)
    except StoreUnavailable as error:
        return Check("log", ok=False, detail=error.told, decisive=False)
    signed = 0 if head is None else head.checkpoint.size
    if publishing.trouble is not None:
        detail = f"{signed} of {size} entries are signed. {publishing.trouble}"
        return Check("log", ok=False, detail=detail, decisive=False)
    return Check("log", ok=True, detail=f"{signed} of {size} entries are signed.")


def _clock(watch: Watch) -> Check:
    """Return whether the clock can be trusted; while it cannot, nothing new begins."""
    if not watch.clock_suspect:
        return Check("clock", ok=True, detail="The clock keeps step, and is not behind what was recorded.")
    doubt = watch.clock_doubt
    if doubt is None:
        return Check("clock", ok=False, detail="The clock is right again; that is not on the record yet.")
    seconds = abs(doubt.skew_us) / MICROSECONDS
    if doubt.check is ClockCheck.MARK:
        told = f"is {seconds:.1f} s behind the latest time on record. Set it right, or wait until it gets there."
    elif doubt.skew_us > 0:
        told = f"stepped {seconds:.1f} s ahead. Set it back if it is wrong; if it stays, it is trusted in {_SETTLED}."
    else:
        told = f"stepped {seconds:.1f} s back. Set it right. If it is right now, restart the server."
    return Check("clock", ok=False, detail=f"Nothing new begins: the clock {told}")


def _witnesses(services: Services) -> list[Check]:
    """Return how each witness stands. Where records count once they are witnessed, calls fail by themselves."""
    if services.witnessing is None:
        return []
    return [
        Check(
            f"witness {one.shown}",
            one.fault is None,
            f"It has cosigned {one.known} entries." if one.fault is None else one.fault.message,
            decisive=False,
        )
        for one in services.witnessing.witnesses.all
    ]


def _sink(one: Delivery) -> Check:
    """Return whether a sink keeps up; a required one that lags too far makes the process unready."""
    lag = one.lag_s
    late = f" A head has waited for {lag:.0f} s." if one.late else ""
    if one.fault is None and not late:
        return Check(
            f"sink {one.name}", ok=True, detail=f"It has kept the head of size {max(one.size, 0)}.", decisive=False
        )
    return Check(
        f"sink {one.name}", ok=False, detail=f"{one.fault or ''}{late}".strip(), decisive=one.required and one.late
    )


async def _servers(services: Services) -> list[Check]:
    """Return which servers use the database, where several may."""
    if not services.store.is_shared:
        return []
    try:
        running = await services.store.read(lambda tx: tx.replicas.running(), urgent=True)
    except StoreUnavailable as error:
        return [Check("servers", ok=False, detail=error.told, decisive=False)]
    names = ", ".join(one.run.replica for one in running)
    return [Check("servers", ok=True, detail=f"This is {services.replica}; there run: {names}.", decisive=False)]


async def _source(source: Source) -> Check:
    health = await source.reader.check()
    detail = "The source can be read." if health.ok else health.detail
    return Check(f"source {source.name}", health.ok, detail, decisive=False)


def _rotas(services: Services) -> list[Check]:
    """Return a check that fails where policies wait for people of rotas that no calendar is configured for."""
    known = {rota for one in services.fact_providers.values() for rota in one.rosters()}
    absent = sorted(services.rules.current.bundle.catalog.rotas - known)
    if not absent:
        return []
    detail = f"The policy names rotas that no provider has, so nobody is on call: {', '.join(absent)}."
    return [Check("rotas", ok=False, detail=detail, decisive=False)]


def _facts(name: str, health: Health) -> Check:
    return Check(f"facts {name}", health.ok, health.detail, decisive=False)


async def _redactor(engines: Engines) -> Check:
    """Return whether an engine vouches for itself; one that had an error is tested again here, too."""
    proven = await asyncio.to_thread(engines.prove)
    if proven is None:
        return Check("redactor", ok=False, detail="No redaction engine passes its self-test, so nothing is served.")
    withheld = engines.withheld.total()
    told = f"; {withheld} texts were withheld since the start" if withheld else ""
    return Check("redactor", ok=True, detail=f"The engine {proven} has passed its self-test{told}.")


def _policy(services: Services) -> Check:
    """Say which bundle is in force, whether its time is over, and why a newer one is not. Active grants are read on."""
    bundle, fault = services.rules.current.bundle, services.standing.policy_fault
    until = "" if bundle.expires is None else f" until {instant_text(bundle.expires)}"
    told = f"Bundle revision {bundle.revision} is in force{until}."
    if bundle.expires is not None and bundle.expires <= services.clock.now():
        told = f"Bundle revision {bundle.revision} expired at {instant_text(bundle.expires)}: nothing new is granted."
    elif fault is None:
        return Check("policy", ok=True, detail=told, decisive=False)
    told += "" if fault is None else f" A newer one is refused. {fault}"
    return Check("policy", ok=False, detail=told, decisive=False)


def _rules(services: Services) -> Check:
    fault, own = services.standing.reload_fault, len(services.library.current.files)
    if fault is None:
        return Check("rules", ok=True, detail=f"{own} packs and profiles of one's own are in force.", decisive=False)
    return Check(
        "rules", ok=False, detail=f"The newest rules are refused, the last good ones in force. {fault}", decisive=False
    )


async def _notifications(services: Services) -> Check:
    """Return whether everybody was told: a channel that is down or missing stops no decision, and shows here."""
    try:
        counts = await services.store.read(lambda tx: tx.outbox.counts(), urgent=True)
    except StoreUnavailable as error:
        return Check("notifications", ok=False, detail=error.told, decisive=False)
    absent = missing(services.courier.channels, services.rules.current.bundle.catalog.channels)
    dead, waiting = counts[NoticeState.DEAD], counts[NoticeState.WAITING]
    faults = [f"{dead} notices were given up: loglease admin notify list --dead."] if dead else []
    if absent:
        faults.append(f"The policy names channels that are not configured: {', '.join(absent)}.")
    detail = " ".join(faults) or f"{len(services.courier.channels)} channels; {waiting} notices wait."
    return Check("notifications", not faults, detail, decisive=False)


async def _append(services: Services) -> None:
    await services.log.commit(lambda _tx, _now: Recorded(None), urgent=True, limit_s=APPEND_WITHIN_S)


async def _passes(name: str, step: Callable[[], Awaitable[object]], detail: str) -> Check:
    try:
        await step()
    except LogLeaseError as error:
        return Check(name, ok=False, detail=error.told)
    return Check(name, ok=True, detail=detail)


def _disk(services: Services) -> Check:
    usage = shutil.disk_usage(services.data_dir)
    share = usage.free / usage.total
    return Check("disk", share > FREE_SHARE, f"{share:.0%} of the disk is free.")


def health_app(services: Services) -> App:
    """Return the application of the health listener."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        status, body, kind = 404, _NOT_FOUND, _JSON
        content = b""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            if scope["path"] == "/healthz":
                status, body = 200, _OK
            elif scope["path"] == "/readyz":
                status, body = await _ready(services)
            elif scope["path"] == "/metrics":
                status, kind, content = 200, CONTENT_TYPE.encode(), await exposition(services)
        content = content or orjson.dumps(body)
        headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})

    return app


async def _ready(services: Services) -> tuple[int, dict[str, object]]:
    found = await checks(services)
    ready = all(check.ok for check in found if check.decisive)
    return 200 if ready else 503, {
        "status": "ready" if ready else "not ready",
        "checks": [
            {"name": check.name, "ok": check.ok, "decisive": check.decisive, "detail": check.detail} for check in found
        ],
    }
