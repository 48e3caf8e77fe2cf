"""What the gateway is built on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loglease.access.caller import Caller
from loglease.access.commitments import Random
from loglease.access.refusals import Refusals
from loglease.access.rules import Rules
from loglease.access.watch import Watch
from loglease.audit.interface import EntryLog
from loglease.model.clock import Clock
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant
from loglease.model.ids import NewId
from loglease.redaction import Redactor, Withheld
from loglease.sources.interface import Reader
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the gateway is built on.

    Attributes:
        rules: returns the rules in force.
        authenticate: returns who a token belongs to that came from an address; raises an error with the code
            `not_authenticated`, `rate_limited` or alike.
        reader_of: returns the reader of a source by its name, None if there is none.
        redactor_of: returns the redactor of a grant; may take long and runs in a thread, its results are its to cache.
        withheld: is told of each text that a redactor could not vouch for.
        status_of: returns the HTTP status of an error.
        retry_after_s: returns the seconds after which it makes sense to repeat a call that had an error, if it does.
        refusals: counts refused calls; whoever owns it records what is due.
        resume_key: 32 random bytes that resume values are authenticated with; equal on all replicas.
        replica: name of this process in the records.
    """

    log: EntryLog[Transaction]
    store: Store
    watch: Watch
    clock: Clock
    new_id: NewId
    random: Random
    rules: Callable[[], Rules]
    authenticate: Callable[[str, str], Awaitable[Caller]]
    reader_of: Callable[[str], Reader | None]
    redactor_of: Callable[[Grant], Redactor]
    withheld: Callable[[Withheld], None]
    status_of: Callable[[LogLeaseError], int]
    retry_after_s: Callable[[LogLeaseError], int | None]
    refusals: Refusals
    resume_key: bytes
    replica: str
