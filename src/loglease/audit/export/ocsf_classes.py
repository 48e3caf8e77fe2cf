"""The part of OCSF 1.8.0 that entries are mapped to: classes, names, and the facts that a type of entry fixes.

Source: the Open Cybersecurity Schema Framework, version 1.8.0. Tests hold every number and name against its published
schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

VERSION: Final = "1.8.0"
FINDING: Final = 2004
USER_ACCESS: Final = 3005
OTHER: Final = 99
ALLOWED: Final = 1
DENIED: Final = 2

SUCCESS: Final = 1
FAILURE: Final = 2
NEW: Final = 1
SUPPRESSED: Final = 3
RESOLVED: Final = 4


@dataclass(frozen=True, slots=True)
class OcsfClass:
    """A class of events.

    Attributes:
        activities: names of the activities that occur here, by id.
        has_actor: the class names who did it; where not, the profile `host` adds that.
    """

    name: str
    category: int
    category_name: str
    activities: Mapping[int, str]
    has_actor: bool = True


_IAM: Final = (3, "Identity & Access Management")
_APPLICATION: Final = (6, "Application Activity")

CLASSES: Final[Mapping[int, OcsfClass]] = MappingProxyType(
    {
        1008: OcsfClass("Event Log Activity", 1, "System Activity", {2: "Delete", 3: "Export", 8: "Restart"}),
        FINDING: OcsfClass("Detection Finding", 2, "Findings", {1: "Create", 2: "Update", 3: "Close"}, has_actor=False),
        3001: OcsfClass("Account Change", *_IAM, {1: "Create", 6: "Delete", 9: "Lock", 12: "Unlock"}),
        3002: OcsfClass("Authentication", *_IAM, {1: "Logon", 2: "Logoff"}),
        3003: OcsfClass("Authorize Session", *_IAM, {1: "Assign Privileges"}),
        3004: OcsfClass(
            "Entity Management",
            *_IAM,
            {
                1: "Create",
                3: "Update",
                4: "Delete",
                6: "Enroll",
                8: "Enable",
                9: "Disable",
                10: "Activate",
                11: "Deactivate",
                12: "Suspend",
                13: "Resume",
            },
        ),
        USER_ACCESS: OcsfClass("User Access Management", *_IAM, {1: "Assign Privileges", 2: "Revoke Privileges"}),
        6002: OcsfClass("Application Lifecycle", *_APPLICATION, {3: "Start", 4: "Stop"}, has_actor=False),
        6003: OcsfClass("API Activity", *_APPLICATION, {}),
        6005: OcsfClass("Datastore Activity", *_APPLICATION, {1: "Read", 4: "Query", 10: "Decrypt"}),
    }
)

OTHER_ACTIVITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "session.closed": "Close",
        "access.refused": "Refuse",
        "principal.changed": "Change",
        "log.restored": "Restore",
    }
)
"""Names of the activities that OCSF has no number for, by type of entry."""

SEVERITY_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
)
INFORMATIONAL: Final = 1
HIGH: Final = 4
SEVERITIES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "access.refused": 2,
        "request.denied": 2,
        "grant.revoked": 2,
        "config.changed": 2,
        "key.rotated": 2,
        "reveal.served": 2,
        "signin.failed": 2,
        "lock.added": 3,
        "principal.locked": 3,
        "policy.refused": 3,
        "finding.opened": 3,
        "elevation.lost": 3,
        "elevation_agent.lost": 3,
        "elevation_agent.refused": 3,
        "log.disclosed": 3,
        "log.pruned": 3,
        "subject.erased": 3,
        "audit.resumed": 4,
        "clock.suspect": 4,
        "elevation.failed": 4,
        "elevation.overdue": 4,
        "elevation_agent.journal_damaged": 4,
        "log.restored": 4,
        "tamper.found": 5,
    }
)
"""Types that are more than informational. What belongs to an emergency is high besides."""

VERDICTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "request.approved": ALLOWED,
        "request.denied": DENIED,
        "access.refused": DENIED,
        "elevation_agent.refused": DENIED,
        "policy.refused": DENIED,
        "policy.loaded": ALLOWED,
    }
)
"""Types that allow or deny by themselves."""

BY_VERDICT: Final = frozenset({"review.given", "policy.reviewed", "act.reviewed"})
"""Types whose `verdict` says which."""

VERDICT_WORDS: Final[Mapping[str, int]] = MappingProxyType({"approve": ALLOWED, "deny": DENIED})
ACTION_NAMES: Final[Mapping[int, str]] = MappingProxyType({ALLOWED: "Allowed", DENIED: "Denied"})

FAILED: Final = frozenset({"signin.failed", "access.refused", "policy.refused", "elevation_agent.refused"})
"""Types that say that something did not happen."""

STATUS_NAMES: Final[Mapping[int, str]] = MappingProxyType({SUCCESS: "Success", FAILURE: "Failure"})
FINDING_STATUS_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {NEW: "New", SUPPRESSED: "Suppressed", RESOLVED: "Resolved"}
)
FINDING_STATUS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "finding.accepted": SUPPRESSED,
        "finding.reverted": RESOLVED,
        "finding.closed": RESOLVED,
        "clock.trusted": RESOLVED,
    }
)
"""How findings stand that are not new."""

FINDING_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "elevation.overdue": "A raised log level was not put back in time",
        "elevation.failed": "A raised log level could not be put back",
        "finding.opened": "A logger is set otherwise than LogLease left it",
        "finding.accepted": "A logger that is set otherwise was accepted as it is",
        "finding.reverted": "A logger that was set otherwise was put back",
        "finding.closed": "A logger is no longer set otherwise",
        "elevation_agent.lost": "An elevation agent does not answer",
        "elevation_agent.journal_damaged": "The journal of an elevation agent is damaged",
        "clock.suspect": "The clock of a server cannot be trusted",
        "clock.trusted": "The clock of a server can be trusted again",
        "tamper.found": "The audit log was tampered with",
    }
)
