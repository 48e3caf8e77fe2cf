"""All that was built for one process, as one value. `wiring.build` makes it; nobody else builds anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loglease.access.commitments import Random
from loglease.access.journal import Journal
from loglease.access.refusals import Refusals
from loglease.access.rules import Rules
from loglease.access.watch import Watch
from loglease.audit.interface import EntryLog
from loglease.model.clock import Clock
from loglease.model.ids import NewId
from loglease.server.cursors import Cursors
from loglease.server.events import Hub
from loglease.server.identity.accounts import Accounts
from loglease.server.identity.credentials import Credentials
from loglease.server.identity.sign_in import SignIns
from loglease.server.identity.tokens import Tokens
from loglease.server.rates import Rates
from loglease.server.settings import Settings
from loglease.sources.interface import Reader
from loglease.store.interface import Store, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A configured source: what may be known of it, and its reader.

    Attributes:
        labels: names that a scope may constrain.
        clear: labels that are never masked.
    """

    name: str
    kind: str
    description: str
    labels: frozenset[str]
    clear: frozenset[str]
    reader: Reader


@dataclass(slots=True)
class RulesHolder:
    """The rules in force; a new bundle replaces the value, and running use cases keep theirs."""

    current: Rules


@dataclass(slots=True)
class Standing:
    """What changes while the process runs: where it can be reached, and whether it is stopping."""

    origins: tuple[str, ...] = ()
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The process. `data_dir` holds the database, the journal and what sources keep."""

    settings: Settings
    data_dir: Path
    replica: str
    store: Store
    log: EntryLog[Transaction]
    rules: RulesHolder
    sources: Mapping[str, Source]
    watch: Watch
    journal: Journal
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
    standing: Standing = field(default_factory=Standing)
