"""What clients send and get about the policy: documents, what separates them, proposals and their reviews."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field

from loglease.access.decisions import KEPT_S
from loglease.model.proposal import ProposalState, ProposedChange
from loglease.model.review import Channel, Verdict
from loglease.server.api.fields import At, Body, Count, Digest, Reason, Resource, ReviewIdText, id_pattern
from loglease.server.api.resources import Who

ProposalIdText = Annotated[str, Field(pattern=id_pattern("prp"), examples=["prp_01JDC8Z0M4T9YV2K3R5W7X8Q4M"])]
MAX_DOCUMENT: Final = 200_000
"""Characters of one document: less than a body may have, so that a document that is too long is named."""
_SEGMENT = "[A-Za-z0-9_][A-Za-z0-9._-]*"
PathText = Annotated[
    str,
    Field(
        max_length=200,
        pattern=rf"^({_SEGMENT}/)*{_SEGMENT}\.yaml$",
        description="Path of a document, with / between folders.",
        examples=["payments.yaml"],
    ),
]
Files = Annotated[
    dict[PathText, Annotated[str, Field(max_length=MAX_DOCUMENT)]],
    Field(min_length=1, max_length=500, description="The text of every document by its path."),
]
PlaceText = Annotated[str, Field(description="`file:line:column`.", examples=["payments.yaml:47:9"])]


class DecisionShown(Resource):
    """A kept decision: what was asked by whom, what was known, what came of it. Its `format` says how to read it."""

    decision: dict[str, Any]


class FilesBody(Body):
    """A whole set of policy documents, tests included."""

    files: Files


class DiffBody(FilesBody):
    """Two whole sets of policy documents; without `base` it is the policy in force that they are held against."""

    base: Files | None = None


class ProposalBody(FilesBody):
    """A whole set of policy documents, and why it should be in force."""

    comment: Annotated[Reason, Field(min_length=1)]


class SimulateBody(Body):
    """Documents to decide by, or the proposal that has them, and how far back recorded decisions are replayed."""

    files: Files | None = None
    proposal: ProposalIdText | None = None
    since_s: Annotated[int, Field(ge=1, le=KEPT_S, description="Decisions of so many seconds until now.")] = 30 * 86_400


class CommentBody(Body):
    """A comment for the record; a denial needs one."""

    comment: Reason = ""


class Meaning(StrEnum):
    """What a change means for those who ask."""

    WIDENS = "WIDENS"
    CHEAPER = "CHEAPER"
    UNDECIDED = "UNDECIDED"
    NARROWS = "NARROWS"
    SAME = "SAME"


class DocumentShown(Resource):
    """A policy or guardrail in force."""

    id: str
    title: str


class PolicyShown(Resource):
    """Which policy is in force."""

    trust: Annotated[str, Field(description="Whom the policy comes from: a setting of the server.")]
    revision: Count
    bundle_sha256: Digest
    policies: list[DocumentShown]
    guardrails: list[DocumentShown]
    tests: Annotated[int, Field(ge=0, description="How many cases the policy is tested with.")]
    fault: Annotated[str | None, Field(description="Why newer documents are not in force.")] = None


class ChangeShown(Resource):
    """One difference to the policy in force, and what it means for those who ask."""

    verdict: Meaning
    kind: str
    document: str
    text: str
    at: PlaceText | None = None


class WarningShown(Resource):
    """Something that should be looked at, though it is allowed."""

    at: PlaceText
    code: str
    detail: str


Overall = Annotated[Meaning, Field(description="The gravest of the changes; SAME without any.")]
Needed = Annotated[
    int,
    Field(ge=1, description="People beside the author who have to approve: two unless nobody is proved to get more."),
]


class PolicyChecked(Resource):
    """What documents would mean, were they proposed. Nothing was changed."""

    bundle_sha256: Digest
    base_revision: Count
    verdict: Overall
    needed: Needed
    changes: list[ChangeShown]
    tests: Annotated[int, Field(ge=0, description="How many tests passed: all that the documents have.")]
    warnings: list[WarningShown]


class PolicyCompared(Resource):
    """What one set of documents means beside another. Their tests were not run, and nothing was changed."""

    base_sha256: Digest
    bundle_sha256: Digest
    verdict: Overall
    needed: Needed
    changes: list[ChangeShown]


class BundleShown(Resource):
    """One revision of a managed policy."""

    revision: Count
    bundle_sha256: Digest
    loaded_at: At
    in_force: bool
    proposal: Annotated[ProposalIdText | None, Field(description="Absent for the one that the server began with.")] = (
        None
    )
    author: Who | None = None
    comment: str | None = None
    files: Annotated[dict[str, str] | None, Field(description="The documents by path; absent in lists.")] = None


class KeptShown(Resource):
    """A bundle of which the documents are kept."""

    bundle_sha256: Digest
    kept_at: At


class DocumentsShown(Resource):
    """The documents of a bundle, as they were when it first came into force."""

    bundle_sha256: Digest
    files: Annotated[dict[str, str], Field(description="By path.")]


class ProposalReviewShown(Resource):
    """One person's decision on a proposal."""

    id: ReviewIdText
    reviewer: Who
    verdict: Verdict
    comment: str
    given_at: At
    channel: Channel


class ProposalKind(StrEnum):
    """What is proposed: documents for the policy in force, or an act that needs a second administrator."""

    POLICY = "policy"
    ERASE = "erase"
    PRUNE = "prune"


class ActShown(Resource):
    """Exactly what an act would do, or did."""

    subject: Annotated[str | None, Field(description="Whose texts are erased, with the link to who they are.")] = None
    person: Annotated[Who | None, Field(description="Who that is; absent once it is done.")] = None
    texts: Annotated[int | None, Field(ge=0, description="How many texts are kept of them now.")] = None
    entry: Annotated[str | None, Field(description="The one entry of which a text is erased.")] = None
    field: Annotated[str | None, Field(description="Which of its texts.")] = None
    before: Annotated[At | None, Field(description="What was recorded before this instant is pruned.")] = None
    min_index: Annotated[int | None, Field(ge=0, description="The lowest index that is served afterwards.")] = None


class ProposalShown(Resource):
    """What somebody wants done and others decide on, and what became of it.

    Documents for the policy have `bundle_sha256`, `base_revision`, `verdict` and `changes`; an act has `act`.
    """

    id: ProposalIdText
    kind: ProposalKind
    state: ProposalState
    author: Who
    comment: str
    act: ActShown | None = None
    bundle_sha256: Digest | None = None
    base_revision: Annotated[int | None, Field(ge=0, description="The revision that it was compared with.")] = None
    verdict: Overall | None = None
    needed: Needed
    approvals: Annotated[int, Field(ge=0, description="Approvals that count by now.")]
    changes: list[ChangeShown] = Field(default_factory=list)
    reviews: list[ProposalReviewShown]
    may_review: bool
    digest: Digest
    proposed_at: At
    decided_at: At | None = None
    decided_by: Who | None = None
    answer: Annotated[str | None, Field(description="What the other administrator wrote about an act.")] = None
    revision: Annotated[int | None, Field(description="Under which it came into force.")] = None
    files: Annotated[dict[str, str] | None, Field(description="The documents by path; absent in lists.")] = None


def change_shown(change: ProposedChange) -> ChangeShown:
    """Return one difference."""
    return ChangeShown(
        verdict=Meaning(change.verdict),
        kind=change.kind,
        document=change.document,
        text=change.text,
        at=change.at,
    )
