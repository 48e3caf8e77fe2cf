"""Where notices arrive: a mail server and a receiver of webhooks, both on real sockets and written without our code."""

from __future__ import annotations

import asyncio
import base64
import email
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

SECRET = "whsec_" + base64.b64encode(b"a secret of 32 bytes for hooks..").decode()


@dataclass
class Received:
    """One event as it arrived; `verified` names the secrets that signed it."""

    headers: dict[str, str]
    body: bytes
    verified: list[str]

    @property
    def event(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.body))


@dataclass
class Receiver:
    """Takes events; `answer` is the status line that it answers with."""

    answer: str = "204 No Content"
    more: str = ""
    secrets: tuple[str, ...] = (SECRET,)
    silent: bool = False
    port: int = 0
    received: list[Received] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/loglease"

    async def until(self, event: str) -> list[str]:
        """Wait for an event, and return the types of all that have arrived."""
        async with self.changed:
            await self.changed.wait_for(lambda: event in self.types)
        return self.types

    @property
    def types(self) -> list[str]:
        return [one.event["type"] for one in self.received]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            async with self.changed:
                self.received.append(Received(headers, body, self.verified(headers, body)))
                self.changed.notify_all()
            if self.silent:
                await reader.read()
            writer.write(f"HTTP/1.1 {self.answer}\r\ncontent-length: 0\r\n{self.more}\r\n".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def verified(self, headers: dict[str, str], body: bytes) -> list[str]:
        """Return the secrets whose signature is right, as the specification tells receivers to check."""
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        given = [one.split(",", 1)[1] for one in headers["webhook-signature"].split(" ") if one.startswith("v1,")]

        def signs(secret: str) -> bool:
            key = base64.b64decode(secret.split("_", 1)[1])
            return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() in given

        return [secret for secret in self.secrets if signs(secret)]


@dataclass
class PostOffice:
    """A mail server that keeps what it takes; `refuses` has answers to give instead, by command."""

    refuses: dict[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    port: int = 0
    commands: list[str] = field(default_factory=list)
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, count: int) -> list[tuple[list[str], EmailMessage]]:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.mails) >= count)
        return self.mails

    @property
    def recipients(self) -> list[str]:
        return [one for to, _ in self.mails for one in to]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to: list[str] = []
        try:
            await self._say(writer, "220 mail.example.com ESMTP")
            while line := (await reader.readline()).decode().rstrip("\r\n"):
                command = line.split(" ", 1)[0].upper()
                self.commands.append(line if command != "AUTH" else command)
                if command == "RCPT" and command not in self.refuses:
                    to.append(line.partition("<")[2].partition(">")[0])
                await self._say(writer, self.refuses.get(command) or self._answer(command))
                if command == "STARTTLS" and command not in self.refuses and self.tls is not None:
                    await writer.start_tls(self.tls)
                elif command == "DATA" and command not in self.refuses:
                    await self._take(to, await self._content(reader))
                    to = []
                    await self._say(writer, "250 taken")
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _say(self, writer: asyncio.StreamWriter, text: str) -> None:
        writer.write(f"{text}\r\n".encode())
        await writer.drain()

    def _answer(self, command: str) -> str:
        offered = "250-STARTTLS\r\n" if self.tls is not None else ""
        answers = {
            "EHLO": f"250-mail.example.com\r\n{offered}250 AUTH PLAIN LOGIN",
            "STARTTLS": "220 go ahead",
            "AUTH": "235 welcome",
            "DATA": "354 go on",
            "QUIT": "221 bye",
        }
        return answers.get(command, "250 ok")

    async def _take(self, to: list[str], content: bytes) -> None:
        async with self.changed:
            self.mails.append((to, email.message_from_bytes(content, policy=default)))
            self.changed.notify_all()

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        lines = []
        while (line := await reader.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)


@asynccontextmanager
async def listening(one: Any, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Any]:
    """Serve on a free port of this machine while the block runs."""
    tasks = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
        try:
            await one.serve(reader, writer)
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", one.port, ssl=tls)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def secret_file(folder: Path, name: str = "hook.secret", text: str = SECRET) -> str:
    """Write a secret as a server wants it: readable for its user alone."""
    path = folder / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    return str(path)
