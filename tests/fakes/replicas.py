"""Several whole servers on one PostgreSQL, each with a data directory of its own and the keys of all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.own_postgres import OwnPostgres, own_postgres
from tests.fakes.stack import Person, Refused, Stack
from tests.promises.shared import populated


@dataclass
class Cluster:
    """A database and the servers on it; the first one made everybody's account."""

    database: OwnPostgres
    servers: list[Stack]

    def __getitem__(self, number: int) -> Stack:
        return self.servers[number]

    def people(self, name: str) -> list[Person]:
        """Return one person as each server knows them, with one sign-in for all."""
        token = self.servers[0].sign_in(name).token
        return [Person(one.url, name, token) for one in self.servers]

    def on(self, number: int, person: Person) -> Person:
        """Return somebody who has signed in as another server knows them."""
        return Person(self.servers[number].url, person.name, person.token)

    def stop(self) -> Sequence[int]:
        """Stop all, the last one first; return their exit codes."""
        return [one.stop() for one in reversed(self.servers)]


@contextmanager
def cluster(folder: Path, count: int = 3, *, connections: int | None = None, more: str = "") -> Iterator[Cluster]:
    """Run so many servers with the same logs, policy and people."""
    with own_postgres(connections) as database:
        keys = folder / "keys"
        keys.mkdir(parents=True, mode=0o700)
        shared = f'\n[database]\nurl = "{database.url}"\nkeys_dir = "{keys}"\n{more}'
        first = populated(folder / "node-1", more=shared)
        found = Cluster(database, [first])
        try:
            for number in range(2, count + 1):
                found.servers.append(beside(first, folder / f"node-{number}").start())
            yield found
        finally:
            with suppress(Refused, AssertionError):
                found.stop()


def beside(first: Stack, folder: Path) -> Stack:
    """Return a server like another on the same database, with the same logs; it is not started."""
    folder.mkdir()
    (folder / "logs").symlink_to(first.logs)
    return Stack(folder, config=first.config, passwords=first.passwords)


def copied(one: Stack, folder: Path) -> Stack:
    """Return a server on a copy of another's data directory; it is not started."""
    made = beside(one, folder)
    shutil.copytree(one.folder / "data", folder / "data", ignore=shutil.ignore_patterns("*.sock", "*.lock"))
    return made
