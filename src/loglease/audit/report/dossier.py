"""`dossier`: one grant from its request to its last batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.cases import Case, Cases
from loglease.audit.report.tables import Fact, Form, Found, Rows, layout
from loglease.model.instant import MICROSECONDS

STORY: Final = layout("story", "What happened, in order", "at:time, type, actor:subject, via:subject, facts")
SCOPES: Final = layout(
    "scopes",
    "What was asked, offered and granted",
    "stage, source, selector, from_ns, to_ns, live:truth, rules:number, profiles:texts",
)
REVIEWS: Final = layout(
    "reviews",
    "Who decided",
    "review, at:time, reviewer:subject, verdict, counted:truth, after_s:seconds, channel, method, mfa:truth",
)
SESSIONS: Final = layout(
    "sessions",
    "Sessions",
    "session, kind, front, opened_at:time, closed_at:time, why, queries:number, batches:number, lines:number, "
    "bytes:number, uncertain_lines:number",
)
_OPERATORS: Final = {"eq": "=", "not_eq": "≠", "prefix": "begins with", "not_prefix": "does not begin with"}
_FACTS: Final = (
    "outcome",
    "policy",
    "revision",
    "verdict",
    "basis",
    "why",
    "cause",
    "until_at",
    "kind",
    "front",
    "code",
    "operation",
    "seq",
    "class",
    "rule",
)


class Dossier:
    """Takes in what is about one grant or its request; whoever feeds it need not have chosen exactly."""

    def __init__(self, asked: Asked, _beside: Beside) -> None:
        self._asked = asked
        self._grant = asked.grant or ""
        self._cases = Cases()
        self._story = Rows(STORY)
        self._scopes = Rows(SCOPES)
        self._sessions: dict[str, dict[str, Any]] = {}
        self._masked: dict[str, int] = {}
        self._related: set[str] = set()

    def add(self, logged: Logged) -> None:
        """Take in an entry that has to do with the grant."""
        draft = logged.entry.draft
        if logged.entry.at >= self._asked.to_at:
            return
        self._cases.add(logged)
        data: Mapping[str, Any] = draft.data
        self._story.add(logged.entry.at, draft.type, draft.actor, draft.via, _words(data), entries=(logged.index,))
        stage = {"request.submitted": "asked", "offer.made": "offered", "grant.scheduled": "granted"}.get(draft.type)
        if stage is not None:
            self._add_scopes(stage, data, logged.index)
        if data.get("extends"):
            self._related.add(str(data["extends"]))
        if "reveal" in data:
            self._related.add(str(data["reveal"]["grant"]))
        if "session" in draft.ref:
            self._add_to_session(draft.ref["session"], logged)

    def _add_scopes(self, stage: str, data: Mapping[str, Any], index: int) -> None:
        for scope in data["scopes"]:
            self._scopes.add(
                stage,
                scope["source"],
                _selector(scope["selector"]),
                scope.get("from_ns"),
                scope.get("to_ns"),
                scope["live"],
                len(scope["rules_c"]),
                tuple(one["name"] for one in scope["profiles"]),
                entries=(index,),
            )

    def _add_to_session(self, session: str, logged: Logged) -> None:
        draft = logged.entry.draft
        data: Mapping[str, Any] = draft.data
        kept = self._sessions.setdefault(
            session, {"queries": 0, "batches": 0, "lines": 0, "bytes": 0, "uncertain": 0, "entries": []}
        )
        kept["entries"].append(logged.index)
        match draft.type:
            case "session.opened":
                kept |= {"kind": data["kind"], "front": data["front"], "opened_at": logged.entry.at}
            case "query.recorded":
                kept["queries"] += 1
            case "batch.served":
                kept["batches"] += 1
            case "session.closed":
                kept |= {"closed_at": logged.entry.at, "why": data["why"], "uncertain": data["uncertain"]["lines"]}
        settled = data.get("settled")
        if settled is not None:
            kept["lines"] += settled["lines"]
            kept["bytes"] += settled["bytes"]
            for one in settled["masked"]:
                self._masked[one["rule"]] = self._masked.get(one["rule"], 0) + one["count"]

    def found(self) -> Found:
        """Return the story with its parts."""
        case = self._cases.of_grant(self._grant)
        reviews, sessions = Rows(REVIEWS), Rows(SESSIONS)
        for one in () if case is None else case.reviews:
            auth = one.data["auth"]
            reviews.add(
                one.id,
                one.at,
                one.by,
                one.verdict,
                _counts(case, one.id),
                (one.at - (case.at if case else one.at)) // MICROSECONDS,
                one.data["channel"],
                auth["method"],
                auth["mfa"],
                entries=(one.index,),
            )
        for name, kept in self._sessions.items():
            sessions.add(
                name,
                kept.get("kind"),
                kept.get("front"),
                kept.get("opened_at"),
                kept.get("closed_at"),
                kept.get("why"),
                kept["queries"],
                kept["batches"],
                kept["lines"],
                kept["bytes"],
                kept["uncertain"],
                entries=kept["entries"],
            )
        unknown = (
            "Reasons, tickets, comments, queries and line rules are commitments here; their text takes a disclosure.",
            "Which lines were served stands in the served lists beside the log, and what they said nowhere.",
        )
        return Found(
            self._summary(case),
            (self._story.table(), self._scopes.table(), reviews.table(), sessions.table()),
            unknown,
        )

    def _summary(self, case: Case | None) -> tuple[Fact, ...]:
        facts = [Fact("grant", self._grant, "the grant", Form.TEXT)]
        if case is not None:
            facts += [
                Fact("request", case.request, "its request", Form.TEXT),
                Fact("holder", case.holder, "who holds it", Form.SUBJECT),
                Fact("approvers", case.approvers, "whose reviews it rests on", Form.SUBJECTS),
                Fact("policy", case.policy, "the policy that offered it", Form.TEXT),
                Fact("bundle_sha256", _text(case.offer, "bundle_sha256"), "the bundle then in force", Form.TEXT),
                Fact("digest_sha256", _text(case.submitted, "digest_sha256"), "what reviews are bound to", Form.TEXT),
                Fact("basis", case.basis, "on what it rests", Form.TEXT),
                Fact("from_at", case.from_at, "when its clock began", Form.TIME),
                Fact("until_at", case.until_at, "when its time is over", Form.TIME),
                Fact("state", case.state, "what became of it", Form.TEXT),
            ]
        lines = sum(kept["lines"] for kept in self._sessions.values())
        masked = tuple(f"{rule} {count}" for rule, count in sorted(self._masked.items()))
        return (
            *facts,
            Fact("lines", lines, "lines, samples and names that were handed over"),
            Fact(
                "uncertain",
                sum(kept["uncertain"] for kept in self._sessions.values()),
                "more that may have been, at a crash",
            ),
            Fact("masked", masked, "how often each rule masked something in them", Form.TEXTS),
            Fact("related", tuple(sorted(self._related)), "grants that it extends, or reveals a value of", Form.TEXTS),
        )


def _counts(case: Case | None, review: str) -> bool:
    return case is not None and review in (case.counted or case.terms.get("reviews", ()))


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return None if value is None else str(value)


def _selector(tests: list[Mapping[str, Any]]) -> str:
    """Write a selector in words; a value that is only committed to stays a commitment."""
    return (
        ", ".join(
            f"{test['label']} any"
            if test["op"] == "any"
            else f"{test['label']} {_OPERATORS[test['op']]} {test.get('value', 'a private value')}"
            for test in tests
        )
        or "all streams"
    )


def _words(data: Mapping[str, Any]) -> str:
    """Return the plain facts of an entry in one line."""
    found = [f"{name} {data[name]}" for name in _FACTS if name in data]
    found += [f"{name} {data[name]['lines']} lines" for name in ("total", "settled", "reserved") if name in data]
    return ", ".join(found)
