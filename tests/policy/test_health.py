"""What wants attention though it is allowed."""

from __future__ import annotations

from datetime import date

from tests.policy.world import APPROVERS, CATALOG, DIRECTORY, NOOR, OMAR, PAYMENTS, PRIYA, bundle_of, person

from loglease.model.principal import Directory, directory_of
from loglease.policy import complaints

BUNDLE = bundle_of(
    CATALOG,
    PAYMENTS.replace("id: payments-prod-debug", "id: payments-prod-debug\nreview_by: 2027-05-01"),
    APPROVERS + "at_least: 2\n",
)


def found(today: date, directory: Directory | None = None) -> list[str]:
    return [one.code for one in complaints(BUNDLE, today=today, directory=directory)]


def test_a_review_that_is_due_is_named() -> None:
    assert found(date(2027, 5, 1)) == []
    assert found(date(2027, 5, 2)) == ["P413"]


def test_whether_somebody_has_a_manager_is_no_complaint() -> None:
    managed = PAYMENTS.replace("[approvers:payments-approvers]", "['relation:manager']")
    for text, expected in ((managed, []), (managed.replace("need: 1", "need: 2"), ["P415"])):
        bundle = bundle_of(CATALOG, text)
        assert [one.code for one in complaints(bundle, today=date(2026, 1, 1), directory=directory_of([]))] == expected


def test_a_stage_that_a_guardrail_demands_needs_people_too() -> None:
    rail = "api: loglease/v1\nkind: Guardrail\nid: {}\napplies: {{all_streams: true}}\n{}\n"
    capped = rail.format("capped", "caps: {duration: 1h}")
    bundle = bundle_of(
        CATALOG, capped, *(rail.format(f"asks-{need}", f"require: {{stage: {{from: [group:privacy], need: {need}}}}}")
        for need in (1, 2, 3)),
    )  # fmt: skip
    two = directory_of([NOOR, PRIYA])
    told = [one.message for one in complaints(bundle, today=date(2026, 1, 1), directory=two) if one.code == "P415"]
    assert told == ["nobody could complete the stage that 'asks-3' demands"]


def test_people_are_counted_not_accounts() -> None:
    today = date(2026, 1, 1)
    assert found(today, DIRECTORY) == []
    twin = person("noor2", "payments-leads", who=NOOR.person)
    assert found(today, directory_of([NOOR, twin])) == ["P414"]
    assert found(today, directory_of([NOOR, OMAR])) == []
    assert sorted(found(today, directory_of([]))) == ["P414", "P415"]
