"""The composition root: the only place that builds things and joins them."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
from functools import partial
from pathlib import Path
from typing import Final, cast

import structlog

from loglease.access.commitments import Random
from loglease.access.demanding import Demands
from loglease.access.journal import Journal
from loglease.access.notices import TellingLog
from loglease.access.open_session import Places
from loglease.access.private_texts import forgetting, require_master_key
from loglease.access.recheck_grants import recheck_grants
from loglease.access.refusals import Refusals
from loglease.access.replicas import wait_for_place
from loglease.access.restore import HeadFile
from loglease.access.served_index import bring_up_served_index
from loglease.access.steady_clock import steady
from loglease.access.watch import WAKING, Watch
from loglease.audit.checking import check_log
from loglease.audit.interface import AuditUnavailable, EntryLog
from loglease.audit.privacy import Vault
from loglease.audit.sequencer import LIMIT_S, WITNESSED_WITHIN_S, Sequencer
from loglease.gateway import Gateway, GatewaySettings
from loglease.gateway import Services as GatewayServices
from loglease.model.ack import Ack
from loglease.model.clock import Clock
from loglease.model.ids import NewId
from loglease.redaction import KEY_BYTES, Keys, Library
from loglease.server.acting import forget_in_journal
from loglease.server.application import joined
from loglease.server.audit_heads import head_text
from loglease.server.beginning import record_beginning
from loglease.server.bundles import Proved, proved
from loglease.server.clock import SystemClock, SystemNewId, run_marker, system_random
from loglease.server.configured_sources import open_sources
from loglease.server.cursors import Cursors
from loglease.server.databases import Database, open_database
from loglease.server.edge import App, Receive, Scope, Send
from loglease.server.engines import Engines, prove
from loglease.server.events import Hub
from loglease.server.facts.desk import FactDesk
from loglease.server.facts.presence import networks_named
from loglease.server.facts.providers import FactProviders, principals_in
from loglease.server.identity.accounts import Accounts
from loglease.server.identity.brake import Brake
from loglease.server.identity.credentials import Credentials
from loglease.server.identity.passwords import Passwords
from loglease.server.identity.sign_in import ADMIN_FILE, SignIns
from loglease.server.identity.tokens import Tokens
from loglease.server.lifecycle import ORIGIN, keep_head, known_before, put_back_signed, record_stop, take_up
from loglease.server.log_key import LOG_KEY, log_keys, named_keys, require_vouched
from loglease.server.membership import new_run, replica_name, require_same_pseudonyms
from loglease.server.metrics.families import Families
from loglease.server.metrics.meter import Meter, MeteredLog
from loglease.server.notifications.building import channels_of, scrubber, ways_of
from loglease.server.notifications.courier import Courier
from loglease.server.notifications.messages import message_of
from loglease.server.pages.routes import create_pages
from loglease.server.pages.site import Site
from loglease.server.problems import kind_of, retry_after_s
from loglease.server.publishing import LOG_FOLDER, Alarm, Publishing, open_publishing
from loglease.server.rates import Rates
from loglease.server.reading import Redactors, ViewerDoor
from loglease.server.redaction_rules import LibraryHolder, library_of, require_same_versions
from loglease.server.rendezvous import meet, require_most
from loglease.server.secret_file import PRIVATE_KEY, PSEUDONYM_KEY, secret_file
from loglease.server.services import RulesHolder, Services, Standing
from loglease.server.settings import Settings, SettingsInvalid
from loglease.server.sinks import Gate, open_sinks
from loglease.server.telemetry import StoreFailures
from loglease.server.witnesses import Witnessing, open_witnessing
from loglease.sources.registry import Sources
from loglease.store.database_clock import DatabaseClock
from loglease.store.interface import Transaction

JOURNAL: Final = "revocations.journal"
HEAD: Final = "log.head"
_PRIVATE: Final = 0o077
_log: Final = structlog.get_logger("loglease.wiring")


async def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    new_id: NewId | None = None,
    random: Random | None = None,
    replica: str | None = None,
    moved: bool = False,
) -> Services:
    """Open the database and everything on it, record the start, and take up what a crashed process left.

    Clock, identifiers and randomness are the machine's unless a test brings its own. `close` releases everything.

    Args:
        moved: whether the database went on from an earlier moment while this server, and perhaps others, used it.

    Raises:
        SettingsInvalid: the data directory cannot be made, a source is configured wrongly, or a key file is open to
            others.
        PolicyInvalid: the policy documents have errors, or nobody vouches for them.
        RedactionRulesInvalid: a rule pack or profile has an error, or changed without a new version.
        RedactorBroken: a redaction profile fails its self-test.
        StoreUnavailable: the database does not open.
        SourceUnavailable: a source's directory cannot be used.
    """
    told = DatabaseClock(SystemClock()) if clock is None and settings.database.url is not None else None
    clock, new_id, random = steady(clock or told or SystemClock()), new_id or SystemNewId(), random or system_random
    os.umask(_PRIVATE)
    _make_folder(settings.data_dir)
    store = await asyncio.to_thread(open_database, settings, clock, told)
    store.on_failure(StoreFailures(clock))
    sources: Sources | None = None
    try:
        sources = await open_sources(settings, clock)
        replica = replica or replica_name(settings.data_dir, random)
        return await _built(settings, store, sources, clock, new_id, random, replica, moved=moved)
    except BaseException:
        if sources is not None:
            await sources.aclose()
        await asyncio.to_thread(store.close)
        raise


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsInvalid(
            f"The data directory {data_dir} cannot be made: {error.strerror}.",
            next_step="Name a directory that this account may write to: --data-dir.",
        ) from error


async def _built(
    settings: Settings,
    store: Database,
    sources: Sources,
    clock: Clock,
    new_id: NewId,
    random: Random,
    replica: str,
    *,
    moved: bool,
) -> Services:
    publishing = await _publishing(settings, store, clock, random)
    vault = Vault(secret_file(settings.keys_at / PRIVATE_KEY, random), random)
    await store.read(lambda tx: require_master_key(tx, vault))
    witnessing = open_witnessing(settings, publishing, clock)
    gate = Gate()
    sequencer = _sequencer(settings, store, clock, vault, publishing, witnessing, gate)
    await bring_up_served_index(sequencer)
    sequencer.on_committed(forgetting(vault))
    watch, hub = Watch(store, clock, random), Hub()
    watch.subscribe_erased(vault.forget)
    sequencer.on_committed(watch.committed)
    sequencer.on_committed(hub.committed)
    watch.subscribe_growth(partial(hub.committed, ()))
    metrics = Families()
    sequencer.on_committed(Meter(metrics).committed)
    journal = Journal.open(settings.data_dir / JOURNAL)
    head = HeadFile(settings.data_dir / HEAD)
    library = await asyncio.to_thread(library_of, settings)
    await store.read(lambda tx: require_same_versions(tx, library))
    holder = LibraryHolder(library)
    policy = await proved(settings, store, sources, library, clock)
    facts = FactProviders(principals_in(store), clock, store.rosters)
    facts.put(await facts.prepared(settings))
    desk = FactDesk(networks=networks_named(settings.networks), providers=facts, clock=clock)
    in_force, standing = RulesHolder(policy.rules, desk), Standing(origins=_origins(settings))
    standing.documents, standing.signers = policy.candidate.documents, policy.candidate.people
    passwords = Passwords(settings.identity, random)
    key = secret_file(settings.keys_at / PSEUDONYM_KEY, random)
    engines = Engines(settings.redaction.engine, run_marker(), holder)
    scrub = scrubber(engines, key, random)
    courier = Courier(
        channels_of(settings.notifications, settings.data_dir, clock),
        store=store,
        log=sequencer,
        rules=lambda: in_force.current,
        clock=clock,
        message=lambda one: message_of(one, origin=standing.origins[0], scrub=scrub, head=head_text(publishing.head)),
    )
    telling = TellingLog(
        sequencer,
        rules=lambda: in_force.current,
        ways=ways_of(settings.notifications),
        new_id=new_id,
        wake=courier.wake,
    )
    log = MeteredLog(telling, metrics)
    alarm = Alarm(log=sequencer, watch=watch, new_id=new_id)
    publishing.integrator.on_tampered(alarm)
    services = Services(
        settings=settings,
        data_dir=settings.data_dir,
        replica=replica,
        store=store,
        log=log,
        sequencer=sequencer,
        courier=courier,
        rules=in_force,
        library=holder,
        sources=sources,
        watch=watch,
        journal=journal,
        head=head,
        publishing=publishing,
        witnessing=witnessing,
        sinks=open_sinks(
            settings,
            gate,
            store=store,
            log=sequencer,
            keys=publishing.verifiers,
            clock=clock,
            replica=replica,
            new_id=new_id,
        ),
        alarm=alarm,
        clock=clock,
        new_id=new_id,
        random=random,
        accounts=Accounts(log=log, passwords=passwords, new_id=new_id, random=random),
        sign_ins=_sign_ins(settings, store, log, passwords, clock, new_id, random),
        credentials=Credentials(store=store, log=log, clock=clock),
        tokens=Tokens(store=store, log=log, new_id=new_id, random=random),
        rates=Rates(clock=clock, settings=settings.limits),
        cursors=Cursors(hmac.digest(key, b"loglease/cursors/1", "sha256")),
        hub=hub,
        refusals=Refusals(new_id=new_id),
        redactor_of=Redactors(key, engines).of,
        pseudonym_key=key,
        vault=vault,
        engines=engines,
        facts=facts,
        metrics=metrics,
        standing=standing,
    )
    await _begun(services, store, policy, library, moved=moved)
    store.on_foreign(WAKING, partial(_woken, asyncio.get_running_loop(), watch))
    return services


async def _begun(services: Services, store: Database, policy: Proved, library: Library, *, moved: bool) -> None:
    """Record that the server starts, once redaction, log and keys are certain, and take up what was left."""
    head, publishing, random = services.head, services.publishing, services.random
    keys = Keys.derived(services.pseudonym_key, salt=random(KEY_BYTES), grant_id="self-test")
    await asyncio.to_thread(prove, services.engines, library, keys)
    await check_log(store)
    published = await publishing.published_head()
    size = 0 if published is None else published.checkpoint.size
    if moved:
        await meet(services.replica, size, store=store, log=services.log, clock=services.clock)
    async with store.beginning():
        await store.read(lambda tx: require_most(tx, size, services.clock.now()))
        left, known = await known_before(store, head)
        put_back = await put_back_signed(publishing, store, head, known)
        await publishing.open()
        if services.witnessing is not None:
            await services.witnessing.require_continued()
        await services.sinks.require_continued()
        await require_same_pseudonyms(services.log, services.pseudonym_key)
        await wait_for_place(services.replica, store=store, clock=services.clock)
        run = new_run(services.replica, random)
        await record_beginning(services, run, policy, library, known, put_back=put_back, is_first=left is not None)
        await store.keep_term()
    services.watch.run_of = run
    publishing.take(await store.read(named_keys))
    await forget_in_journal(store, services.journal)
    log, new_id = services.log, services.new_id
    await take_up(
        log=log, journal=services.journal, watch=services.watch, replica=services.replica, new_id=new_id, random=random
    )
    await recheck_grants(None, policy.rules, log=log, new_id=new_id, random=random)
    await keep_head(head, store, publishing.publisher.head)
    await services.watch.poll()


def _woken(loop: asyncio.AbstractEventLoop, watch: Watch) -> None:
    """Wake the watch from a thread of the store's."""
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(watch.wake)


