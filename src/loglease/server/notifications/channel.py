"""What a channel is: something that takes a message, or says why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from loglease.model.ids import NoticeId
from loglease.model.instant import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent, in the forms that channels need.

    Attributes:
        to: the address of a person; None where the channel itself knows to whom.
        subject: one line of words of ours.
        facts: name and text of each line; texts of people are redacted and hold no invisible characters.
        link: the page to look at.
        data: ids and words of closed lists, for programs.
        head: the last signed head of the audit log, a line to keep.
    """

    id: NoticeId
    event: str
    at: Instant
    subject: str
    facts: tuple[tuple[str, str], ...] = ()
    link: str = ""
    to: str | None = None
    head: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class Undelivered(Exception):
    """A message was not taken.

    Args:
        why: in words of ours; nothing that the other side said.
        final: it never will be.
        gone: the channel takes no message any more.
    """

    def __init__(self, why: str, *, final: bool = False, gone: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.final = final
        self.gone = gone


class Channel(Protocol):
    """A configured way to people or programs."""

    @property
    def kind(self) -> str:
        """Which kind of channel it is, for listings."""

    async def send(self, message: Message) -> None:
        """Hand a message over, within ten seconds.

        Raises:
            Undelivered: it was not taken, or nobody knows whether it was.
        """
