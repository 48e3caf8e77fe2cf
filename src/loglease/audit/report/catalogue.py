"""The list of reports: what each is for, what it reads, and whom it helps; the reference page is made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from loglease.audit.report import access_review, policy_history
from loglease.audit.report.access_review import AccessReview
from loglease.audit.report.asking import Asked, Beside
from loglease.audit.report.break_glass import BreakGlassRegister
from loglease.audit.report.cases import DECIDING, READING
from loglease.audit.report.dossier import Dossier
from loglease.audit.report.elevations import Elevations
from loglease.audit.report.folds import Fold
from loglease.audit.report.integrity import Integrity
from loglease.audit.report.policy_history import PolicyHistory
from loglease.audit.report.population import Population
from loglease.audit.report.refusals import Refusals
from loglease.audit.report.revocation import Revocation
from loglease.audit.report.segregation import Segregation
from loglease.audit.report.unmasked import Unmasked

FRAMEWORKS: Final[Mapping[str, str]] = MappingProxyType(
    {"soc2": "SOC 2", "iso27001_2022": "ISO/IEC 27001:2022, Annex A", "pci_dss_4_0_1": "PCI DSS 4.0.1"}
)
NO_CLAIM: Final = (
    "Parts of frameworks are named to help find evidence. No report claims that anybody complies with them."
)
_PEOPLE: Final = frozenset({"principal.added", "principal.changed"})
_LEAVING: Final = _PEOPLE | {"principal.locked", "principal.unlocked", "signin.ended", "signin.succeeded"}
_TOKENS: Final = frozenset({"token.issued", "token.revoked"})
_SERVED: Final = READING - {"query.recorded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One report that can be asked for.

    Attributes:
        text: what it holds, in one line.
        main: the table from which a sample is drawn; None where none makes sense.
        types: the entry types that it reads; None is every one.
        reads: the entry types of which it reads all; entries of others it only counts. None reads all of every one.
        whole: it reads the log to its end, also behind the time that is asked about.
        of_grant: it is about one grant, which has to be named.
        helps_with: parts of frameworks, by the keys of `FRAMEWORKS`.
    """

    name: str
    text: str
    build: Callable[[Asked, Beside], Fold]
    main: str | None
    types: frozenset[str] | None = None
    reads: frozenset[str] | None = None
    whole: bool = False
    of_grant: bool = False
    helps_with: Mapping[str, str]


def _helps(soc2: str, iso: str, pci: str) -> Mapping[str, str]:
    return MappingProxyType(dict(zip(FRAMEWORKS, (soc2, iso, pci), strict=True)))


_KINDS: Final = (
    Kind(
        name="population",
        text="All requests, reviews, grants and revocations, with proof that none is missing.",
        build=Population,
        main="requests",
        whole=True,
        reads=DECIDING,
        helps_with=_helps("CC6.1, CC6.2, CC6.3", "5.15, 5.18", "7.2, 10.2"),
    ),
    Kind(
        name="dossier",
        text="One grant from its request to its last batch.",
        build=Dossier,
        main=None,
        of_grant=True,
        helps_with=_helps("CC6.1, CC6.3", "5.18, 8.3", "10.2.1"),
    ),
    Kind(
        name=access_review.NAME,
        text="Who may request, review and administer now, what was never used, and who signed this off.",
        build=AccessReview,
        main="unused_grants",
        types=DECIDING
        | _SERVED
        | _PEOPLE
        | _TOKENS
        | {
            "principal.locked",
            "principal.unlocked",
            "signin.succeeded",
            "stand_in.named",
            "stand_in.ended",
            "report.made",
            "report.signed",
        },
        helps_with=_helps("CC6.2, CC6.3", "5.18", "7.2.4"),
    ),
    Kind(
        name="segregation",
        text="Approvals of one's own (there must be none), pairs who approve each other, concentration, haste.",
        build=Segregation,
        main="approvals",
        types=DECIDING | _PEOPLE,
        helps_with=_helps("CC6.3", "5.3", "7.2"),
    ),
    Kind(
        name="revocation",
        text="How long it took to cut what was revoked, with the worst, and what people who left still had.",
        build=Revocation,
        main="cuts",
        types=(DECIDING | _LEAVING | _TOKENS | {"session.opened", "session.closed", "reveal.served"}),
        helps_with=_helps("CC6.2, CC6.3", "5.18", "8.2"),
    ),
    Kind(
        name="break-glass",
        text="The register of emergencies, who looked at them afterwards, and what is overdue.",
        build=BreakGlassRegister,
        main="register",
        types=DECIDING | _SERVED,
        helps_with=_helps("CC6.1, CC7.3", "8.2", "7.2"),
    ),
    Kind(
        name="unmasked",
        text="Grants with the profile raw, and single values that were revealed.",
        build=Unmasked,
        main="raw_grants",
        types=DECIDING | _SERVED,
        helps_with=_helps("C1.1, CC6.7", "8.11, 8.12", "3.4.1"),
    ),
    Kind(
        name="elevations",
        text="Debug levels that were raised, whether each went back, what is overdue, and findings.",
        build=Elevations,
        main="elevations",
        types=frozenset(
            {
                *(
                    f"elevation.{act}"
                    for act in (
                        "pending",
                        "armed",
                        "raised",
                        "cut",
                        "yielded",
                        "lost",
                        "paused",
                        "overdue",
                        "reverted",
                        "failed",
                    )
                ),
                *(f"finding.{act}" for act in ("opened", "accepted", "reverted", "closed")),
                *(f"target.{act}" for act in ("registered", "retired", "frozen", "unfrozen")),
                *(f"elevation_agent.{act}" for act in ("enrolled", "lost", "refused", "journal_damaged")),
                "exposure.counted",
            }
        ),
        helps_with=_helps("CC8.1", "8.9", "10.2.1"),
    ),
    Kind(
        name=policy_history.NAME,
        text="Which bundles were in force, who let them in, what they changed, and drift of the configuration.",
        build=PolicyHistory,
        main="revisions",
        types=frozenset(
            {
                *(f"policy.{act}" for act in ("proposed", "reviewed", "withdrawn", "loaded", "refused")),
                "config.changed",
                "service.started",
            }
        ),
        helps_with=_helps("CC8.1", "8.32", "6.5, 7.2"),
    ),
    Kind(
        name="refusals",
        text="Refused calls by code, by caller and by day, and sign-ins that failed.",
        build=Refusals,
        main=None,
        types=frozenset({"access.refused", "signin.failed"}),
        helps_with=_helps("CC7.2", "8.15, 8.16", "10.2.1"),
    ),
    Kind(
        name="integrity",
        text="Whether the log is whole and keeps its rules; gaps, clocks, keys, sinks, retention, holds.",
        build=Integrity,
        main=None,
        whole=True,
        helps_with=_helps("CC7.2", "8.15, 8.17", "10.3, 10.5.1, 10.6, 10.7"),
    ),
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType({one.name: one for one in _KINDS})
"""All reports by name, in the order in which they are listed."""