def _sequencer(
    settings: Settings,
    store: Database,
    clock: Clock,
    vault: Vault,
    publishing: Publishing,
    witnessing: Witnessing | None,
    gate: Gate,
) -> Sequencer[Transaction]:
    """Return the entrance to the log, which acknowledges what settings call recorded, or policy where that is more."""
    published = publishing.integrator.covered
    witnessed = _nobody_cosigns if witnessing is None else witnessing.covered
    demands = Demands()
    if settings.audit.ack == "witnessed" and witnessing is not None:
        return Sequencer(store, clock, vault, limit_s=WITNESSED_WITHIN_S, covered=witnessed, gate=gate)
    if settings.audit.ack == "published":
        stronger = {Ack.WITNESSED: witnessed}
        return Sequencer(store, clock, vault, covered=published, stronger=stronger, demanded=demands, gate=gate)
    stronger = {Ack.PUBLISHED: published, Ack.WITNESSED: witnessed}
    return Sequencer(store, clock, vault, stronger=stronger, demanded=demands, gate=gate)


async def _nobody_cosigns(_size: int) -> None:
    """Refuse what an earlier policy demands and this configuration can no longer give.

    Raises:
        AuditUnavailable: always.
    """
    raise AuditUnavailable("It is recorded, and there is nobody to witness it.", next_step="Tell an operator.")


