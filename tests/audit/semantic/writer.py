"""Writes logs as the product does, entry by entry, without a database: quick, and everything can be made different.

Each act writes the entries of one transaction. What a test wants to be otherwise it passes in; all that follows from it,
such as digests, totals and ceilings, is as an honest log would have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loglease.audit.entry import Entry, entry_bytes
from loglease.audit.interface import Draft
from loglease.audit.semantic import Inputs, Report, Verifier, check, extract
from loglease.model.digest import canonical_bytes, sha256_hex
from loglease.model.ids import EntryId, id_of
from loglease.model.instant import MICROSECONDS, Instant, after, instant_text, parse_instant

EXTRACTED = 7
"""Of so many entries an extract is made at a time."""

START = parse_instant("2026-11-23T09:00:00Z")
ORIGIN = "loglease.test/semantic/2"
VKEY = "loglease.test/semantic/2+1f0c2d9a+AbT9"
BUNDLE = "b0" * 32
HOUR = 3_600
APPROVERS = "group:approvers"
LEADS = "group:leads"
ONE = [{"from": [APPROVERS], "need": 1}]
TWO = [{"from": [APPROVERS], "need": 2}]

Data = dict[str, Any]


def digest(text: str) -> str:
    return sha256_hex(text.encode())


def scope(app: str = "web", **changes: Any) -> Data:
    data: Data = {
        "source": "files",
        "selector": [{"label": "app", "op": "eq", "value": app}],
        "from_ns": "1000",
        "live": True,
        "rules_c": [],
        "profiles": [{"name": "pii-default@1", "sha256": "ab" * 32}, {"name": "secrets@1", "sha256": "ab" * 32}],
    }
    return {name: value for name, value in (data | changes).items() if value is not None}


@dataclass
class Asked:
    """A request with its offer."""

    id: str
    by: str
    wish: Data
    offer: Data
    digest: str
    reviews: list[str] = field(default_factory=list)


@dataclass
class Granted:
    """A grant."""

    id: str
    asked: Asked
    data: Data
    until: Instant
    lines: int = 0
    bytes: int = 0


@dataclass
class Opened:
    """An open session."""

    id: str
    grant: Granted
    actor: str
    seq: int = 0
    total: tuple[int, int] = (0, 0)
    ceiling: tuple[int, int] = (0, 0)


class Writer:
    """A log that is being written."""

    def __init__(self, first: int = 0) -> None:
        self.entries: list[Entry] = []
        self.first = first
        self.now = START
        self.epoch = 0
        self.revision = 0
        self.bundle = BUNDLE
        self.replica = ""
        self.vkey = VKEY
        self._count = 0

    # What every act is made of.

    def id(self, prefix: str) -> str:
        self._count += 1
        return id_of(prefix, unix_ms=self.now // 1_000, randomness=self._count.to_bytes(10, "big"))

    def wait(self, seconds: float) -> None:
        self.now = Instant(self.now + round(seconds * MICROSECONDS))

    def write(
        self,
        kind: str,
        actor: str,
        data: Mapping[str, Any] | None = None,
        ref: Mapping[str, str] | None = None,
        **more: Any,
    ) -> int:
        """Write one entry, and return its index."""
        draft = Draft(
            id=EntryId(more.pop("id", self.id("ent"))), type=kind, actor=actor, ref=ref or {}, data=data or {}
        )
        assert not more
        self.entries.append(Entry(draft=draft, at=self.now))
        return self.first + len(self.entries) - 1

    def rows(self) -> Iterator[tuple[int, bytes]]:
        """Yield the log as it is stored."""
        for index, entry in enumerate(self.entries, self.first):
            yield index, entry_bytes(entry.draft, entry.at)

    def check(self, **inputs: Any) -> Report:
        """Return what the rules say of the log, which is the same whether entries or extracts of them are read."""
        report, extracts = check(self.rows(), Inputs(**inputs)), Verifier(Inputs(**inputs))
        rows = list(self.rows())
        for first in range(0, len(rows), EXTRACTED):
            content = extract([content for _, content in rows[first : first + EXTRACTED]])
            assert isinstance(content, bytes), content
            extracts.take_extract(self.first + first, content)
        assert extracts.finish() == report
        return report

    # Processes.

    def begin(self) -> Writer:
        """Start a process on an empty log, with a policy and people."""
        self.start()
        self.load()
        self.person("sub_admin", by="system")
        for name in ("alice", "bob", "carol", "dave", "erin"):
            self.person(f"sub_{name}")
        self.person("sub_bot", kind="agent", owner="sub_alice")
        return self

    def start(self, after: str = "none", **changes: Any) -> None:
        self.replica = changes.get("replica", "node-0")
        data = {
            "replica": self.replica,
            "version": "1",
            "plugins": [],
            "schema": 1,
            "config_sha256": digest("config"),
            "epoch": self.epoch,
            "origin": ORIGIN,
            "vkey": self.vkey,
            "after": after,
        }
        self.write("service.started", "system", data | changes)

    def stop(self) -> None:
        self.write("service.stopped", "system", {"replica": self.replica, "why": "signal"})

    def load(
        self, trust: str = "local", actor: str = "system", ref: Mapping[str, str] | None = None, **changes: Any
    ) -> None:
        self.revision += 1
        self.bundle = changes.get("bundle_sha256", digest(f"bundle {self.revision}"))
        data = {
            "bundle_sha256": self.bundle,
            "revision": self.revision,
            "trust": trust,
            "reviewers": [],
            "signers": [],
            "needed": 0,
            "widens": True,
        }
        self.write("policy.loaded", actor, data | changes, ref)

    # People.

    def person(self, subject: str, *, kind: str = "human", owner: str | None = None, by: str = "sub_admin") -> None:
        data = {"subject": subject, "kind": kind} | ({} if owner is None else {"owner": owner})
        self.write("principal.added", by, data)

    def change(
        self, subject: str, change: str, names: Sequence[str] = (), *, by: str = "sub_admin", **more: str
    ) -> None:
        self.write("principal.changed", by, {"subject": subject, "change": change, "names": list(names), **more})

    def lock(self, on: str, thing: str = "", *, by: str = "sub_admin", until: Instant | None = None) -> str:
        one = self.id("lck")
        data: Data = {"lock": one} | ({} if until is None else {"until_at": instant_text(until)})
        if on == "principal":
            self.write("principal.locked", by, {**data, "subject": thing, "cause": "lock"}, {"lock": one})
        else:
            data |= {"on": on} | ({"object": thing} if thing else {})
            self.write("lock.added", by, data, {"lock": one})
        return one

    def lift(self, lock: str, subject: str | None = None, *, by: str = "sub_erin") -> None:
        if subject is None:
            self.write("lock.lifted", by, {"lock": lock}, {"lock": lock})
        else:
            self.write("principal.unlocked", by, {"lock": lock, "subject": subject}, {"lock": lock})

    # Requests and reviews.

    def ask(
        self,
        by: str = "sub_alice",
        *,
        plans: Sequence[Any] = (ONE,),
        outcome: str = "review",
        scopes: Sequence[Data] | None = None,
        limits: Mapping[str, int] | None = None,
        duration_s: int = 600,
        wish: Mapping[str, Any] | None = None,
        offer: Mapping[str, Any] | None = None,
        wrong_digest: bool = False,
    ) -> Asked:
        request = self.id("req")
        asked_for = list(scopes or [scope()])
        wanted: Data = {
            "offer": 1,
            "scopes": [one | {"profiles": []} for one in asked_for],
            "reason_c": digest(f"reason {request}"),
            "duration_s": duration_s,
            "limits": {},
            "expires_at": instant_text(after(self.now, 2 * HOUR)),
            **(wish or {}),
        }
        made: Data = {
            "offer": 1,
            "policy": "one-approval",
            "bundle_sha256": self.bundle,
            "revision": self.revision,
            "outcome": outcome,
            "rule": "otherwise",
            "plans": list(plans),
            "scopes": asked_for,
            "duration_s": duration_s,
            "limits": {"lines": 1_000, "bytes": 1_000_000} if limits is None else dict(limits),
            "activate_within_s": HOUR,
            "record_c": digest(f"record {request}"),
            **(offer or {}),
        }
        bound = sha256_hex(canonical_bytes({"offer": made, "request": request, "subject": by, "wish": wanted}))
        if wrong_digest:
            bound = digest("something else")
        self.write("request.submitted", by, {**wanted, "digest_sha256": bound, "channel": "api"}, {"request": request})
        self.write("offer.made", by, made, {"request": request})
        return Asked(request, by, wanted, made, bound)

    def review(
        self,
        asked: Asked,
        by: str = "sub_bob",
        verdict: str = "approve",
        *,
        names: Sequence[str] = (APPROVERS,),
        narrowed: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        one = self.id("rev")
        data: Data = {
            "verdict": verdict,
            "digest_sha256": asked.digest,
            "eligible": list(names),
            "channel": "api",
            "auth": {"method": "password", "mfa": False, "age_s": 1},
        }
        if narrowed is not None:
            data["narrowed"] = dict(narrowed)
        self.write("review.given", by, data | changes, {"request": asked.id, "review": one})
        if verdict == "approve":
            asked.reviews.append(one)
        return one

    def deny(self, asked: Asked, by: str = "sub_bob") -> None:
        one = self.review(asked, by, "deny")
        self.write("request.denied", by, {"by": "review", "review": one}, {"request": asked.id})

    def cancel(self, asked: Asked, why: str = "requester") -> None:
        self.write("request.cancelled", asked.by, {"why": why}, {"request": asked.id})

    def expire(self, asked: Asked) -> None:
        self.now = max(self.now, parse_instant(asked.wish["expires_at"]))
        self.write("request.expired", "system", {}, {"request": asked.id})

    def approve(
        self,
        asked: Asked,
        *,
        by: str = "sub_bob",
        reviews: Sequence[str] | None = None,
        is_written: bool = True,
        **changes: Any,
    ) -> Granted:
        """Write the approval and the grant."""
        counted = list(asked.reviews if reviews is None else reviews)
        if is_written:
            data = {"digest_sha256": asked.digest, "reviews": changes.pop("approved_reviews", counted)}
            self.write("request.approved", by, data, {"request": asked.id})
        one = self.id("grt")
        activate_by = after(self.now, asked.offer["activate_within_s"])
        data = {
            "holder": asked.by,
            "basis": {"review": "reviews"}.get(asked.offer["outcome"], asked.offer["outcome"]),
            "reviews": counted,
            "digest_sha256": asked.digest,
            "scopes": asked.offer["scopes"],
            "duration_s": asked.offer["duration_s"],
            "limits": asked.offer["limits"],
            "not_before_at": instant_text(self.now),
            "activate_by_at": instant_text(activate_by),
        }
        data |= {name: asked.offer[name] for name in ("reveal", "elevation") if name in asked.offer}
        data |= changes
        self.write("grant.scheduled", by, data, {"request": asked.id, "grant": one})
        return Granted(one, asked, data, parse_instant(data["activate_by_at"]))

    def ref(self, granted: Granted, **more: str) -> dict[str, str]:
        return {"request": granted.asked.id, "grant": granted.id, **more}

    # Grants.

    def activate(self, granted: Granted, **changes: Any) -> Granted:
        begins = max(self.now, parse_instant(granted.data["not_before_at"]))
        data = {
            "from_at": instant_text(begins),
            "until_at": instant_text(after(begins, granted.data["duration_s"])),
            "reviews": granted.data["reviews"],
            "bundle_sha256": self.bundle,
            "revision": self.revision,
            "epoch": self.epoch,
        } | changes
        granted.until = parse_instant(data["until_at"])
        self.write("grant.activated", changes.pop("actor", granted.asked.by), data, self.ref(granted))
        return granted

    def granted(self, by: str = "sub_alice", **changes: Any) -> Granted:
        """Write the ordinary way to an active grant."""
        asked = self.ask(by, **changes)
        if asked.offer["outcome"] == "review":
            self.wait(30)
            self.review(asked)
        return self.activate(self.approve(asked))

    def suspend(self, granted: Granted, cause: str = "person", by: str = "sub_bob") -> None:
        self.write("grant.suspended", by, {"cause": cause}, self.ref(granted))

    def resume(self, granted: Granted, cause: str = "person", by: str = "sub_bob") -> None:
        self.write("grant.resumed", by, {"cause": cause}, self.ref(granted))

    def end(self, granted: Granted, why: str = "returned", **changes: Any) -> None:
        early = changes.pop("early", False)
        if why == "expired" and not early:
            self.now = max(self.now, granted.until)
        total = {"lines": granted.lines, "bytes": granted.bytes}
        actor = granted.asked.by if why == "returned" else "system"
        self.write("grant.ended", actor, {"why": why, "total": total} | changes, self.ref(granted))

    def revoke(self, granted: Granted, by: str = "sub_bob", **changes: Any) -> int:
        data = {"cause": "grant", "object": granted.id, "effective_at": instant_text(self.now), "late": False}
        data |= changes
        return self.write("grant.revoked", by, data, self.ref(granted))

    def look(
        self, granted: Granted, verdict: str = "justified", by: str = "sub_carol", stands: str | None = None
    ) -> None:
        data = {"verdict": verdict, "state": stands or verdict}
        self.write("breakglass.reviewed", by, data, self.ref(granted))

    # Sessions.

    def open(
        self, granted: Granted, *, actor: str | None = None, query: Mapping[str, Any] | None = None, **changes: Any
    ) -> Opened:
        session = Opened(self.id("ses"), granted, actor or granted.data["holder"])
        data = {"kind": "query", "front": "plain", "replica": self.replica, "epoch": self.epoch} | changes
        ref = self.ref(granted, session=session.id)
        self.write("session.opened", session.actor, data, ref)
        asked = {
            "query": 1,
            "text_c": digest(f"text {session.id}"),
            "scopes": granted.data["scopes"],
            "start_ns": "1000",
            "live": False,
            "plan": "evaluate",
        }
        self.write("query.recorded", session.actor, asked | dict(query or {}), ref)
        return session

    def settled(self, session: Opened, lines: int, size: int, **changes: Any) -> Data:
        data: Data = {
            "unit": "line",
            "lines": lines,
            "bytes": size,
            "first_ns": "2000",
            "last_ns": "3000",
            "masked": [{"rule": "email", "count": 1}],
            "served_c": digest(f"served {session.id} {session.seq}"),
            "overflow": False,
        }
        return data | changes

    def batch(
        self,
        session: Opened,
        *,
        lines: int = 0,
        size: int | None = None,
        reserve: int = 100,
        settled: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        """Settle so many lines and reserve so many."""
        size = lines * 100 if size is None else size
        total = session.total[0] + lines, session.total[1] + size
        reserved = reserve, reserve * 100
        data: Data = {
            "query": 1,
            "seq": session.seq + 1,
            "total": {"lines": total[0], "bytes": total[1]},
            "reserved": {"lines": reserved[0], "bytes": reserved[1]},
        }
        if lines:
            data["settled"] = self.settled(session, lines, size, **(settled or {}))
        data |= changes
        session.seq = data["seq"]
        self._charge(session, total, (total[0] + reserved[0], total[1] + reserved[1]))
        self.write("batch.served", session.grant.data["holder"], data, self.ref(session.grant, session=session.id))

    def _charge(self, session: Opened, total: tuple[int, int], ceiling: tuple[int, int]) -> None:
        session.grant.lines += ceiling[0] - session.ceiling[0]
        session.grant.bytes += ceiling[1] - session.ceiling[1]
        session.total, session.ceiling = total, ceiling

    def close(self, session: Opened, why: str = "complete", *, lines: int = 0, **changes: Any) -> None:
        total = session.total[0] + lines, session.total[1] + lines * 100
        left = (session.ceiling[0] - total[0], session.ceiling[1] - total[1]) if why == "crash" else (0, 0)
        data: Data = {
            "why": why,
            "total": {"lines": total[0], "bytes": total[1]},
            "uncertain": {"lines": left[0], "bytes": left[1]},
        }
        if lines:
            data["settled"] = self.settled(session, lines, lines * 100)
        self._charge(session, total, (total[0] + left[0], total[1] + left[1]))
        actor = "system" if why == "crash" else session.actor
        self.write("session.closed", actor, data | changes, self.ref(session.grant, session=session.id))

    def read(self, granted: Granted, *, lines: int = 40) -> None:
        """Write one whole session."""
        session = self.open(granted)
        self.batch(session)
        self.batch(session, lines=lines)
        self.wait(0.1)
        self.close(session, lines=3)

    # Policy.

    def propose(self, by: str = "sub_admin", *, needed: int = 1, widens: bool = False) -> tuple[str, Data]:
        one = self.id("prp")
        data = {
            "digest_sha256": digest(one),
            "bundle_sha256": digest(f"documents {one}"),
            "base_revision": self.revision,
            "files_sha256": digest("files"),
            "diff_sha256": digest("difference"),
            "needed": needed,
            "widens": widens,
            "comment_c": digest("comment"),
        }
        self.write("policy.proposed", by, data, {"proposal": one})
        return one, data

    def review_policy(
        self, proposal: tuple[str, Data], by: str = "sub_bob", verdict: str = "approve", **changes: Any
    ) -> None:
        one, data = proposal
        given = {
            "verdict": verdict,
            "digest_sha256": data["digest_sha256"],
            "channel": "api",
            "auth": {"method": "password", "mfa": False, "age_s": 1},
        }
        self.write("policy.reviewed", by, given | changes, {"proposal": one, "review": self.id("rev")})

    def accept(self, proposal: tuple[str, Data], reviewers: Sequence[str] = ("sub_bob",), **changes: Any) -> None:
        one, data = proposal
        more = {
            "author": "sub_admin",
            "reviewers": list(reviewers),
            "needed": data["needed"],
            "widens": data["widens"],
            "bundle_sha256": data["bundle_sha256"],
        }
        self.load("managed", reviewers[-1] if reviewers else "system", {"proposal": one}, **(more | changes))

    # Raised levels.

    def lever(self, granted: Granted, **changes: Any) -> Data:
        allowed = granted.data.get("elevation", {})
        data: Data = {
            "lease": "lease-1",
            "target": "shop-1",
            "logger": "shop.pay",
            "driver": "sdk",
            "class": "volatile",
            "incarnation": "1",
            "baseline": "info",
            "lease_epoch": 1,
            "keys_sha256": [],
            "delivery": "gateway",
            "until_at": instant_text(min(granted.until, after(self.now, allowed.get("duration_s", HOUR)))),
            "boot_ms": 1,
            "verified": True,
            "ambiguous": False,
        }
        return data | changes

    def elevate(self, granted: Granted, **changes: Any) -> str:
        one = self.id("elv")
        ref = self.ref(granted, elevation=one)
        self.write("elevation.pending", granted.asked.by, self.lever(granted, **changes), ref)
        self.write("elevation.raised", "system", self.lever(granted, after="debug", **changes), ref)
        return one

    def revert(self, granted: Granted, one: str, word: str = "reverted", **changes: Any) -> None:
        data = self.lever(granted, **({"after": "info"} | changes))
        self.write(f"elevation.{word}", "system", data, self.ref(granted, elevation=one))
