"""The record of a decision that entries commit to: all that it takes to make the same offer again, by anybody.

It is what `decision_records` keeps, and besides under which name the log knows who asked, the redaction profiles of
the server, and what its policies said. Whoever has it opened and has the documents needs nothing else; whether what
it says of people and facts was true then, it cannot show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from loglease.model.digest import Canonical, sha256_hex
from loglease.model.errors import LogLeaseError, Malformed
from loglease.model.offer import Offer
from loglease.policy.decision_records import RecordedDecision, decision_data, decision_of
from loglease.policy.profiles import ProfileInfo, Profiles
from loglease.policy.trace import Decision

FORMAT: Final = 1
"""Of what is added here; rises when it gets another form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedRecord:
    """A decision with all that it rests on, read again.

    Attributes:
        engine: by which version of the rules of deciding.
        zones: with which version of the time-zone data.
        subject: what the log calls whoever asked.
        revision: of the bundle.
        offers: whose offers there were, in order.
        profiles: the redaction profiles of the server, by name.
        digests: SHA-256 of each by ``name@version``.
    """

    decision: RecordedDecision
    engine: int
    zones: str
    subject: str
    revision: int
    offers: tuple[str, ...]
    profiles: Profiles
    digests: Mapping[str, str]


def committed_record(
    decision: Decision,
    *,
    request: str,
    taken: Offer,
    closed: str | None,
    zones: str,
    profiles: Profiles,
    digests: Mapping[str, str],
) -> str:
    """Return the record as JSON; texts that people wrote are not among it, but for ticket and claims.

    Args:
        request: the id of what came of it.
        taken: the offer that was taken.
        closed: see `decide`.
        zones: version of the time-zone data.
        profiles: those of the server.
        digests: SHA-256 of each by ``name@version``.
    """
    kept = decision_data(decision, request=request, taken=taken, closed=closed, zones=zones)
    record: dict[str, Canonical] = {
        **kept,
        "record": FORMAT,
        "subject": decision.principal.subject,
        "profiles": {name: _profile_data(one, digests) for name, one in profiles.items()},
        "policies": [
            {"id": trace.policy.id, "steps": [{"step": str(step.name), "ok": step.ok} for step in trace.steps]}
            for trace in decision.own
        ],
    }
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS).decode()


def read_committed(content: bytes) -> CommittedRecord:
    """Read a record.

    Raises:
        Malformed: it is none, or of a form that this version does not know.
    """
    try:
        data = orjson.loads(content)
        if data.get("record") != FORMAT:
            raise Malformed("It has another form than this version of loglease knows.")
        return _read(data)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError, LogLeaseError) as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed("It is no record of a decision.") from error


def _read(data: Mapping[str, Any]) -> CommittedRecord:
    profiles = {
        str(name): ProfileInfo(str(name), str(one["version"]), frozenset(map(str, one["stricter_than"])))
        for name, one in data["profiles"].items()
    }
    return CommittedRecord(
        decision=decision_of(data),
        engine=int(data["engine"]),
        zones=str(data["zones"]),
        subject=str(data["subject"]),
        revision=int(data["bundle"]["revision"]),
        offers=tuple(map(str, data["offers"])),
        profiles=profiles,
        digests={one.pinned: str(data["profiles"][name]["sha256"]) for name, one in profiles.items()},
    )


def _profile_data(profile: ProfileInfo, digests: Mapping[str, str]) -> Canonical:
    return {
        "version": profile.version,
        "sha256": digests.get(profile.pinned, sha256_hex(b"")),
        "stricter_than": sorted(profile.stricter_than),
    }
