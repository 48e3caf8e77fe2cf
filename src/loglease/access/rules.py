"""The rules in force: one policy bundle and the redaction profiles it may name, as a value handed to the use cases.

Everything that `access` wants to know of policy is asked here, so that policy's refusals become errors in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loglease.access import errors
from loglease.model.errors import LogLeaseError
from loglease.policy.bundle import Bundle
from loglease.policy.profiles import Profiles

_ERRORS: Mapping[str, type[LogLeaseError]] = {
    error.code: error
    for error in (
        errors.GuardrailDenied,
        errors.NoEligibleApprover,
        errors.NotPermitted,
        errors.PolicyDenied,
        errors.ReasonRequired,
        errors.ReviewerNotEligible,
        errors.ReviewerNotHuman,
        errors.SamePerson,
        errors.SelfReview,
        errors.StageNotOpen,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One version of the rules.

    Attributes:
        profiles: all redaction profiles of this server, by name.
        profile_digests: SHA-256 of each profile by ``name@version``.
    """

    bundle: Bundle
    profiles: Profiles
    profile_digests: Mapping[str, str]

    @property
    def bundle_sha256(self) -> str:
        """The hash that decisions and grants name."""
        return self.bundle.hash

    @property
    def revision(self) -> int:
        """The revision of the bundle."""
        return self.bundle.revision
