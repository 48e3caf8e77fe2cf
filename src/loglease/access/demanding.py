"""What policy demands of the record of whatever is about one request or grant, before it is acknowledged."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from loglease.audit.interface import Draft
from loglease.model.ack import Ack, strongest
from loglease.model.ids import GrantId, RequestId
from loglease.store.interface import Transaction

_KEPT: Final = 4_096


class Demands:
    """Says it for entries. It never changes for one request or grant, so it is looked up once for each.

    Used from the one thread that writes.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, Ack] = OrderedDict()

    def __call__(self, tx: Transaction, entries: Sequence[Draft]) -> Ack:
        """Return the most that the grants, or else the requests, of some entries demand."""
        named = {entry.ref.get("grant") or entry.ref.get("request") for entry in entries}
        return strongest(self._of(tx, one) for one in named if one is not None)

    def _of(self, tx: Transaction, name: str) -> Ack:
        if (known := self._known.get(name)) is not None:
            return known
        found = _demanded(tx, name)
        if found is None:
            return Ack.DURABLE
        self._known[name] = found
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found


def _demanded(tx: Transaction, name: str) -> Ack | None:
    if name.startswith("grt_"):
        grant = tx.grants.find(GrantId(name))
        return None if grant is None else grant.shape.ack
    request = tx.requests.find(RequestId(name))
    return None if request is None else request.offer.shape.ack
