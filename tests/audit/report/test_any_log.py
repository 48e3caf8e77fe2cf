"""Whatever valid entries a log holds, in whatever order: every report can be made of it, in every form."""

from __future__ import annotations

import os
from typing import Any
from unittest.mock import patch

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audit.drafts import drafts
from tests.audit.report.logs import Log, at

from loglease.audit.entry import entry_bytes
from loglease.audit.interface import Draft
from loglease.audit.merkle import leaf_hash
from loglease.audit.report.catalogue import KINDS
from loglease.audit.report.documents import document_bytes, document_of
from loglease.audit.report.making import Making
from loglease.audit.report.pages import page_of
from loglease.audit.report.sheets import sheets_of

EXAMPLES = int(os.environ.get("REPORT_EXAMPLES", "25"))


def related(draft: Draft, number: int) -> Draft:
    """Let entries speak of few objects, so that they meet."""
    ref = {name: f"{name}_{number % 2}" for name in draft.ref}
    return Draft(id=draft.id, type=draft.type, actor=draft.actor, ref=ref, data=draft.data, via=draft.via)


def log_with(found: list[tuple[Draft, int]]) -> Log:
    log = Log()
    for index, (draft, number) in enumerate(found):
        content = entry_bytes(related(draft, number), at(index))
        log.rows.append((index, content, leaf_hash(content)))
    return log


@given(st.lists(st.tuples(drafts(), st.integers(0, 1)), max_size=12), st.integers(0, 12))
@settings(max_examples=EXAMPLES)
def test_a_report_that_only_counts_some_entries_is_the_one_that_reads_all(
    found: list[tuple[Draft, int]], cut: int
) -> None:
    log, counting = log_with(found), [kind.name for kind in KINDS.values() if kind.reads is not None]
    assert counting
    for name in counting:
        quick = document_bytes(document_of(log.report(name, start=None, end=cut)))
        with patch.object(Making, "_is_counted", lambda *_: False):
            assert document_bytes(document_of(log.report(name, start=None, end=cut))) == quick


@given(st.lists(st.tuples(drafts(), st.integers(0, 1)), max_size=12), st.integers(0, 12), st.booleans())
@settings(max_examples=EXAMPLES)
def test_every_report_can_be_made_of_any_log(found: list[tuple[Draft, int]], cut: int, sampled: bool) -> None:
    log = log_with(found)
    for kind in KINDS.values():
        question: dict[str, Any] = {"end": cut, "start": None}
        if kind.of_grant:
            question["grant"] = "grant_1"
        if sampled and kind.main is not None:
            question |= {"sample": 2, "seed": 1}
        report = log.report(kind.name, **question)
        document = orjson.loads(document_bytes(document_of(report)))
        last = len(found) if kind.whole else min(cut, len(found))
        assert all(0 <= index < last for index in document["evidence"])
        assert document["unknown"]
        assert sheets_of(report)
        assert page_of(report)
