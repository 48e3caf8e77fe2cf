"""From errors to HTTP: the one table of problem codes with their status, title and help (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from loglease.model.errors import LogLeaseError

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a code means: HTTP status, title, and a sentence for its help page."""

    status: int
    title: str
    help: str


_TABLE: Final[Mapping[int, Mapping[str, tuple[str, str]]]] = MappingProxyType(
    {
        400: {
            "malformed": ("The call is not well-formed", "Send JSON in UTF-8, with the fields of the API reference."),
            "query_invalid": ("The query is not LogQL", "The detail names the column. Correct the query."),
            "unknown_parameter": ("A parameter is not known", "Compare its name with the API reference."),
            "invalid_cursor": ("The cursor is not valid here", "Start the list again without a cursor."),
            "idempotency_key_required": (
                "A key against doubling is missing",
                "Send a new Idempotency-Key header with each new call.",
            ),
            "id_mismatch": ("Two identifiers disagree", "Send the same identifier in path and body."),
        },
        401: {
            "not_authenticated": ("Sign in first", "Send a valid bearer token, or sign in: loglease login."),
            "token_expired": ("The token has expired", "Sign in again or use the refresh token."),
            "groups_stale": ("Group memberships are out of date", "Sign in again."),
            "step_up_required": ("A fresh sign-in is needed", "Sign in again, then repeat the call."),
        },
        403: {
            "not_permitted": ("Not permitted", "Ask somebody with the right or role that the detail names."),
            "policy_denied": ("No policy allows this", "Ask for less, or ask the owner of the policy."),
            "guardrail_denied": (
                "A guardrail forbids this",
                "Ask for less; nobody can approve what a guardrail forbids.",
            ),
            "self_review": ("Nobody reviews their own request", "Another person has to decide."),
            "same_person": ("Another person has to decide", "Both accounts count as one person."),
            "reviewer_not_eligible": ("Not among the reviewers", "Ask the approvers that the policy names."),
            "reviewer_not_human": ("Reviewing takes a person", "Sign in interactively to review."),
            "extension_not_allowed": ("The grant cannot be extended", "Ask for access anew before it ends."),
            "locked": ("A lock stops this", "Ask an administrator."),
            "chat_not_allowed": ("Not from chat", "Decide on the web page or with the CLI."),
            "password_change_required": (
                "The password has to be changed first",
                "Somebody else made this password. Set your own: loglease login --new-password, or on the web page.",
            ),
            "csrf_failed": ("The call did not come from our page", "Load the page again and repeat."),
        },
        404: {
            "not_found": ("Not found", "There is none, or it is not for you; the two are one answer."),
            "log_incomplete": ("A part of the log is missing", "It was pruned, or its file is not there."),
        },
        405: {"method_not_allowed": ("Method not allowed", "The Allow header lists the methods.")},
        406: {"not_acceptable": ("Not acceptable", "Accept application/json.")},
        409: {
            "request_not_pending": ("The request is decided", "Look at the request; ask anew if needed."),
            "proposal_not_pending": ("The proposal is decided", "Look at the proposal; make a new one if needed."),
            "under_hold": ("Under a hold", "An administrator releases holds: loglease audit hold."),
            "still_needed": ("Still needed", "End or decide what needs it first."),
            "policy_not_managed": ("Policy is not changed here", "Change the documents where this server reads them."),
            "already_reviewed": ("Already reviewed", "A denial cannot be taken back."),
            "grant_not_active": ("The grant is not active", "Activate it, or ask whoever suspended it."),
            "grant_ended": ("The grant has ended", "Ask for a new one."),
            "grant_ambiguous": ("Several grants would do", "Name one."),
            "extension_exists": ("The grant is extended already", "See that request or grant."),
            "offer_changed": ("The offer has changed", "Look at the offers again."),
            "stage_not_open": ("An earlier stage is not complete", "Wait for it."),
            "elevation_conflict": ("Another elevation holds this level", "Wait for its end."),
            "bundle_stale": ("The policy bundle is out of date", "Load the present one and repeat."),
            "in_progress": ("Still in progress", "Repeat with the same key in a moment."),
            "simulation_running": ("A simulation is running", "There is one at a time. Try again in a few seconds."),
            "line_not_available": ("The line is not as it was served", "Ask for the value on another line."),
        },
        410: {"cursor_gone": ("The position is gone", "Load the lists again, then follow from now.")},
        412: {
            "digest_mismatch": ("The digest is another one", "Look at the request again, then decide."),
            "version_mismatch": ("Somebody else changed it first", "Load it again, then repeat."),
        },
        413: {"too_large": ("Too large", "Bodies have at most 256 KiB and 16 levels.")},
        415: {"unsupported_media_type": ("Unsupported media type", "Send application/json.")},
        422: {
            "log_invalid": (
                "Not a proof, or not one that holds",
                "Check the file or address: a log, a note, a key or a proof there has another form or content.",
            ),
            "log_key_unknown": ("No key that was given has signed this", "Give the public key of the log."),
            "invalid_field": ("A field has a wrong value", "`errors` names each field and its rule."),
            "unknown_field": ("A field is not known", "`errors` names it; compare with the API reference."),
            "scope_invalid": ("The scope is not well-formed", "The detail names the column of the selector."),
            "scope_undecidable": ("The selector is too free", "Use exact values, alternatives or prefixes."),
            "label_not_requestable": ("A label cannot be asked for", "See the labels of the source."),
            "window_invalid": ("The event window is not valid", "Give a start and an end, or live."),
            "duration_invalid": ("The duration is not valid", "Write 30m or 2h30m; in the API whole seconds."),
            "reason_required": ("A reason is needed", "Say why, for the people who decide and for the record."),
            "ticket_required": ("A ticket is needed", "Name a ticket."),
            "ticket_invalid": ("The ticket cannot be used", "Name an open ticket."),
            "input_required": ("The policy asks for more", "Fill in the field that the detail names."),
            "profile_unknown": ("The redaction profile is not known", "See the profiles of this server."),
            "no_eligible_approver": ("Nobody could approve this", "Add a person: loglease admin user add NAME."),
            "narrowing_not_subset": ("The narrowing asks for more", "Narrow every part."),
            "narrowing_unproven": ("The narrowing cannot be proven", "Use exact values, alternatives or prefixes."),
            "narrowing_empty": ("The narrowing leaves nothing", "Deny the request instead."),
            "idempotency_key_reused": ("The key belongs to another call", "Use a new key for a new call."),
            "rules_invalid": ("The redaction rules are not valid", "The detail names file, line and column."),
            "policy_invalid": ("The policy is not valid", "The detail names file, line and column."),
            "query_limit": ("The query is too large", "Ask for less time or fewer streams."),
            "report_too_large": ("The report is too large", "Ask for less time, or for a sample."),
        },
        428: {"precondition_required": ("Say what it is about", "Send If-Match with the ETag of what was shown.")},
        429: {
            "rate_limited": ("Too many calls", "Wait as long as Retry-After says."),
            "too_many_pending": ("Too many undecided requests", "Cancel one, or wait for a decision."),
            "budget_used": ("The budget is used up", "Ask for a new grant."),
        },
        500: {"internal": ("A fault of ours", "Tell the operators the trace id.")},
        502: {"source_failed": ("The log source failed", "Try again; tell the operators if it stays.")},
        503: {
            "audit_unavailable": ("Cannot be recorded", "Without a record there is no access. Try again."),
            "log_unreadable": ("The log cannot be read", "Check address and permissions. Try again."),
            "log_tampered": ("The log is not what was signed", "Tell an auditor, and keep what is there."),
            "audit_busy": ("Too much waits to be recorded", "Try again in a moment."),
            "redaction_unavailable": ("Cannot be redacted", "Without redaction there is no access. Try again."),
            "store_unavailable": ("The database is not available", "Try again; nothing was changed."),
            "policy_undecided": ("Policy cannot be decided now", "Something that it needs cannot be had. Try again."),
            "policy_unavailable": ("No policy is loaded", "Ask the operators."),
            "index_stale": ("The index is behind", "Try again in a moment."),
            "clock_suspect": ("The clock cannot be trusted", "Try again later, and tell the operators."),
            "overload": ("The server is full", "Try again in a moment."),
            "simulation_too_large": ("Too many decisions to replay", "Ask for less time, or replay them yourself."),
            "draining": ("The server is stopping", "Try again in a moment."),
        },
        504: {"source_timeout": ("The log source did not answer", "Ask for less, or try again.")},
    }
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {code: Kind(status, *texts) for status, codes in _TABLE.items() for code, texts in codes.items()}
)
"""Every problem code. Codes are public: never renamed, never reused."""

