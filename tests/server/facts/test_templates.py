from __future__ import annotations

import json
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.principal import Kind
from loglease.policy.conditions import BOOL
from loglease.policy.documents import FactRule
from loglease.policy.observed import Question
from loglease.policy.problems import At
from loglease.server.facts.templates import NotNamed, NotPlain, in_address, in_json, template_of, unknown_places

RULE = FactRule(name="ctx.on_call", type=BOOL, provider="rota", max_age_s=60, at=At("facts.yaml", 3, 3))


def question(account: str = "maria", label: str | None = "pay-api", ticket: str | None = None) -> Question:
    return Question(RULE, "local", account, Kind.HUMAN, None if label is None else ("service", label), ticket)


def test_places_are_filled_and_other_braces_stay() -> None:
    text = "https://x.example/{key}/{label}?who={account}&from={issuer}&kind={kind}&more={size}"
    filled = template_of(text).filled(question("a b&c"), in_address)
    assert filled == "https://x.example/service/pay-api?who=a%20b%26c&from=local&kind=human&more={size}"
    assert unknown_places(text) == ["size"]
    body = template_of('{"service": "{label}", "who": {"name": "{account}"}}').filled(question('ma"ria'), in_json)
    assert json.loads(body) == {"service": "pay-api", "who": {"name": 'ma"ria'}}


@pytest.mark.parametrize(
    ("place", "asked"), [("ticket", question()), ("label", question(label=None)), ("key", question(label=None))]
)
def test_what_the_question_does_not_name_is_told(place: str, asked: Question) -> None:
    with pytest.raises(NotNamed) as missing:
        template_of("https://x.example/{account}/{" + place + "}").filled(asked, in_address)
    assert missing.value.place == place


@pytest.mark.parametrize("value", [".", "..", "../admin", "a/..", "a\\..\\b", "\ud800"])
def test_dots_do_not_lead_elsewhere(value: str) -> None:
    with pytest.raises(NotPlain):
        in_address(value)


@given(st.text(min_size=1, max_size=12))
def test_a_value_never_leaves_its_place_in_an_address(value: str) -> None:
    try:
        filled = template_of("https://x.example/a/{account}/z?q={account}&r=1").filled(question(value), in_address)
    except NotPlain:
        return
    parts = urlsplit(filled)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "x.example", "")
    assert [unquote(one) for one in parts.path.split("/")] == ["", "a", value, "z"]
    assert [unquote(one) for one in parts.query.split("&")] == [f"q={value}", "r=1"] or "&" in value


@given(st.text(max_size=12))
def test_a_value_never_leaves_its_string_in_json(value: str) -> None:
    filled = template_of('{"who": "{account}", "r": 1}').filled(question(value or "-"), in_json)
    assert json.loads(filled) == {"who": value or "-", "r": 1}
