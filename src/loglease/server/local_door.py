"""A door for whoever runs the server: a Unix socket in the data directory that takes locks, and reads rules again.

Locks work when the database cannot say who anybody is. Only the server's own user can open it (mode 0600, in a
directory of mode 0700). A call is one line of JSON, and so is the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from loglease.access.lock_locally import lock_locally
from loglease.model.errors import InvalidField, LogLeaseError
from loglease.model.hold import parse_lock_on
from loglease.model.instant import instant_text
from loglease.server.reload import reload_rules
from loglease.server.services import Services
from loglease.server.settings import load_settings

SOCKET: Final = "local.sock"
MAX_CALL: Final = 8_192
WITHIN_S: Final = 5.0
RELOAD_WITHIN_S: Final = 120.0
FAILED: Final = 2
RELOAD: Final = b'{"reload":true}\n'
_MODE: Final = 0o600
_log: Final = structlog.get_logger("loglease.local_door")


@asynccontextmanager
async def local_door(services: Services) -> AsyncIterator[None]:
    """Take calls over the socket inside the block."""
    path = services.data_dir / SOCKET

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(WITHIN_S):
                line = await reader.readline()
            # Not stopped half way: what is recorded as loaded has to be in force.
            answered = await (_reloaded(services) if line == RELOAD else _locked(services, line))
            async with asyncio.timeout(WITHIN_S):
                writer.write(orjson.dumps(answered) + b"\n")
                await writer.drain()
        writer.close()

    # Only one process has the database, so a socket that is there is left over.
    path.unlink(missing_ok=True)
    try:
        server = await asyncio.start_unix_server(answer, path, limit=MAX_CALL)
    except OSError as error:
        # A path of a socket has about 100 bytes; everything but this door works without it.
        _log.warning("no_local_door", error=str(error))
        yield
        return
    path.chmod(_MODE)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _reloaded(services: Services) -> dict[str, Any]:
    if await reload_rules(services):
        rules = services.rules.current
        return {"revision": rules.revision, "bundle_sha256": rules.bundle_sha256}
    standing = services.standing
    return {"error": standing.policy_fault or standing.reload_fault or "It is refused.", "code": "policy_invalid"}


async def _locked(services: Services, line: bytes) -> dict[str, Any]:
    try:
        async with asyncio.timeout(WITHIN_S):
            return await _lock(services, line)
    except TimeoutError:
        return {"error": "It took too long.", "code": "store_unavailable"}


async def _lock(services: Services, line: bytes) -> dict[str, Any]:
    try:
        call = orjson.loads(line)
        locked = await lock_locally(
            parse_lock_on(str(call["on"])),
            reason=str(call["reason"]),
            log=services.log,
            store=services.store,
            watch=services.watch,
            journal=services.journal,
            clock=services.clock,
            new_id=services.new_id,
            random=services.random,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return {"error": "That is no call of this door.", "code": InvalidField.code}
    except LogLeaseError as error:
        return {"error": error.message, "code": error.code, "next": error.next_step}
    except OSError as error:
        return {"error": f"The journal cannot be written: {error.strerror}.", "code": "store_unavailable"}
    lock = locked.lock
    return {"id": lock.id, "on": str(lock.on), "added_at": instant_text(lock.added_at), "durable": locked.durable}


def lock_add(*, on: str, reason: str, data_dir: Path | None) -> dict[str, Any]:
    """Ask the server of this machine for a lock, and return its answer.

    Raises:
        LocalDoorClosed: no server answers there, or it refused.
    """
    overrides = {} if data_dir is None else {"data_dir": str(data_dir)}
    path = load_settings(config=None, overrides=overrides).data_dir / SOCKET
    return _called(path, orjson.dumps({"on": on, "reason": reason}) + b"\n", WITHIN_S)


def reload_policy(data_dir: Path) -> dict[str, Any]:
    """Ask the server of this machine to read its rules and policies again; return the revision that is in force then.

    Raises:
        NoServer: none answers there.
        LocalDoorClosed: it refused what it read.
    """
    return _called(data_dir / SOCKET, RELOAD, RELOAD_WITHIN_S)


def _called(path: Path, line: bytes, within_s: float) -> dict[str, Any]:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(within_s)
            door.connect(str(path))
            door.sendall(line)
            answer: dict[str, Any] = orjson.loads(door.makefile("rb").readline())
    except (OSError, orjson.JSONDecodeError) as error:
        raise NoServer(
            f"No server answers at {path}: {error}.",
            next_step="Run it as the server's user, with the --data-dir of the server.",
        ) from error
    if "error" in answer:
        raise LocalDoorClosed(str(answer["error"]), next_step=answer.get("next"))
    return answer


class LocalDoorClosed(LogLeaseError):
    """The server of this machine could not be reached over its socket, or refused."""

    code = "store_unavailable"


class NoServer(LocalDoorClosed):
    """No server of this machine answers over its socket."""
