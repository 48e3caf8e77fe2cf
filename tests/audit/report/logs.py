"""Logs written by hand: entries with exact bytes and leaves, at times that a test chooses, in seconds after noon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from loglease.audit.entry import entry_bytes
from loglease.audit.interface import SYSTEM, Draft
from loglease.audit.merkle import Edge, leaf_hash
from loglease.audit.report.asking import Asked, Beside, SignedHead
from loglease.audit.report.catalogue import KINDS
from loglease.audit.report.documents import Report, document_bytes, document_of
from loglease.audit.report.making import Making, Result
from loglease.model.ids import EntryId
from loglease.model.instant import Instant, after, instant_text, parse_instant

NOON = parse_instant("2026-11-23T12:00:00Z")
ORIGIN = "loglease.local/abcdefghij/1"
DIGEST = "a" * 64
ALICE, BOB, CAROL, ADMIN = "sub_alice", "sub_bob", "sub_carol", "sub_admin"
NAMES = {ALICE: "Alice", BOB: "Bob", CAROL: "Carol", ADMIN: "Root"}
ZERO = {"lines": 0, "bytes": 0}
AUTH = {"method": "password", "mfa": False, "age_s": 0}


def at(seconds: float) -> Instant:
    return after(NOON, seconds)


def text(seconds: float) -> str:
    return instant_text(at(seconds))


def scope(source: str = "files", profile: str = "pii-default@1") -> dict[str, Any]:
    selector = [{"label": "service", "op": "eq", "value": "pay-api"}]
    return {
        "source": source,
        "selector": selector,
        "from_ns": "1",
        "live": True,
        "rules_c": [],
        "profiles": [{"name": profile, "sha256": DIGEST}],
    }


class Log:
    """A log that grows by one entry a call."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, bytes, bytes | None]] = []
        self.now_s = 0.0

    def entry(
        self, kind: str, data: Mapping[str, Any] | None = None, *, by: str = SYSTEM, via: str | None = None, **ref: str
    ) -> int:
        index = len(self.rows)
        draft = Draft(id=EntryId(f"ent_{index:026d}"), type=kind, actor=by, ref=ref, data=data or {}, via=via)
        content = entry_bytes(draft, at(self.now_s))
        self.rows.append((index, content, leaf_hash(content)))
        return index

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def started(self, after: str = "none", config: str = DIGEST) -> int:
        data = {
            "replica": "one", "version": "1", "plugins": [], "schema": 1, "config_sha256": config, "epoch": 1,
            "origin": ORIGIN, "vkey": "none", "after": after,
        }  # fmt: skip
        return self.entry("service.started", data)

    def submitted(self, name: str, by: str = ALICE, *, profile: str = "pii-default@1", **more: Any) -> int:
        via = more.pop("via", None)
        data = {
            "digest_sha256": DIGEST, "offer": 1, "scopes": [scope(profile=profile)], "reason_c": DIGEST, "duration_s": 1_800,
            "limits": {}, "expires_at": text(self.now_s + 3_600), "channel": "cli", **more,
        }  # fmt: skip
        return self.entry("request.submitted", data, by=by, via=via, request=f"req_{name}")

    def offered(self, name: str, by: str = ALICE, *, profile: str = "pii-default@1", **more: Any) -> int:
        data = {
            "offer": 1, "policy": "production", "bundle_sha256": DIGEST, "revision": 1, "outcome": "review",
            "plans": [[{"from": ["group:sre"], "need": 1}]], "scopes": [scope(profile=profile)], "duration_s": 1_800,
            "limits": {}, "activate_within_s": 600, "record_c": DIGEST, **more,
        }  # fmt: skip
        return self.entry("offer.made", data, by=by, request=f"req_{name}")

    def reviewed(self, name: str, by: str = BOB, verdict: str = "approve", number: int = 1, **more: Any) -> int:
        data = {
            "verdict": verdict, "digest_sha256": DIGEST, "eligible": ["group:sre"], "channel": "web", "auth": AUTH, **more,
        }  # fmt: skip
        return self.entry("review.given", data, by=by, request=f"req_{name}", review=f"rev_{name}_{number}")

    def approved(self, name: str, number: int = 1) -> int:
        data = {"digest_sha256": DIGEST, "reviews": [f"rev_{name}_{number}"]}
        return self.entry("request.approved", data, request=f"req_{name}")

    def scheduled(
        self, name: str, holder: str = ALICE, basis: str = "reviews", profile: str = "pii-default@1", **more: Any
    ) -> int:
        data = {
            "holder": holder, "basis": basis, "reviews": [f"rev_{name}_1"] if basis == "reviews" else [],
            "digest_sha256": DIGEST, "scopes": [scope(profile=profile)], "duration_s": 1_800, "limits": {},
            "not_before_at": text(self.now_s), "activate_by_at": text(self.now_s + 600), **more,
        }  # fmt: skip
        return self.entry("grant.scheduled", data, request=f"req_{name}", grant=f"grt_{name}")

    def activated(self, name: str, holder: str = ALICE) -> int:
        data = {
            "from_at": text(self.now_s), "until_at": text(self.now_s + 1_800), "reviews": [], "bundle_sha256": DIGEST,
            "revision": 1, "epoch": 1,
        }  # fmt: skip
        return self.entry("grant.activated", data, by=holder, request=f"req_{name}", grant=f"grt_{name}")

    def granted(self, name: str, by: str = ALICE, reviewer: str = BOB, *, wait_s: float = 60, **more: Any) -> None:
        """Go the whole way from a request to an active grant."""
        self.submitted(name, by, **more)
        self.offered(name, by, **more)
        self.wait(wait_s)
        self.reviewed(name, reviewer)
        self.approved(name)
        self.scheduled(name, by, **more)
        self.activated(name, by)

    def opened(self, name: str, session: str, by: str = ALICE) -> int:
        data = {"kind": "tail", "front": "cli", "replica": "one", "epoch": 1}
        return self.entry("session.opened", data, by=by, **self._session(name, session))

    def served(self, name: str, session: str, lines: int, by: str = ALICE) -> int:
        total = {"lines": lines, "bytes": lines * 100}
        data = {"query": 1, "seq": 1, "settled": settled(lines), "total": total, "reserved": ZERO}
        return self.entry("batch.served", data, by=by, **self._session(name, session))

    def closed(self, name: str, session: str, why: str = "complete", uncertain: int = 0, by: str = ALICE) -> int:
        data = {"why": why, "total": ZERO, "uncertain": {"lines": uncertain, "bytes": 0}}
        return self.entry("session.closed", data, by=by, **self._session(name, session))

    def revoked(self, name: str, by: str = ADMIN, **more: Any) -> int:
        data = {"cause": "grant", "effective_at": text(self.now_s), "late": False, **more}
        return self.entry("grant.revoked", data, by=by, request=f"req_{name}", grant=f"grt_{name}")

    def ended(self, name: str, why: str = "expired") -> int:
        return self.entry("grant.ended", {"why": why, "total": ZERO}, request=f"req_{name}", grant=f"grt_{name}")

    def _session(self, name: str, session: str) -> dict[str, str]:
        return {"request": f"req_{name}", "grant": f"grt_{name}", "session": f"ses_{session}"}

    def head(self, size: int | None = None) -> SignedHead:
        edge = Edge()
        kept = self.rows[: len(self.rows) if size is None else size]
        edge.extend(leaf or b"" for _, _, leaf in kept)
        return SignedHead(origin=ORIGIN, size=len(kept), root=edge.root(), note=b"")

    def asked(self, report: str, *, start: float | None = None, end: float = 1e6, **more: Any) -> Asked:
        return Asked(report=report, from_at=None if start is None else at(start), to_at=at(end), **more)

    def beside(self, **more: Any) -> Beside:
        return Beside(**{"size": len(self.rows), "origin": ORIGIN, "head": self.head(), **more})

    def result(self, report: str, *, beside: Beside | None = None, **question: Any) -> Result:
        making = Making(self.asked(report, **question), beside or self.beside())
        making.add(self.rows)
        return making.result()

    def report(
        self, report: str, *, beside: Beside | None = None, names: Mapping[str, str] = NAMES, **question: Any
    ) -> Report:
        found = beside or self.beside()
        return Report(
            id=EntryId("ent_report"), kind=KINDS[report], asked=self.asked(report, **question), beside=found, made_at=at(2e6),
            made_by=ADMIN, result=self.result(report, beside=found, **question), names=names,
        )  # fmt: skip

    def document(self, report: str, **question: Any) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(document_bytes(document_of(self.report(report, **question))))
        return found


def settled(lines: int) -> dict[str, Any]:
    return {
        "unit": "line", "lines": lines, "bytes": lines * 100, "masked": [{"rule": "pii.email", "count": lines}],
        "served_c": DIGEST, "overflow": False,
    }  # fmt: skip


def rows_of(document: Mapping[str, Any], table: str) -> list[dict[str, Any]]:
    return next(one["rows"] for one in document["tables"] if one["name"] == table)


def facts_of(document: Mapping[str, Any]) -> dict[str, Any]:
    return {fact["name"]: fact.get("value") for fact in document["summary"]}
