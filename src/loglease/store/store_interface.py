"""What the rest of the product knows of a database that is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from loglease.model.instant import Instant
from loglease.model.replica import Run
from loglease.store.interface import Transaction

Result = TypeVar("Result")


class Store(Protocol):
    """A database that is open."""

    @property
    def is_shared(self) -> bool:
        """Whether other servers may use it at the same time."""

    def on_foreign(self, types: frozenset[str], wake: Callable[[], None]) -> None:
        """Call `wake`, from any thread, soon after another process has committed an entry of one of these types.

        Polling has to find the same without: such a call may be lost.
        """

    async def read(self, query: Callable[[Transaction], Result], *, urgent: bool = False) -> Result:
        """Run a query on a connection that cannot write, and return what it returns.

        Args:
            urgent: a short one that may not wait behind long ones: who calls, what was revoked.

        Raises:
            StoreUnavailable: the database cannot be read.
        """

    async def wipe(self) -> bool:
        """Rewrite the files so that nothing of what was erased is left in them; False leaves that to the next start.

        Raises:
            StoreUnavailable: the database failed; the next start does it.
        """

    async def touch(self, run: Run | None) -> Instant:
        """Write and commit that time goes on, and that a run lives; return the database's time when it began.

        Gateways renew their lease with it, so a hung disk ends their sessions too.

        Args:
            run: None for a process that is not on the record as started.

        Raises:
            StoreUnavailable: it did not become durable, or says of the process that it may not go on.
        """

    async def is_copy(self) -> bool:
        """Say whether it is another database than the one in which the log went on last, such as one put back.

        Raises:
            StoreUnavailable: it cannot be read.
        """

    async def keep_term(self) -> None:
        """Store that the log goes on in this database; what follows from its being another one is on the record.

        Raises:
            StoreUnavailable: it did not become durable.
        """

    def abandon(self) -> None:
        """Have nobody wait any longer for a database that does nothing; `close` follows. From any thread."""

    def close(self) -> None:
        """Finish what is running and close all connections. Closing twice is harmless."""