_RETRY_S: Final[Mapping[str, int]] = MappingProxyType(
    {"audit_busy": 1, "audit_unavailable": 2, "overload": 2, "draining": 5, "store_unavailable": 2, "rate_limited": 1}
)
STEP_UP_CHALLENGE: Final = 'Bearer error="insufficient_user_authentication", max_age=900'
_CHALLENGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_authenticated": "Bearer",
        "token_expired": 'Bearer error="invalid_token"',
        "groups_stale": 'Bearer error="invalid_token"',
        "step_up_required": STEP_UP_CHALLENGE,
    }
)


class NotAuthenticated(LogLeaseError):
    """There is no valid credential; which part was wrong is not said."""

    code = "not_authenticated"


class TokenExpired(LogLeaseError):
    """The credential was valid and has expired."""

    code = "token_expired"


class PasswordChangeRequired(LogLeaseError):
    """The caller's password was made by somebody else; until they have set their own they can do nothing else."""

    code = "password_change_required"

    def __init__(self) -> None:
        super().__init__("Your password has to be changed first.", next_step="loglease login --new-password")


class RedactionUnavailable(LogLeaseError):
    """The rules of a grant's profile are not at hand, so nothing can be said of its tokens."""

    code = "redaction_unavailable"

    def __init__(self) -> None:
        super().__init__("Redaction is not available.", next_step="Try again; tell an operator.")


