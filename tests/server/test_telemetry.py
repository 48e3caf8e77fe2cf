from __future__ import annotations

import asyncio
import gc
import io
import json
import logging

import pytest
import structlog

from loglease.server.telemetry import configure, declared_only, place_of, report_fault


@pytest.mark.attack("UI-02")
def test_only_declared_fields_are_written_and_control_characters_are_shown() -> None:
    out = io.StringIO()
    configure(out)
    try:
        log = structlog.get_logger("x")
        log.info("something", grant="grt_1", body="secret line", query="{}", error="a\nb\x1b[31m")
    finally:
        structlog.reset_defaults()
    found = json.loads(out.getvalue())
    assert set(found) == {"event", "level", "timestamp", "grant", "error"}
    assert found["error"] == "a\\u{a}b\\u{1b}[31m"


def test_a_closed_stream_costs_messages_and_nothing_else() -> None:
    out = io.StringIO()
    configure(out)
    try:
        out.close()
        structlog.get_logger("x").info("something")
    finally:
        structlog.reset_defaults()


def test_an_exception_leaves_its_place_and_not_its_text() -> None:
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError("secret of a line")
    assert place_of(raised.value).partition(":")[0].endswith("test_telemetry")
    assert place_of(ValueError()) == "unknown"
    assert declared_only(None, "error", {"event": "failed", "exc_info": raised.value}) == {"event": "failed"}


def test_the_standard_librarys_loggers_are_under_the_same_rules() -> None:
    out = io.StringIO()
    configure(out)
    try:
        try:
            int("secret of a line")
        except ValueError:
            logging.getLogger("loglease.gateway").exception("session_failed", extra={"session": "ses_1", "body": "no"})
    finally:
        structlog.reset_defaults()
        ours = logging.getLogger("loglease")
        ours.handlers, ours.propagate = [], True
    found = json.loads(out.getvalue())
    assert found.pop("where").partition(":")[0].endswith("test_telemetry")
    assert found.pop("timestamp")
    assert found == {"event": "session_failed", "level": "error", "session": "ses_1", "error": "ValueError"}


async def test_a_task_that_nobody_waits_for_does_not_die_silently() -> None:
    out = io.StringIO()
    configure(out)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report_fault)

    async def failing() -> None:
        raise LookupError("secret of a line")

    try:
        task = loop.create_task(failing())
        await asyncio.wait({task})
        del task
        gc.collect()
    finally:
        loop.set_exception_handler(None)
        structlog.reset_defaults()
    found = json.loads(out.getvalue())
    assert (found["event"], found["error"]) == ("task_failed", "LookupError")
    assert "secret" not in out.getvalue()
