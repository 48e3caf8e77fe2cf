"""Fields of mappings: what a reader did not declare it cannot ask for, whatever a document holds."""

from __future__ import annotations

import pytest

from loglease.policy.fields import Reader
from loglease.policy.problems import Problems
from loglease.policy.tree import documents


def test_a_field_that_the_reader_did_not_declare_is_a_mistake_of_the_reader() -> None:
    problems = Problems()
    (node,) = documents("a.yaml", b"name: maria\nage: 7\n", problems)
    record = Reader(problems).record(node, "a person", ("name", "groups"))
    assert record.node("name") is not None
    assert record.node("groups") is None
    for undeclared in ("age", "group"):
        with pytest.raises(KeyError, match=undeclared):
            record.node(undeclared)
    assert [(str(one.at), one.code) for one in problems.found()] == [("a.yaml:2:1", "P110")]


def test_the_place_of_a_field_that_is_not_given_is_its_mapping() -> None:
    problems = Problems()
    (node,) = documents("a.yaml", b"# somebody\nid: x\nname: maria\n", problems)
    record = Reader(problems).record(node, "a person", ("id", "name", "groups"))
    assert (str(record.key_at("name")), str(record.key_at("groups"))) == ("a.yaml:3:1", "a.yaml:2:1")
