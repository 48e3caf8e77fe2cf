"""`policy-history`: which policy was in force when, who let it in, what it changed, and drift of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.tables import Fact, Found, Rows, layout, require_room
from loglease.model.instant import Instant

NAME: Final = "policy-history"
REVISIONS: Final = layout(
    "revisions",
    "Bundles that came into force",
    "revision:number, at:time, bundle_sha256, trust, author:subject, reviewers:subjects, signers:texts, needed:number, "
    "widens:truth, proposal, replaced_at:time",
)
CHANGES: Final = layout(
    "changes", "What proposals change, of those that came into force", "revision:number, proposal, verdict, change"
)
PROPOSALS: Final = layout(
    "proposals",
    "Proposals to change the policy",
    "proposal, at:time, author:subject, base_revision:number, needed:number, widens:truth, approvals:number, "
    "denials:number, outcome, diff_sha256",
)
REFUSED: Final = layout("refused", "Bundles that were refused", "at:time, error, bundle_sha256, revision:number")
DRIFT: Final = layout(
    "configuration",
    "Changes of the configuration",
    "at:time, what, keys:texts, before_sha256, after_sha256, by:subject, approved_by:subject",
)


class PolicyHistory:
    """Keeps one record for each proposal and revision."""

    def __init__(self, asked: Asked, beside: Beside) -> None:
        self._asked = asked
        self._beside = beside
        self._loaded: list[tuple[int, Instant, Mapping[str, Any], str | None]] = []
        self._proposed: dict[str, dict[str, Any]] = {}
        self._refused = Rows(REFUSED)
        self._drift = Rows(DRIFT)
        self._configuration: str | None = None

    def add(self, logged: Logged) -> None:
        """Take in an entry."""
        draft, at = logged.entry.draft, logged.entry.at
        if at >= self._asked.to_at:
            return
        data: Mapping[str, Any] = draft.data
        if draft.type in ("policy.proposed", "policy.reviewed", "policy.withdrawn"):
            self._propose(logged)
        elif draft.type == "policy.loaded":
            require_room(len(self._loaded))
            proposal = draft.ref.get("proposal")
            self._loaded.append((logged.index, at, data, proposal))
            if proposal in self._proposed:
                self._proposed[proposal]["outcome"] = "in force"
                self._proposed[proposal]["entries"].append(logged.index)
        elif draft.type == "policy.refused" and self._asked.holds(at):
            self._refused.add(
                at, data["error"], data.get("bundle_sha256"), data.get("revision"), entries=(logged.index,)
            )
        elif draft.type == "config.changed" and self._asked.holds(at):
            self._drift.add(
                at,
                "changed",
                tuple(data["keys"]),
                data["before_sha256"],
                data["after_sha256"],
                draft.actor,
                data.get("approved_by"),
                entries=(logged.index,),
            )
        elif draft.type == "service.started":
            before, self._configuration = self._configuration, str(data["config_sha256"])
            if before not in (None, self._configuration) and self._asked.holds(at):
                self._drift.add(
                    at, "other at a start", (), before, self._configuration, draft.actor, None, entries=(logged.index,)
                )

    def _propose(self, logged: Logged) -> None:
        draft = logged.entry.draft
        name = draft.ref["proposal"]
        kept = self._proposed.get(name)
        if draft.type == "policy.proposed":
            require_room(len(self._proposed))
            self._proposed[name] = {
                "at": logged.entry.at,
                "author": draft.actor,
                "data": draft.data,
                "approve": 0,
                "deny": 0,
                "outcome": "open",
                "entries": [logged.index],
            }
        elif kept is not None:
            kept["entries"].append(logged.index)
            if draft.type == "policy.withdrawn":
                kept["outcome"] = f"withdrawn: {draft.data['why']}"
            else:
                kept[str(draft.data["verdict"])] += 1
                kept["outcome"] = "denied" if draft.data["verdict"] == "deny" else kept["outcome"]

    def found(self) -> Found:
        """Return revisions, what they changed, and drift."""
        revisions, changes, proposals = Rows(REVISIONS), Rows(CHANGES), Rows(PROPOSALS)
        for place, (index, at, data, proposal) in enumerate(self._loaded):
            replaced = self._loaded[place + 1][1] if place + 1 < len(self._loaded) else None
            if not self._asked.holds(at):
                continue
            revisions.add(
                data["revision"],
                at,
                data["bundle_sha256"],
                data["trust"],
                data.get("author"),
                tuple(data["reviewers"]),
                tuple(data["signers"]),
                data["needed"],
                data["widens"],
                proposal,
                replaced,
                entries=(index,),
            )
            for verdict, text in () if proposal is None else self._beside.changes(proposal):
                changes.add(data["revision"], proposal, verdict, text, entries=(index,))
        for name, kept in self._proposed.items():
            if self._asked.holds(kept["at"]):
                data = kept["data"]
                proposals.add(
                    name,
                    kept["at"],
                    kept["author"],
                    data["base_revision"],
                    data["needed"],
                    data["widens"],
                    kept["approve"],
                    kept["deny"],
                    kept["outcome"],
                    data["diff_sha256"],
                    entries=kept["entries"],
                )
        alone = sum(1 for row in revisions.kept if row.cells[8] is True and not _others(row.cells))
        summary = (
            Fact("revisions", len(revisions.kept), "bundles that came into force"),
            Fact(
                "widening",
                sum(row.cells[8] is True for row in revisions.kept),
                "of these allow more than the one before",
            ),
            Fact("widening_alone", alone, "of these without a signer or a reviewer beside the author"),
            Fact("refused", len(self._refused.kept), "bundles that were refused"),
            Fact("configuration", len(self._drift.kept), "changes of the configuration"),
        )
        unknown = (
            "What a bundle changed that did not come from a proposal: `loglease policy diff` compares documents.",
            "Which setting differs where the configuration was another one at a start: the log has its digest alone.",
        )
        return Found(
            summary,
            (revisions.table(), changes.table(), proposals.table(), self._refused.table(), self._drift.table()),
            unknown,
        )


def _others(cells: tuple[Any, ...]) -> set[str]:
    """Return who let a revision in beside its author."""
    author, reviewers, signers = cells[4], cells[5], cells[6]
    return {*reviewers, *signers} - {author}
