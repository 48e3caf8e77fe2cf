"""Texts that go out of documents: all that was typed, nothing else, and what is left still reads."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from loglease.store.scrubbing import DERIVES, ERASED, TYPED, of_reviewers, scrubbed, without_salts, without_secret

words = st.text(max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "state", "scopes", "offer", "wish"]), inner, max_size=3)
    ),
    max_leaves=8,
)
typed = st.fixed_dictionaries(
    {},
    optional={
        "reason": words,
        "ticket": words,
        "comment": words,
        "contains": st.lists(words, max_size=3),
        "inputs": st.dictionaries(words, words, max_size=3),
        "private": st.dictionaries(words, words.map(lambda text: ["a salt", text]), max_size=3),
        "network": words,
        "facts": words,
    },
)
documents = st.builds(lambda one, other: {**one, "inner": [other]}, typed, st.dictionaries(st.just("wish"), plain))


def read(document: str) -> Any:
    return orjson.loads(document)


def texts_under(value: Any, names: frozenset[str], *, inside: bool = False) -> list[str]:
    if isinstance(value, dict):
        return [text for name, one in value.items() for text in texts_under(one, names, inside=inside or name in names)]
    if isinstance(value, list):
        return [text for one in value for text in texts_under(one, names, inside=inside)]
    return [value] if inside and isinstance(value, str) else []


@given(documents)
def test_every_typed_text_goes_and_nothing_else(content: dict[str, Any]) -> None:
    found = read(scrubbed(orjson.dumps(content).decode()))
    assert set(texts_under(found, TYPED)) <= {ERASED, "", "[]"}
    assert found["inner"] == content["inner"]
    assert found.keys() == content.keys() - {"network"}
    assert found.get("private", {}) == {}


@given(documents, words)
def test_one_text_goes_and_others_stay(content: dict[str, Any], text: str) -> None:
    found = read(scrubbed(orjson.dumps(content).decode(), gone=lambda one: one == text))
    if text:
        assert text not in texts_under(
            {name: one for name, one in found.items() if name != "facts"}, TYPED - {"inputs"}
        )
    for name in ("reason", "ticket", "comment"):
        if name in content and content[name] != text:
            assert found[name] == content[name]
    assert found.get("facts") == content.get("facts")


def test_the_secret_of_line_rules_goes_with_whatever_goes() -> None:
    content = {"private": {DERIVES: ["ab" * 32, ""], "reason_c": ["cd" * 16, "why"]}}
    document = orjson.dumps(content).decode()
    assert read(scrubbed(document, gone=lambda one: one == "something else")) == {
        "private": {"reason_c": ["cd" * 16, "why"]}
    }
    assert read(without_secret(document)) == {"private": {"reason_c": ["cd" * 16, "why"]}}


def test_a_grant_keeps_no_salt_and_an_after_review_the_words_of_others() -> None:
    grant = {"id": "grt_1", "key_salt": "ab" * 32, "shared_salt": "cd" * 32}
    assert read(without_salts(orjson.dumps(grant).decode())) == {"id": "grt_1", "key_salt": ""}
    review = {"opinions": [{"reviewer": "one", "comment": "x"}, {"reviewer": "two", "comment": "y"}]}
    found = read(of_reviewers(orjson.dumps(review).decode(), ["one"]))
    assert [one["comment"] for one in found["opinions"]] == [ERASED, "y"]
