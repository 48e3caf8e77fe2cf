"""Why a use case refuses. Codes are public and never change; texts tell nobody what they may not know."""

from __future__ import annotations

from loglease.model.errors import LogLeaseError


class NotPermitted(LogLeaseError):
    """The caller may not do this."""

    code = "not_permitted"


class NotFound(LogLeaseError):
    """There is none, or it is not for the caller; the two are one answer."""

    code = "not_found"


class SelfReview(LogLeaseError):
    """The requester tried to review their own request."""

    code = "self_review"


class SamePerson(LogLeaseError):
    """The reviewer is, or may be, the same human being as the requester or an earlier reviewer."""

    code = "same_person"


class ReviewerNotEligible(LogLeaseError):
    """The policy does not let this person review this request."""

    code = "reviewer_not_eligible"


class ReviewerNotHuman(LogLeaseError):
    """An agent, a service or a long-lived token tried to review."""

    code = "reviewer_not_human"


class StageNotOpen(LogLeaseError):
    """An earlier stage of the plan is not complete."""

    code = "stage_not_open"


class Locked(LogLeaseError):
    """A lock applies to the caller or to what the call is about."""

    code = "locked"


class TokenRevoked(LogLeaseError):
    """The credential was taken away while the call was on its way."""

    code = "not_authenticated"


class StepUpRequired(LogLeaseError):
    """The act needs a more recent sign-in."""

    code = "step_up_required"


class PreconditionRequired(LogLeaseError):
    """A review came without the digest of what was decided."""

    code = "precondition_required"


class DigestMismatch(LogLeaseError):
    """A review names another digest than the request has; `present` is the right one."""

    code = "digest_mismatch"

    def __init__(self, present: str) -> None:
        super().__init__(
            f"The review is not about this request: its digest is {present}.",
            next_step="Look at the request again, then decide.",
        )
        self.present = present


class PolicyDenied(LogLeaseError):
    """No policy offers what was asked."""

    code = "policy_denied"


class PolicyUndecided(LogLeaseError):
    """A fact that the policy needs cannot be had at the moment; no rule said no."""

    code = "policy_undecided"


class InputRequired(LogLeaseError):
    """The policy asks for something in a field of its own that is missing or does not fit."""

    code = "input_required"


class GuardrailDenied(LogLeaseError):
    """An organisation-wide guardrail forbids what was asked."""

    code = "guardrail_denied"


class OfferChanged(LogLeaseError):
    """The offer that was named is no longer made."""

    code = "offer_changed"


class BundleStale(LogLeaseError):
    """What was decided about is another policy than the one in force."""

    code = "bundle_stale"


class ExtensionNotAllowed(LogLeaseError):
    """The grant cannot be extended, or not once more: its policy or its kind says so."""

    code = "extension_not_allowed"


class ExtensionExists(LogLeaseError):
    """The grant is extended already, or a request to do so waits for its decision."""

    code = "extension_exists"


class NoEligibleApprover(LogLeaseError):
    """Nobody but the requester could approve."""

    code = "no_eligible_approver"


class ReasonRequired(LogLeaseError):
    """The policy asks for a reason, or a longer one; a denial needs a comment."""

    code = "reason_required"


class TicketRequired(LogLeaseError):
    """The policy asks for a ticket."""

    code = "ticket_required"


class TicketInvalid(LogLeaseError):
    """The ticket is not of the form that the policy asks for."""

    code = "ticket_invalid"


class ProfileUnknown(LogLeaseError):
    """There is no redaction profile of that name."""

    code = "profile_unknown"


class TooManyPending(LogLeaseError):
    """The caller has as many undecided requests as anybody may have."""

    code = "too_many_pending"


class GrantAmbiguous(LogLeaseError):
    """Several grants would do and the call names none."""

    code = "grant_ambiguous"


class BudgetUsed(LogLeaseError):
    """A budget of the grant is spent."""

    code = "budget_used"


class QueryLimit(LogLeaseError):
    """A limit of queries a minute or of sessions or tails at once is reached, the grant's or the principal's."""

    code = "rate_limited"


class LineNotAvailable(LogLeaseError):
    """The line of a reveal is gone or differs, or its mask covers more than what was approved; one text for all."""

    code = "line_not_available"

    def __init__(self) -> None:
        super().__init__(
            "The line is not available as it was served, or what is masked there is more than was approved.",
            next_step="The reveal is not used up; try again, or ask for the value on another line.",
        )


class ClockSuspect(LogLeaseError):
    """The server's clock cannot be trusted, so nothing new begins."""

    code = "clock_suspect"

    def __init__(self) -> None:
        super().__init__(
            "The server's clock cannot be trusted, so nothing new begins.",
            next_step="Try again later, and tell an operator: /readyz says what is wrong with it.",
        )


class IdempotencyKeyReused(LogLeaseError):
    """The key was used for another body."""

    code = "idempotency_key_reused"


class AccountMismatch(LogLeaseError):
    """What a session reports does not go on where its record stands; a fault of ours, never of a caller."""

    code = "internal"


class UnderHold(LogLeaseError):
    """A hold covers what was to be erased or pruned."""

    code = "under_hold"


class StillNeeded(LogLeaseError):
    """What was to be erased or pruned is needed by something that is not over."""

    code = "still_needed"
