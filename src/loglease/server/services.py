"""All that was built for one process, as one value. `wiring.build` makes it; nobody else builds anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loglease.access.commitments import Random
from loglease.access.journal import Journal
from loglease.access.refusals import Refusals
from loglease.access.restore import HeadFile
from loglease.access.rules import Rules
from loglease.access.watch import Watch
from loglease.audit.interface import EntryLog
from loglease.audit.privacy import Vault
from loglease.audit.sequencer import Sequencer
from loglease.model.clock import Clock
from loglease.model.grant import Grant
from loglease.model.ids import NewId
from loglease.redaction import Redactor
from loglease.server.cursors import Cursors
from loglease.server.engines import Engines
from loglease.server.events import Hub
from loglease.server.facts.desk import FactDesk
from loglease.server.facts.interface import Provider
from loglease.server.facts.providers import FactProviders
from loglease.server.identity.accounts import Accounts
from loglease.server.identity.credentials import Credentials
from loglease.server.identity.sign_in import SignIns
from loglease.server.identity.tokens import Tokens
from loglease.server.metrics.families import Families
from loglease.server.notifications.courier import Courier
from loglease.server.publishing import Alarm, Publishing
from loglease.server.rates import Rates
from loglease.server.redaction_rules import LibraryHolder
from loglease.server.settings import Settings
from loglease.server.sinks import Sinks
from loglease.server.witnesses import Witnessing
from loglease.sources.registry import Sources
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store


class RulesHolder:
    """The rules in force; a new bundle replaces the value, and running use cases keep theirs."""

    def __init__(self, rules: Rules, facts: FactDesk) -> None:
        self._facts = facts
        self.current = rules

    @property
    def current(self) -> Rules:
        """The rules, which ask for facts where the process has them from."""
        return self._current

    @current.setter
    def current(self, rules: Rules) -> None:
        self._current = self._facts.informed(rules)


TRIED_AT_ONCE: Final = 2
EXPORTED_AT_ONCE: Final = 2


@dataclass(slots=True)
class Standing:
    """What changes while the process runs.

    Attributes:
        origins: the origins of our pages, such as ``http://127.0.0.1:8080``; the first is shown to people.
        draining: nothing new begins.
        reload_fault: why the newest packs and profiles are not in force; None if they are.
        policy_fault: the same of policies.
        policy_problems: what is wrong with the policies that are refused, one text with place and mark each.
        documents: the policy documents in force, by path.
        signers: who signed them.
        reloading: held while other rules are put in the place of those in force.
        simulating: held while recorded decisions are replayed.
        reporting: held while a report is made.
        trying: held while documents that somebody sent are loaded, tested or compared, which may take half a minute.
            Few at a time, so that such work never takes all threads from passwords and from the journal.
        exporting: held while a page of the audit log is written for an export; fewer than there are readers of the
            database, so that others never wait for exports.
        searching: held while it is looked up who saw what, which may take a second; the other readers are for the rest.
    """

    origins: tuple[str, ...] = ()
    draining: bool = False
    reload_fault: str | None = None
    policy_fault: str | None = None
    policy_problems: tuple[str, ...] = ()
    documents: Mapping[str, bytes] = field(default_factory=dict)
    signers: tuple[str, ...] = ()
    reloading: asyncio.Lock = field(default_factory=asyncio.Lock)
    simulating: asyncio.Lock = field(default_factory=asyncio.Lock)
    searching: asyncio.Lock = field(default_factory=asyncio.Lock)
    reporting: asyncio.Lock = field(default_factory=asyncio.Lock)
    trying: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TRIED_AT_ONCE))
    exporting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(EXPORTED_AT_ONCE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The process. `data_dir` holds the database, the journal and what sources keep.

    Attributes:
        replica: name of this process in the records of sessions.
        redactor_of: returns the redactor of a grant; may take long.
        log: the entrance to the audit log, which also writes down whom to tell.
        sequencer: what is behind it; works of its own tell nobody.
        engines: what redacts here, and what was withheld.
        metrics: what is counted of this process.
        facts: who is asked for facts that policies read.
        vault: seals and opens the private texts of the audit log.
        publishing: who signs the log and writes its directory.
        witnessing: who is asked to cosign its heads; None if nobody is.
        sinks: where its signed heads are kept besides.
        alarm: what happens where the log is not what was recorded.
        pseudonym_key: the deployment's master key, from which each grant's key is derived.
    """

    settings: Settings
    data_dir: Path
    replica: str
    store: Store
    log: EntryLog[Transaction]
    sequencer: Sequencer[Transaction]
    courier: Courier
    rules: RulesHolder
    library: LibraryHolder
    sources: Sources
    watch: Watch
    journal: Journal
    head: HeadFile
    publishing: Publishing
    witnessing: Witnessing | None
    sinks: Sinks
    alarm: Alarm
    clock: Clock
    new_id: NewId
    random: Random
    accounts: Accounts
    sign_ins: SignIns
    credentials: Credentials
    tokens: Tokens
    rates: Rates
    cursors: Cursors
    hub: Hub
    refusals: Refusals
    redactor_of: Callable[[Grant], Redactor]
    engines: Engines
    facts: FactProviders
    metrics: Families
    pseudonym_key: bytes = field(repr=False)
    vault: Vault = field(repr=False)
    standing: Standing = field(default_factory=Standing)

    @property
    def fact_providers(self) -> Mapping[str, Provider]:
        """The providers of facts in force, by name."""
        return self.facts.current
