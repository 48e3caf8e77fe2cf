"""A road between one server and PostgreSQL that can be closed, slowed and torn up, in a process of its own.

Run: ``python -m tests.soak.proxy FROM TO``, two sockets of this machine. Standard input takes `open`, `hold` (nothing goes
through, and nobody is told), `slow SECONDS` (each piece waits so long) and `tear` (all connections end).
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

PIECE = 64 * 1024


class Road:
    """All connections, and what holds for them."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._delay_s = 0.0
        self._writers: set[asyncio.StreamWriter] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until it ends."""
        await self._open.wait()
        try:
            there, back = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        finally:
            self._writers -= {writer, back}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._open.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()

    def obey(self, command: str) -> None:
        """Do what a line says."""
        name, _, argument = command.strip().partition(" ")
        match name:
            case "open":
                self._delay_s = 0.0
                self._open.set()
            case "hold":
                self._open.clear()
            case "slow":
                self._delay_s = float(argument)
            case "tear":
                for one in self._writers:
                    one.transport.abort()


async def run(source: str, target: str) -> None:
    """Carry until the input ends."""
    road = Road(target)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    server = await asyncio.start_unix_server(road.take, source)
    print("ready", flush=True)  # its parent waits for it
    while line := await commands.readline():
        road.obey(line.decode())
    server.close()
    road.obey("tear")


class Proxy:
    """The process of one road, as the soak uses it."""

    def __init__(self, folder: Path, target: Path) -> None:
        folder.mkdir()
        command = [sys.executable, "-m", "tests.soak.proxy", str(folder / target.name), str(target)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def say(self, command: str) -> None:
        """Have it do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2]))
