"""The page about OCSF events says what the code does, row by row."""

from __future__ import annotations

import re
from pathlib import Path

from tests.audit.export.branches import entries
from tests.audit.export.events import event_for
from tests.audit.export.test_ocsf_ids import TABLE

from loglease.audit.export import ocsf_classes as o
from loglease.audit.export.ocsf_entities import ENTITIES
from loglease.audit.types import ENTRY_TYPES

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "audit-ocsf.md").read_text()
MARKS = {o.ALLOWED: " +", o.DENIED: " -", None: ""}


def type_row(name: str) -> str:
    class_uid, activity_id = divmod(ENTRY_TYPES[name].type_uid, 100)
    ocsf = o.CLASSES[class_uid]
    activity = ocsf.activities.get(activity_id) or f"{o.OTHER_ACTIVITIES[name]} (99)"
    severity = o.SEVERITIES.get(name, o.INFORMATIONAL)
    mark = " ±" if name in o.BY_VERDICT else MARKS[o.VERDICTS.get(name)]
    number = ENTRY_TYPES[name].type_uid
    return f"| `{name}` | {number}{mark} | {ocsf.name} | {activity} | {severity} {o.SEVERITY_NAMES[severity]} |"


def rows_below(heading: str) -> list[str]:
    """Return the rows of the table below a heading, without its head."""
    below = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in below.splitlines() if line.startswith("| ")][2:]


def test_the_table_of_types_is_that_of_the_code() -> None:
    assert rows_below("Types") == [type_row(name) for name in ENTRY_TYPES]


def test_the_table_of_entities_is_that_of_the_code() -> None:
    assert rows_below("Entities") == [
        f"| `{name}` | {kind} | {' / '.join(f'`{key}`' for key in keys)} |" for name, (kind, keys) in ENTITIES.items()
    ]


def test_the_page_has_the_ids_that_were_agreed() -> None:
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (\d{6})( [+±-])? \|", PAGE, re.MULTILINE)
    assert {name: number + mark.strip() for name, number, mark in rows} == TABLE


def test_the_page_tells_of_every_attribute_that_occurs() -> None:
    beside = {"category_uid", "category_name", "class_name", "activity_name", "severity", "status", "action", "message"}
    beside |= {"log_provider", "log_type", "log_type_id", "auth_protocol_id", "type", "type_id"}
    for content in entries():
        for name in event_for(content).keys() - beside - {"metadata", "actor", "unmapped"}:
            assert re.search(rf"`{name}[`.]", PAGE), name
