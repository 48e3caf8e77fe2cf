"""The schema for editors: it takes what loads, refuses what has another shape, and knows the fields that readers know."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.policy.broken.table import EDITS, Broken
from tests.policy.test_broken import FILES, edited
from tests.policy.world import EXAMPLE_TEST, ORGANISATION

from loglease.policy import default_files, load
from loglease.policy.fields import Later, Reader, Record
from loglease.policy.loading import _KINDS
from loglease.policy.problems import Problems
from loglease.policy.schema import schema
from loglease.policy.tree import Items, Node, Scalar, documents

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
PAGES = ("reference/policy.md", "how-to/write-a-policy.md")
EXAMPLES = [block for page in PAGES for block in BLOCK.findall((DOCS / page).read_text())]
TEXTS = [
    *EXAMPLES,
    *ORGANISATION,
    EXAMPLE_TEST,
    *FILES.values(),
    *(one.decode() for one in default_files(["files"]).values()),
]
SCHEMA = schema()
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)
SHAPE = {"P110", "P111", "P112", "P115", "P116", "P117", "P118", "P119", "P307"}
TOGETHER = {"guardrail that does nothing", "stages and auto"}  # what fields mean together is left to loading


def values(node: Node) -> Any:
    """Read a document as editors do: plain words and numbers have types."""
    if isinstance(node, Items):
        return [values(item) for item in node.items]
    if not isinstance(node, Scalar):
        return {key.text: values(value) for key, value in node.entries}
    if node.plain and node.text in ("true", "false"):
        return node.text == "true"
    if node.plain and re.fullmatch("-?[0-9]+", node.text):
        return int(node.text)
    return None if node.plain and node.text in ("", "~", "null") else node.text


def read(text: str) -> list[Any]:
    return [values(node) for node in documents("a.yaml", text.encode(), Problems())]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_documents_that_load_have_the_shape(text: str) -> None:
    for document in read(text):
        errors = [f"{list(error.instance_path)}: {error.message}" for error in VALIDATOR.iter_errors(document)]
        assert errors == [], document


@pytest.mark.parametrize("one", [one for one in EDITS if one.code in SHAPE], ids=lambda one: one.name)
def test_broken_ones_have_not(one: Broken) -> None:
    broken = read(edited(one)[one.file].decode())
    assert all(map(VALIDATOR.is_valid, broken)) is (one.name in TOGETHER)


def test_the_schema_is_one() -> None:
    assert jsonschema_rs.meta.is_valid(SCHEMA)
    assert SCHEMA["properties"]["kind"]["enum"] == [*_KINDS]


def records(part: Any) -> Iterator[tuple[str, frozenset[str]]]:
    if isinstance(part, dict):
        if "title" in part and "properties" in part:
            yield part["title"], frozenset(part["properties"])
        for inner in part.values():
            yield from records(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from records(inner)


def test_the_schema_knows_each_field_that_a_reader_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, set[frozenset[str]]] = defaultdict(set)
    reads = Reader.record

    def noted(self: Reader, node: Node, what: str, fields: Collection[str], later: Later | None = None) -> Record:
        title = re.sub(
            r" '.*'$", "", re.sub("^the (matcher|values) of .*$|^(except)$", lambda found: found[1] or "values", what)
        )
        known[title].add(frozenset(fields))
        return reads(self, node, what, fields, later)

    monkeypatch.setattr(Reader, "record", noted)
    load({f"{number}{'.test' * ('kind: PolicyTest' in text)}.yaml": text.encode() for number, text in enumerate(TEXTS)})
    table = defaultdict(set)
    for title, fields in records(SCHEMA):
        table[title].add(fields)
    for title, found in known.items():
        for fields in found:
            close = [one for one in table[title] if fields <= one]
            assert close, (
                f"loglease.policy.schema does not have the fields of {title!r} that its reader knows: {sorted(fields)}"
            )