async def _publishing(settings: Settings, store: Database, clock: Clock, random: Random) -> Publishing:
    path = settings.audit.key_file or settings.keys_at / LOG_KEY
    known, named = await store.read(lambda tx: (tx.values.find(ORIGIN), named_keys(tx)))
    keys = await asyncio.to_thread(log_keys, path, wanted=settings.audit.origin, known=known, random=random)
    require_vouched(named, keys)
    found = open_publishing(store, settings.data_dir / LOG_FOLDER, keys, clock)
    found.take(named)
    return found


def _sign_ins(
    settings: Settings,
    store: Database,
    log: EntryLog[Transaction],
    passwords: Passwords,
    clock: Clock,
    new_id: NewId,
    random: Random,
) -> SignIns:
    limits = settings.limits
    return SignIns(
        store=store,
        log=log,
        passwords=passwords,
        clock=clock,
        new_id=new_id,
        random=random,
        brake=Brake(clock),
        failed_per_min=limits.failed_sign_ins_per_min if limits.enforced else None,
        first_login=settings.data_dir / ADMIN_FILE,
    )


def _origins(settings: Settings) -> tuple[str, ...]:
    """Return the configured origins and those under which this address is reached directly."""
    address = settings.http.listens_at
    scheme = "https" if settings.http.tls else "http"
    hosts = ("127.0.0.1", "localhost") if address.loopback else (address.host,)
    own = [f"{scheme}://{f'[{host}]' if ':' in host else host}:{address.port}" for host in hosts]
    return tuple(dict.fromkeys([*settings.http.origins, *own]))


