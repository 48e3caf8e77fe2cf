"""Making an offer of the log again, from the documents that it names and the record that it commits to.

Who could approve is in no record, so it is not looked at: more policies may make an offer here than did then, and it
is held against the record which of them did. Texts that the log only commits to, such as line rules, are taken from
the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from loglease.model.access_request import Wish
from loglease.model.digest import Canonical
from loglease.model.offer import Offer
from loglease.model.principal import directory_of
from loglease.model.reveal import Reveal
from loglease.policy.bundle import Bundle
from loglease.policy.committed_records import CommittedRecord
from loglease.policy.decision import MAX_OFFERS, Point, decide
from loglease.policy.decision_records import ENGINE
from loglease.policy.entry_shapes import Data, offer_shape, profiles_of, scope_data, unknown_profile

Entry = Mapping[str, Any]
"""The data of an entry of the log."""

_HIDDEN: Final = ("rules_c", "line_c", "value_c")
_MOST_SHOWN: Final = 200


class Undecidable(Exception):
    """An offer cannot be made again here; the message says why."""


class _Hiding:
    """Stands for commitments: only how many there are is compared."""

    def to(self, name: str, text: str) -> str:  # noqa: ARG002 - as `Commits` wants it
        return ""


def offer_fault(
    made: Entry, submitted: Entry, *, request: str, subject: str, record: CommittedRecord, bundle: Bundle
) -> str | None:
    """Say what is different when an offer is made again; None for nothing.

    Args:
        made: the data of `offer.made`.
        submitted: that of `request.submitted`.
        request: the id of the request.
        subject: who made it, as the log calls them.
        record: what `made` commits to as the record of its decision.
        bundle: the documents that it names, under the hash that it names.

    Raises:
        Undecidable: it cannot be told.
    """
    decision = record.decision
    if record.engine != ENGINE:
        raise Undecidable(f"the rules of deciding have version {ENGINE} here, and had version {record.engine} then")
    if (decision.request, record.subject) != (request, subject):
        return "its record is of another request"
    if (decision.bundle_sha256, record.revision) != (made["bundle_sha256"], made["revision"]):
        return "its record names another bundle"
    fault = _wish_fault(submitted, decision.wish)
    if fault is not None:
        return fault
    offer = _made_again(str(made["policy"]), record, bundle)
    if isinstance(offer, str):
        return offer
    return _offer_fault(made, offer, record)


def _made_again(policy: str, record: CommittedRecord, bundle: Bundle) -> Offer | str:
    kept = record.decision
    asks = kept.principal
    found = decide(
        bundle,
        kept.wish,
        asks,
        directory=directory_of([asks]),
        now=kept.at,
        profiles=record.profiles,
        facts=kept.facts,
        # Later than at submit nobody asks whether there are people who could approve; all else is the same.
        point=Point.FINAL_APPROVAL,
        closed=kept.closed,
    )
    again = [one.policy for one in found.offers]
    if len(again) == MAX_OFFERS and not set(record.offers) <= set(again):
        raise Undecidable(f"there are more than {MAX_OFFERS} offers")
    others = [one for one in record.offers if one not in again]
    if others:
        return f"its bundle makes no offer of policy {others[0]}"
    if policy not in record.offers:
        return f"its record has no offer of policy {policy}"
    if [one for one in again if one in record.offers] != list(record.offers):
        return "the offers of its record are in another order"
    return next(one for one in found.offers if one.policy == policy).numbered(1 + record.offers.index(policy))


def _offer_fault(made: Entry, offer: Offer, record: CommittedRecord) -> str | None:
    shape: Data = offer_shape(offer, _Hiding(), profiles_of(record.profiles, record.digests))
    # The bundle was loaded under no revision; that the record and the log name the same one was seen before.
    expected = {**shape, "revision": record.revision}
    given = {name: value for name, value in made.items() if name not in ("record_c", "reveal")}
    return _fault(given, expected, "its") or _reveal_fault(made.get("reveal"), record.decision.wish.reveal)


def _wish_fault(submitted: Entry, wish: Wish) -> str | None:
    """Say where the record has another wish than the log."""
    expected: dict[str, Canonical] = {
        "scopes": [scope_data(one, _Hiding(), unknown_profile) for one in wish.scopes],
        "limits": dict(wish.limits.named()),
    }
    if wish.duration_s is not None:
        expected["duration_s"] = wish.duration_s
    if wish.extends is not None:
        expected["extends"] = wish.extends.grant
    given = {name: submitted[name] for name in ("scopes", "limits", "duration_s", "extends") if name in submitted}
    if wish.duration_s is None:
        del given["duration_s"]
    fault = _fault(given, expected, "the wish of its record has other") or _reveal_fault(
        submitted.get("reveal"), wish.reveal
    )
    texts = ("ticket_c" in submitted, "inputs_c" in submitted)
    if fault is None and texts != (wish.ticket is not None, bool(wish.inputs)):
        fault = "the wish of its record has another ticket, or other fields"
    return fault


def _reveal_fault(given: Entry | None, reveal: Reveal | None) -> str | None:
    if given is None or reveal is None:
        return None if given is None and reveal is None else "only one of record and log is about a masked value"
    named = (given["grant"], given["class"], given.get("pseudonym"))
    return None if named == (reveal.grant, reveal.cls, reveal.pseudonym) else "its record is about another masked value"


def _fault(given: Entry, expected: Entry, whose: str) -> str | None:
    """Name the first thing that is not the same, in the order of names."""
    for name in _names(given, expected):
        if _plain(given.get(name)) != _plain(expected.get(name)):
            return f"{whose} {name}: {_shown(given.get(name))} in the log, {_shown(expected.get(name))} made again"
    return None


def _names(*of: Entry) -> Iterable[str]:
    return sorted({name for one in of for name in one})


def _plain(value: Any) -> Any:
    """Return a value without what is committed to: of lists of commitments only their length counts."""
    match value:
        case Mapping():
            return {name: _hidden(one) if name in _HIDDEN else _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return value


def _hidden(value: Any) -> Any:
    return len(value) if isinstance(value, list | tuple) else None


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
