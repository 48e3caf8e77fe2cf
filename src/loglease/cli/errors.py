"""What stops a command, and the exit code that it stops with. The one table from problem codes to exit codes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar, Final

from loglease.model.errors import LogLeaseError


class Exit(IntEnum):
    """Exit codes; public, never reused."""

    DONE = 0
    NO = 1
    COULD_NOT = 2
    CHECK_FAILED = 3
    TEST_FAILED = 4
    GATE = 5
    REFUSED = 6
    NOT_FOUND = 7
    CONFLICT = 8
    CUT = 9
    PENDING = 10
    SIGN_IN = 11
    INTERRUPTED = 130


class CliError(LogLeaseError):
    """A command cannot go on; `exit_code` says how it ends."""

    code: ClassVar[str] = "usage"
    exit_code: ClassVar[Exit] = Exit.COULD_NOT


class Usage(CliError):
    """The command line is wrong."""


class InputNeeded(CliError):
    """A question would have to be asked, and there is nobody to answer."""

    code = "input_needed"


class ConfigurationInvalid(CliError):
    """The configuration file or a variable is wrong."""

    code = "configuration_invalid"


class UnsafeFile(CliError):
    """A file with a secret can be read by others."""

    code = "unsafe_file"


class IdUnclear(CliError):
    """A shortened identifier fits several things."""

    code = "id_ambiguous"


class Unreachable(CliError):
    """The server did not answer, or what answered is not ours."""

    code = "unreachable"


class NotFoundHere(CliError):
    """Nothing fits, as far as the caller may know."""

    code = "not_found"
    exit_code = Exit.NOT_FOUND


class SeveralGrants(CliError):
    """Several grants would do and the command names none."""

    code = "grant_ambiguous"
    exit_code = Exit.CONFLICT


class GrantHeld(CliError):
    """The only grants that could be used are suspended."""

    code = "grant_not_active"
    exit_code = Exit.CONFLICT


class SignedOut(CliError):
    """There is no sign-in to use."""

    code = "not_authenticated"
    exit_code = Exit.SIGN_IN


class TermsForged(CliError):
    """What the server shows does not have the digest that it names."""

    code = "terms_forged"
    exit_code = Exit.NO


class LogForged(CliError):
    """What a server gave is not what its signed head says, or not the log that was copied before."""

    code = "log_forged"
    exit_code = Exit.NO


class Differs(CliError):
    """The request is not the one that was looked at."""

    code = "digest_mismatch"
    exit_code = Exit.CONFLICT


class AlreadyDecided(CliError):
    """A review came after the verdict."""

    code = "request_not_pending"
    exit_code = Exit.CONFLICT


class Refused(LogLeaseError):
    """The server refused; `problem` is its answer (RFC 9457)."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        steps = [str(step["text"]) for step in problem.get("next", ()) if isinstance(step, dict) and "text" in step]
        super().__init__(
            str(problem.get("detail") or problem.get("title") or "The server refused."),
            next_step=steps[0] if steps else None,
            rule=problem.get("rule"),
        )
        self.problem = dict(problem)
        self.problem_code = str(problem.get("code", "internal"))
        self.status = int(problem.get("status", 0) or 0)


_EXITS: Final[Mapping[str, Exit]] = MappingProxyType(
    {
        code: exit_code
        for exit_code, codes in {
            Exit.COULD_NOT: "log_incomplete",
            Exit.REFUSED: (
                "not_permitted policy_denied guardrail_denied self_review same_person reviewer_not_eligible "
                "reviewer_not_human locked chat_not_allowed csrf_failed label_not_requestable reason_required "
                "ticket_required ticket_invalid input_required no_eligible_approver narrowing_not_subset "
                "narrowing_unproven narrowing_empty too_many_pending password_change_required extension_not_allowed"
            ),
            Exit.COULD_NOT: "log_incomplete",
            Exit.NOT_FOUND: "not_found",
            Exit.CONFLICT: (
                "request_not_pending already_reviewed grant_not_active grant_ambiguous offer_changed stage_not_open "
                "proposal_not_pending under_hold still_needed policy_not_managed extension_exists simulation_running "
                "line_not_available elevation_conflict bundle_stale in_progress digest_mismatch version_mismatch"
            ),
            Exit.CUT: "grant_ended budget_used",
            Exit.SIGN_IN: "not_authenticated token_expired groups_stale step_up_required",
        }.items()
        for code in codes.split()
    }
)
_BY_STATUS: Final[Mapping[int, Exit]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: Exit.SIGN_IN,
        HTTPStatus.FORBIDDEN: Exit.REFUSED,
        HTTPStatus.NOT_FOUND: Exit.NOT_FOUND,
        HTTPStatus.CONFLICT: Exit.CONFLICT,
        HTTPStatus.PRECONDITION_FAILED: Exit.CONFLICT,
    }
)


def exit_of(error: LogLeaseError) -> Exit:
    """Return the exit code of an error; a code that we do not know goes by its HTTP status."""
    if isinstance(error, Refused):
        return _EXITS.get(error.problem_code, _BY_STATUS.get(error.status, Exit.COULD_NOT))
    if isinstance(error, CliError):
        return error.exit_code
    return _EXITS.get(error.code, Exit.COULD_NOT)


def code_of(error: LogLeaseError) -> str:
    """Return the stable code of an error, the server's where it came from there."""
    return error.problem_code if isinstance(error, Refused) else error.code


def problem_of(error: LogLeaseError) -> dict[str, Any]:
    """Return an error as programs get it: the server's problem as it came, or one of the same members."""
    if isinstance(error, Refused):
        return error.problem
    problem: dict[str, Any] = {"code": error.code, "detail": error.message}
    if error.rule:
        problem["rule"] = error.rule
    if error.faults:
        problem["errors"] = [{"pointer": one.pointer, "code": one.code, "detail": one.detail} for one in error.faults]
    if error.next_step:
        problem["next"] = [{"text": error.next_step}]
    return problem
