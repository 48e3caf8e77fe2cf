"""What a query has decoded is redacted again: all but the tokens that redaction itself has written."""

from __future__ import annotations

import pytest
from tests.fakes.gateway import MARKER, MASTER

from loglease.gateway.rescan import rescan_with
from loglease.redaction import Keys, redactor_for

REDACTOR = redactor_for(["pii-default@1"], keys=Keys.derived(MASTER, salt=b"s" * 32, grant_id="grt"), marker=MARKER)


@pytest.mark.parametrize("text", ["⟦to ann@example.com⟧", "⟦⟦ann@example.com⟧⟧", "⟦email:x ann@example.com⟧"])
def test_marks_that_log_text_brings_along_protect_nothing(text):
    found = rescan_with(REDACTOR)("", text)
    assert "ann@" not in found
    assert "⟦email:" in found


@pytest.mark.parametrize("token", ["⟦email⟧", "⟦email:q3f7k2p5xa⟧", "⟦card …1111⟧"])
def test_tokens_stay(token):
    assert rescan_with(REDACTOR)("", f"by {token}.") == f"by {token}."


def test_the_name_of_a_label_counts():
    assert rescan_with(REDACTOR)("password", "hunter2horse") == "⟦password⟧"
