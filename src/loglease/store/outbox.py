"""Notices as rows, in the order in which they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson
from sqlalchemy import Connection, RowMapping, bindparam, delete, exists, func, insert, literal_column, select, update

from loglease.model.ids import NoticeId
from loglease.model.instant import Instant
from loglease.model.notice import Notice, NoticeState
from loglease.store.columns import written_out
from loglease.store.interface import LostRace
from loglease.store.schema import notices

_WAITING: Final = notices.c.state == written_out(NoticeState.WAITING)
_DEAD: Final = notices.c.state == written_out(NoticeState.DEAD)
_earlier: Final = notices.alias("earlier")

_INSERT: Final = insert(notices)
_SELECT: Final = select(notices)
_FIND: Final = _SELECT.where(notices.c.id == bindparam("key"))
_KNOWN: Final = select(
    exists().where(
        notices.c.fact == bindparam("what"),
        notices.c.recipient == bindparam("whom"),
        notices.c.channel == bindparam("way"),
    )
)
_UPDATE: Final = (
    update(notices)
    .where(notices.c.id == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in ("state", "attempts", "at", "next_at", "error")})
)
_DUE: Final = (
    _SELECT.where(
        _WAITING,
        notices.c.channel == bindparam("way"),
        notices.c.next_at <= bindparam("now"),
        ~exists().where(
            _earlier.c.state == written_out(NoticeState.WAITING),
            _earlier.c.about == notices.c.about,
            _earlier.c.about != literal_column("''"),
            _earlier.c.channel == notices.c.channel,
            _earlier.c.recipient == notices.c.recipient,
            _earlier.c.position < notices.c.position,
        ),
    )
    .order_by(notices.c.position)
    .limit(bindparam("most"))
)
_CHANNELS: Final = select(notices.c.channel).where(_WAITING).distinct().order_by(notices.c.channel)
_COUNT_WAITING: Final = select(func.count()).select_from(notices).where(_WAITING)
_COUNT_DEAD: Final = select(func.count()).select_from(notices).where(_DEAD)
_FORGET: Final = delete(notices).where(
    notices.c.at < bindparam("before"), notices.c.state.in_([NoticeState.SENT.value, NoticeState.DROPPED.value])
)


class SqlOutbox:
    """`Outbox` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, notice: Notice) -> bool:
        """Store a notice; False, and nothing stored, if its recipient has one of that fact on that channel."""
        key = {"what": notice.fact, "whom": notice.recipient, "way": notice.channel}
        if self._connection.execute(_KNOWN, key).scalar_one():
            return False
        row = {
            "id": notice.id,
            "event": notice.event,
            "fact": notice.fact,
            "about": notice.about,
            "recipient": notice.recipient,
            "channel": notice.channel,
            "data": orjson.dumps(dict(notice.data), option=orjson.OPT_SORT_KEYS).decode(),
            "at": notice.at,
            "state": notice.state,
            "attempts": notice.attempts,
            "next_at": notice.next_at,
            "error": notice.error,
        }
        self._connection.execute(_INSERT, row)
        return True

    def find(self, notice_id: NoticeId) -> Notice | None:
        """Return a notice, or None."""
        row = self._connection.execute(_FIND, {"key": notice_id}).mappings().one_or_none()
        return None if row is None else _notice(row)

    def update(self, notice: Notice) -> None:
        """Store what became of a notice.

        Raises:
            LostRace: there is no such notice.
        """
        row = {
            "key": notice.id,
            "new_state": notice.state,
            "new_attempts": notice.attempts,
            "new_at": notice.at,
            "new_next_at": notice.next_at,
            "new_error": notice.error,
        }
        if self._connection.execute(_UPDATE, row).rowcount != 1:
            raise LostRace(f"{notice.id} was never written.")

    def due(self, channel: str, now: Instant, limit: int) -> Sequence[Notice]:
        """Return what waits for a channel and may be tried, the first about each request to each recipient."""
        found = self._connection.execute(_DUE, {"way": channel, "now": now, "most": limit})
        return [_notice(row) for row in found.mappings()]

    def channels(self) -> Sequence[str]:
        """Return the channels that something waits for, sorted."""
        return list(self._connection.execute(_CHANNELS).scalars())

    def counts(self) -> Mapping[NoticeState, int]:
        """Return how many are waiting and how many are dead."""
        return {
            NoticeState.WAITING: self._connection.execute(_COUNT_WAITING).scalar_one(),
            NoticeState.DEAD: self._connection.execute(_COUNT_DEAD).scalar_one(),
        }

    def page(self, *, state: NoticeState | None = None, about: str | None = None, limit: int = 50) -> Sequence[Notice]:
        """Return notices, newest first: of one state, about one request."""
        query = _SELECT.order_by(notices.c.position.desc()).limit(limit)
        if state is not None:
            query = query.where(notices.c.state == state)
        if about is not None:
            query = query.where(notices.c.about == about)
        return [_notice(row) for row in self._connection.execute(query).mappings()]

    def delete_done(self, before: Instant) -> int:
        """Forget what was sent or dropped and is about something that happened before; return how many."""
        return self._connection.execute(_FORGET, {"before": before}).rowcount


def _notice(row: RowMapping) -> Notice:
    columns = dict(row)
    del columns["position"]
    columns["state"] = NoticeState(columns["state"])
    columns["data"] = orjson.loads(columns["data"])
    return Notice(**columns)
