"""The reference page is what the code says, and the code has what was promised."""

from __future__ import annotations

from pathlib import Path

import pytest

from loglease.audit.report.catalogue import KINDS
from loglease.audit.report.reference import reference_text

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "audit-reports.md"
PROMISED = {
    "population": ("CC6.1, CC6.2, CC6.3", "5.15, 5.18", "7.2, 10.2"),
    "dossier": ("CC6.1, CC6.3", "5.18, 8.3", "10.2.1"),
    "access-review": ("CC6.2, CC6.3", "5.18", "7.2.4"),
    "segregation": ("CC6.3", "5.3", "7.2"),
    "revocation": ("CC6.2, CC6.3", "5.18", "8.2"),
    "break-glass": ("CC6.1, CC7.3", "8.2", "7.2"),
    "unmasked": ("C1.1, CC6.7", "8.11, 8.12", "3.4.1"),
    "elevations": ("CC8.1", "8.9", "10.2.1"),
    "policy-history": ("CC8.1", "8.32", "6.5, 7.2"),
    "refusals": ("CC7.2", "8.15, 8.16", "10.2.1"),
    "integrity": ("CC7.2", "8.15, 8.17", "10.3, 10.5.1, 10.6, 10.7"),
}


def test_the_committed_page_is_current() -> None:
    assert PAGE.read_text() == reference_text(), (
        "run: python -m loglease.audit.report.reference > docs/reference/audit-reports.md"
    )


@pytest.mark.parametrize("name", PROMISED)
def test_every_report_is_there_with_what_it_helps_with(name: str) -> None:
    assert tuple(KINDS[name].helps_with.values()) == PROMISED[name]
    assert f"| [`{name}`](#{name}) | {KINDS[name].text} | {' | '.join(PROMISED[name])} |" in PAGE.read_text()


def test_there_are_no_others() -> None:
    assert list(KINDS) == list(PROMISED)
