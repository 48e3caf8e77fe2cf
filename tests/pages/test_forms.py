from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import ImmutableMultiDict
from tests.pages.world import World

from loglease.model.errors import InvalidField
from loglease.model.instant import NANOSECONDS
from loglease.model.labels import selector_of
from loglease.model.scope import Level
from loglease.model.selector_text import parse_selector, selector_text
from loglease.policy.defaults import POLICY_FILE, default_files
from loglease.server.pages.request_form import Typed, typed_of, wish_of, with_labels_apart
from loglease.server.policies import rules_of
from loglease.sources.registry import Source

SOURCES = {
    "files": Source(name="files", kind="files", reader=None, trusted_labels=frozenset({"service", "env"}))  # type: ignore[arg-type]
}


def typed(**fields: str) -> Typed:
    return typed_of(
        ImmutableMultiDict([("source", "files"), *((name.replace("__", "."), text) for name, text in fields.items())])
    )


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("pay-api", '{service="pay-api"}'),
        ("pay-api, pay-web", '{service=~"pay-api|pay-web"}'),
        ("pay-*", '{service=~"pay-.*"}'),
        ("*", '{service=~".+"}'),
        (' "; } or {x="y ', '{service="\\"; } or {x=\\"y"}'),
    ],
)
def test_labels_mean_what_people_type(text: str, selector: str) -> None:
    assert selector_text(wish_of(typed(label__service=text), SOURCES).selector) == selector


def test_a_whole_form_becomes_a_wish() -> None:
    wish = wish_of(
        typed(
            label__service="pay-api",
            window="6h",
            live="1",
            level="warn",
            contains="timeout\nledger",
            reason=" because ",
            ticket="PAY-1",
            duration="2h30m",
            limit_lines="5,000",
        ),
        SOURCES,
    )
    assert (wish.window.lookback_s, wish.window.live, wish.level_from) == (6 * 3600, True, Level.WARN)
    assert (wish.contains, wish.reason, wish.ticket) == (("timeout", "ledger"), "because", "PAY-1")
    assert (wish.duration_s, wish.limits.lines) == (9_000, 5_000)


def test_times_of_a_date_field_are_utc() -> None:
    wish = wish_of(
        typed(label__service="a", window="custom", from_time="2026-11-23T09:00", to_time="2026-11-23T10:00:30"), SOURCES
    )
    assert wish.window.start_ns is not None
    assert wish.window.end_ns is not None
    assert wish.window.end_ns - wish.window.start_ns == 3_630 * NANOSECONDS


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "selector"),
        ({"label__service": "a", "selector": '{service="b"}'}, "selector"),
        ({"label__service": "a", "all_streams": "1"}, "selector"),
        ({"selector": "{service="}, "selector"),
        ({"selector": '{service=~"a.b.c"}'}, "selector"),
        ({"label__pod": "a"}, "selector"),
        ({"label__service": "a", "window": "custom"}, "window"),
        ({"label__service": "a", "window": "soon"}, "window"),
        ({"label__service": "a", "level": "loud"}, "level"),
        ({"label__service": "a", "duration": "60m "}, None),
        ({"label__service": "a", "duration": "a while"}, "duration"),
        ({"label__service": "a", "duration": "0"}, "duration"),
        ({"label__service": "a", "limit_lines": "-1"}, "limit_lines"),
        ({"label__service": "a", "limit_lines": "1e9"}, "limit_lines"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, str], field: str | None) -> None:
    if field is None:
        assert wish_of(typed(**fields), SOURCES).duration_s == 3_600
        return
    with pytest.raises(InvalidField) as refused:
        wish_of(typed(**fields), SOURCES)
    assert f"/{field}" in {fault.pointer for fault in refused.value.faults}
    assert refused.value.next_step


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(InvalidField) as refused:
        wish_of(typed(label__pod="a", duration="x", level="loud", window="custom"), SOURCES)
    assert {fault.pointer for fault in refused.value.faults} == {"/selector", "/duration", "/level", "/window"}


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(InvalidField):
        wish_of(Typed(source="elsewhere", labels={"service": "a"}), SOURCES)


values = st.text(st.sampled_from('ab-*, {}"\\|.é'), max_size=12)


@given(values, values)
def test_any_text_in_a_label_is_a_selector_or_a_refusal(one: str, other: str) -> None:
    try:
        wish = wish_of(Typed(source="files", labels={"service": one, "env": other}), SOURCES)
    except InvalidField:
        return
    assert parse_selector(selector_text(wish.selector)) == wish.selector


@given(st.dictionaries(st.sampled_from(["service", "env"]), values, min_size=1))
def test_a_selector_taken_apart_means_the_same(labels: dict[str, str]) -> None:
    try:
        selector = wish_of(Typed(source="files", labels=labels), SOURCES).selector
    except InvalidField:
        return
    apart = with_labels_apart(Typed(source="files", selector=selector_text(selector)), ["service", "env"])
    assert wish_of(apart, SOURCES).selector == selector_of(dict(selector.matchers))


async def test_the_form_suggests_the_values_that_policies_for_the_visitor_name(world: World) -> None:
    services = world.services
    files = default_files(services.sources)
    declared = b"labels: {service: [pay-api, pay-web, vault]}"
    files[POLICY_FILE] = files[POLICY_FILE].replace(b"redaction: {secrets", declared + b"\nredaction: {secrets", 1)
    own = b"labels: {service: [pay-api, pay-web]}"
    files[POLICY_FILE] = files[POLICY_FILE].replace(b"all_streams: true\n    lookback", own + b"\n    lookback")
    services.rules.current = rules_of(files, services.sources, library=services.library.current, revision=2)
    page = (await (await world.signed_in("alice@example.com")).get("/requests/new")).text
    assert '<option value="pay-api">' in page
    assert '<option value="pay-web">' in page
    assert "vault" not in page
    files[POLICY_FILE] = files[POLICY_FILE].replace(b"group:everybody", b"group:approvers")
    services.rules.current = rules_of(files, services.sources, library=services.library.current, revision=3)
    assert (
        '<option value="pay-api">' not in (await (await world.signed_in("alice@example.com")).get("/requests/new")).text
    )
    assert '<option value="pay-api">' in (await (await world.signed_in("bob@example.com")).get("/requests/new")).text