class CsrfFailed(LogLeaseError):
    """A call with a cookie did not come from one of our pages."""

    code = "csrf_failed"


class RateLimited(LogLeaseError):
    """Too many calls; `retry_after_s` says how long to wait."""

    code = "rate_limited"

    def __init__(self, retry_after_s: int, what: str = "calls") -> None:
        super().__init__(f"Too many {what}.", next_step=f"Wait {_wait_in_words(retry_after_s)}, then try again.")
        self.retry_after_s = retry_after_s


class TooLarge(LogLeaseError):
    """A body or header is larger or deeper than allowed."""

    code = "too_large"


class UnsupportedMediaType(LogLeaseError):
    """A body is no JSON by its content type."""

    code = "unsupported_media_type"


class UnknownParameter(LogLeaseError):
    """A query parameter is not known, doubled, or must not be there."""

    code = "unknown_parameter"


class InvalidCursor(LogLeaseError):
    """A cursor was not made by this server for this caller and list."""

    code = "invalid_cursor"


class IdempotencyKeyRequired(LogLeaseError):
    """A creating call came without a usable key."""

    code = "idempotency_key_required"


class UnknownField(LogLeaseError):
    """A body has a field that the operation does not know."""

    code = "unknown_field"


class MethodNotAllowed(LogLeaseError):
    """The path exists, the method does not."""

    code = "method_not_allowed"


class CursorGone(LogLeaseError):
    """An event position is not one of this log any more."""

    code = "cursor_gone"


def _wait_in_words(seconds: int) -> str:
    """Say how long to wait; whole minutes are enough for a long wait, rounded up so that nobody comes too early."""
    if seconds < 2 * 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes"


def kind_of(error: LogLeaseError) -> Kind:
    """Return status, title and help of an error."""
    return KINDS.get(error.code, KINDS["internal"])


def problem_of(error: LogLeaseError, *, instance: str, trace_id: str) -> dict[str, Any]:
    """Return the body of a problem answer; absent members are left out."""
    kind = kind_of(error)
    code = error.code if error.code in KINDS else "internal"
    hidden = kind.status == HTTPStatus.INTERNAL_SERVER_ERROR
    body: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": kind.title,
        "status": kind.status,
        "code": code,
        "detail": "Something went wrong on our side." if hidden else error.told,
        "instance": instance,
        "trace_id": trace_id,
    }
    if error.rule and not hidden:
        body["rule"] = error.rule
    if error.faults and not hidden:
        body["errors"] = [{"pointer": one.pointer, "code": one.code, "detail": one.detail} for one in error.faults]
    if error.told_next and not hidden:
        body["next"] = [{"text": error.told_next}]
    if (present := getattr(error, "present", None)) is not None:
        body["present"] = present
    if (retry := retry_after_s(error)) is not None:
        body["retry_after_s"] = retry
    return body


def retry_after_s(error: LogLeaseError) -> int | None:
    """Return the seconds after which it makes sense to repeat the call."""
    own: int | None = getattr(error, "retry_after_s", None)
    return own if own is not None else _RETRY_S.get(error.code)


def headers_of(error: LogLeaseError) -> dict[str, str]:
    """Return the headers that an error needs: a challenge, when to come back."""
    headers = {}
    if (challenge := _CHALLENGES.get(error.code)) is not None:
        headers["www-authenticate"] = challenge
    if (retry := retry_after_s(error)) is not None:
        headers["retry-after"] = str(retry)
    return headers


def help_of(code: str) -> dict[str, Any] | None:
    """Return what the page of a code says, or None for an unknown one."""
    kind = KINDS.get(code)
    return None if kind is None else {"code": code, "status": kind.status, "title": kind.title, "help": kind.help}
