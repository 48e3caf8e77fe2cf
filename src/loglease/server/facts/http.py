"""A provider that asks an HTTP server for JSON and takes values out of it by JSON pointers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from loglease.model.clock import Clock
from loglease.model.instant import MICROSECONDS, Instant
from loglease.policy.conditions import Fault
from loglease.policy.documents import FactRule
from loglease.policy.observed import Observed, Question
from loglease.server.facts.interface import nothing_there
from loglease.server.facts.pointers import MISSING, Pointer
from loglease.server.facts.templates import NotNamed, NotPlain, Template, in_address, in_json
from loglease.server.facts.values import instant_of, value_of
from loglease.server.outgoing import Answer, Call, NoAnswer, Outgoing
from loglease.sources.interface import Health

MAX_KEPT: Final = 4_096
"""Answers that are kept at most; then all are forgotten."""
MAX_REFERENCE: Final = 200
_ODD: Final = "answered something that is no JSON"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFact:
    """Where one fact stands in an answer.

    Attributes:
        fields: for a record, where its members stand below the value; those that are not said stand under their names.
        observed_at: where the answer says when it was true; None takes the time of the call.
        reference: where the answer says where people find it.
    """

    value: Pointer = field(default_factory=Pointer)
    fields: Mapping[str, Pointer] = field(default_factory=dict)
    observed_at: Pointer | None = None
    reference: Pointer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """One HTTP provider.

    Attributes:
        origin: scheme, host and port, for a look whether it answers.
        headers: of every call.
        secret_headers: of every call that asks for a fact.
        absent_status: the statuses that mean that the fact does not exist.
        absent_missing: whether a value that is not there, or null, means the same.
        keep_s: how long an answer may be given again.
    """

    name: str
    url: Template
    origin: str
    body: Template | None = None
    headers: tuple[tuple[str, str], ...] = ()
    secret_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    facts: Mapping[str, HttpFact]
    absent_status: frozenset[int] = frozenset()
    absent_missing: bool = False
    timeout_s: float
    keep_s: float
    private: bool = False
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class _Reply:
    """What a call gave: JSON where it succeeded, and when it was asked for."""

    status: int
    document: Any
    asked_at: Instant


class HttpProvider:
    """Asks one server. Questions that make the same call share it, and its answer for a few seconds."""

    def __init__(self, config: HttpConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._outgoing = Outgoing(private=config.private, ca_file=config.ca_file, within_s=config.timeout_s)
        self._under_way: dict[tuple[str, bytes | None], asyncio.Task[_Reply]] = {}
        self._kept: dict[tuple[str, bytes | None], _Reply] = {}
        self._last: tuple[Instant, str | None] | None = None

    @property
    def name(self) -> str:
        """What `from` calls it."""
        return self._config.name

    async def answer(self, question: Question) -> Observed:
        """Return what the server says."""
        now = self._clock.now()
        where = self._config.facts.get(question.rule.name)
        if where is None:
            return Observed(Fault(f"{self.name} is not configured for it"), self.name, now)
        try:
            call = self._call(question)
        except NotNamed as missing:
            return nothing_there(question, self.name, now, f"the request has no {missing.place}")
        except NotPlain:
            return Observed(Fault("the request has a name that cannot stand in an address"), self.name, now)
        try:
            reply = await self._reply(call, question.rule, now)
        except NoAnswer as error:
            return Observed(Fault(f"{self.name} {error}"), self.name, now)
        return self._observed(question, where, reply)

    def _call(self, question: Question) -> Call:
        body = self._config.body
        return Call(
            url=self._config.url.filled(question, in_address),
            body=None if body is None else body.filled(question, in_json).encode(),
            headers=(*self._config.headers, *self._config.secret_headers),
        )

    async def _reply(self, call: Call, rule: FactRule, now: Instant) -> _Reply:
        """Return what a call gives, or gave a moment ago."""
        key = (call.url, call.body)
        kept = self._kept.get(key)
        keep_s = self._config.keep_s if rule.max_age_s is None else min(self._config.keep_s, rule.max_age_s)
        if kept is not None and 0 <= now - kept.asked_at < keep_s * MICROSECONDS:
            return kept
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._asked(call, now))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._settled(key, done))
        # Others may wait for the same answer when this one is given up.
        return await asyncio.shield(task)

    def _settled(self, key: tuple[str, bytes | None], done: asyncio.Task[_Reply]) -> None:
        del self._under_way[key]
        error = None if done.cancelled() else done.exception()
        self._last = self._clock.now(), None if error is None else str(error)
        if error is None and not done.cancelled():
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[key] = done.result()

    async def _asked(self, call: Call, now: Instant) -> _Reply:
        answer = await self._outgoing.answer(call)
        if answer.status in self._config.absent_status:
            return _Reply(answer.status, None, now)
        if answer.status != HTTPStatus.OK:
            raise NoAnswer(_told(answer.status))
        return _Reply(answer.status, _document(answer), now)

    def _observed(self, question: Question, where: HttpFact, reply: _Reply) -> Observed:
        if reply.status in self._config.absent_status:
            return nothing_there(question, self.name, reply.asked_at, f"{self.name} does not know it")
        raw = where.value.of(reply.document)
        if raw is MISSING or raw is None:
            if self._config.absent_missing:
                return nothing_there(question, self.name, reply.asked_at, f"{self.name} does not know it")
            return Observed(Fault(f"the answer of {self.name} has no value"), self.name, reply.asked_at)
        observed_at = reply.asked_at if where.observed_at is None else instant_of(where.observed_at.of(reply.document))
        if observed_at is None:
            return Observed(Fault(f"{self.name} does not say when it was true"), self.name, reply.asked_at)
        value = value_of(question.rule.type, _members(raw, where.fields))
        if isinstance(value, Fault):
            value = Fault(f"{self.name}: {value.reason}")
        return Observed(value, self.name, observed_at, _reference(where.reference, reply.document))

    def health(self) -> Health:
        """Say how the last call went."""
        if self._last is None:
            return Health(ok=True, detail="It was not asked yet.")
        _, error = self._last
        return Health(ok=error is None, detail="It answered the last time." if error is None else f"It {error}.")

    async def probe(self) -> Health:
        """Say whether the server answers anything at all, asked without secrets."""
        try:
            answer = await self._outgoing.answer(Call(url=f"{self._config.origin}/", headers=self._config.headers))
        except NoAnswer as error:
            return Health(ok=False, detail=f"It {error}.")
        return Health(ok=True, detail=f"It answers, {answer.status} where nothing was asked.")

    async def refresh(self) -> None:
        """Do nothing: it is asked when somebody needs to know."""

    def rosters(self) -> dict[str, frozenset[tuple[str, str]]]:
        """Return nothing: it has no rotas."""
        return {}

    async def aclose(self) -> None:
        """Wait for calls that are under way, and close all connections."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        await self._outgoing.aclose()


def _document(answer: Answer) -> Any:
    try:
        return json.loads(answer.body, object_pairs_hook=_members_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise NoAnswer(_ODD) from None


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _no_number(_text: str) -> object:
    raise ValueError("NaN and infinities are no JSON")


def _told(status: int) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"refuses the credentials of this server with {status}"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"answered {status}, and redirects are not followed"
    return f"answered {status}"


def _members(raw: object, fields: Mapping[str, Pointer]) -> object:
    """Put members that stand elsewhere under their names."""
    if not fields or not isinstance(raw, Mapping):
        return raw
    moved = {name: pointer.of(raw) for name, pointer in fields.items()}
    return {**raw, **{name: None if value is MISSING else value for name, value in moved.items()}}


def _reference(pointer: Pointer | None, document: object) -> str | None:
    found = None if pointer is None else pointer.of(document)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) and len(found) <= MAX_REFERENCE and found.isprintable() else None
