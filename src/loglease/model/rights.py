"""What a token may be used for: a closed list, narrower than what its principal may do."""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    """One right of a token. Reviewing is not among them: it takes an interactive sign-in."""

    REQUESTS_READ = "requests.read"
    REQUESTS_WRITE = "requests.write"
    LOGS_READ = "logs.read"
    POLICY_READ = "policy.read"
    POLICY_WRITE = "policy.write"
    AUDIT_READ = "audit.read"
    ELEVATIONS_RUN = "elevations.run"
    ADMIN = "admin"
