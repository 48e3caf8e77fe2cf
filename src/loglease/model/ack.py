"""In which sense something counts as recorded, and so from when on it is acknowledged."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Ack(StrEnum):
    """What has to be true of an entry of the audit log, from the least on."""

    DURABLE = "durable"
    """The database has it."""
    PUBLISHED = "published"
    """A signed head of the log covers it."""
    WITNESSED = "witnessed"
    """Enough witnesses have cosigned such a head."""

    @property
    def strength(self) -> int:
        """A number that is greater the more is demanded."""
        return list(Ack).index(self)


DEMANDED = (Ack.PUBLISHED, Ack.WITNESSED)
"""What a policy may demand; that the database has it goes without saying."""


def strongest(acks: Iterable[Ack | None]) -> Ack:
    """Return the most that anybody demands."""
    return max((one for one in acks if one is not None), key=lambda one: one.strength, default=Ack.DURABLE)


def recorded_in_words(ack: Ack) -> str | None:
    """Say what whoever reads waits for besides the record itself; None where that is nothing."""
    match ack:
        case Ack.PUBLISHED:
            return "nothing is shown before a signed head of the audit log covers its record"
        case Ack.WITNESSED:
            return "nothing is shown before witnesses have cosigned a head of the audit log that covers its record"
        case _:
            return None
