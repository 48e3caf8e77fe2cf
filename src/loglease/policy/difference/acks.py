"""What has to be true of the record before anything is acknowledged: the more, the less can go unnoticed."""

from __future__ import annotations

from loglease.model.ack import Ack
from loglease.policy.difference.found import Comparison, Verdict


def compare_acks(found: Comparison, field: str, old: Ack | None, new: Ack | None) -> None:
    """Compare what two versions demand; where nothing is said, the server's setting alone holds."""
    before, after = (one or Ack.DURABLE for one in (old, new))
    if before is not after:
        verdict = Verdict.NARROWS if after.strength > before.strength else Verdict.WIDENS
        found.add(verdict, field, _text(before), _text(after))


def _text(ack: Ack) -> str | None:
    return None if ack is Ack.DURABLE else str(ack)