def _gateway_settings(settings: Settings) -> GatewaySettings:
    limits = settings.limits
    places = Places(sessions=limits.principal_sessions, tails=limits.principal_tails) if limits.enforced else None
    return GatewaySettings(
        workers=settings.redaction.threads,
        deadline_s=settings.redaction.deadline_s,
        record_within_s=WITNESSED_WITHIN_S if settings.audit.ack == "witnessed" else LIMIT_S,
        places=places,
        scan_lines=settings.scan.lines,
        scan_bytes=settings.scan.bytes,
        scan_s=settings.scan.seconds,
        gzip=settings.loki.gzip,
        exact_statistics=settings.loki.index_stats == "exact",
        origins=tuple(settings.http.websocket_origins),
    )


class Application:
    """The application of one process; `gateway` is drained before the process stops."""

    def __init__(self, services: Services) -> None:
        site = Site(services)
        door = ViewerDoor(services, site.refusal)
        self.gateway = Gateway(
            GatewayServices(
                log=services.log,
                store=services.store,
                watch=services.watch,
                clock=services.clock,
                new_id=services.new_id,
                random=services.random,
                rules=lambda: services.rules.current,
                authenticate=door.authenticate,
                reader_of=lambda name: source.reader if (source := services.sources.get(name)) else None,
                redactor_of=services.redactor_of,
                withheld=services.engines.note,
                status_of=lambda error: kind_of(error).status,
                retry_after_s=retry_after_s,
                refusals=services.refusals,
                resume_key=hmac.digest(services.pseudonym_key, b"loglease/resume/1", "sha256"),
                replica=services.replica,
            ),
            _gateway_settings(services.settings),
        )
        self._app = joined(
            services,
            gateway=door.guarding(cast("App", self.gateway)),
            pages=create_pages(site),
            error_page=site.refusal,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call."""
        await self._app(scope, receive, send)


def create_app(services: Services) -> Application:
    """Return gateway, API and pages as one ASGI application.

    The gateway takes `SessionProtocol`, so calls of it work on real sockets only; all else works in process too.
    """
    return Application(services)


async def close(services: Services, *, why: str = "signal") -> None:
    """Record the stop and release everything, in the reverse order of `build`."""
    services.standing.draining = True
    services.hub.close()
    try:
        try:
            if services.watch.run_of is not None:
                await record_stop(log=services.log, run=services.watch.run_of, why=why, new_id=services.new_id)
        except AuditUnavailable:
            # Nothing more comes of it, and what waits for an answer of the database would wait for long.
            services.store.abandon()
            raise
        finally:
            await services.alarm.aclose()
            await services.publishing.finish()
        await keep_head(services.head, services.store, services.publishing.publisher.head)
    finally:
        await services.sinks.aclose()
        if services.witnessing is not None:
            await services.witnessing.aclose()
        await services.facts.aclose()
        await services.sources.aclose()
        await services.sequencer.aclose()
        services.journal.close()
        await asyncio.to_thread(services.store.close)
