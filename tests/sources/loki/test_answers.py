"""Only an answer that tells labels from metadata becomes rows; whatever else a store says is an error."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from loglease.sources.interface import SourceError, SourceLimit, SourceProtocol
from loglease.sources.loki import answers
from loglease.sources.loki.answers import arrival_in, runs_in, streams_in
from loglease.sources.paging import Row

FLAGS = ["categorize-labels"]


def written(*streams: Any, flags: Any = FLAGS, **more: Any) -> bytes:
    data = {"resultType": "streams", "encodingFlags": flags, "result": list(streams), "stats": {"summary": {}}}
    return orjson.dumps({"status": "success", "data": {**data, **more}})


def stream(*values: Any, labels: Any = None) -> dict[str, Any]:
    return {"stream": {"service": "a"} if labels is None else labels, "values": list(values)}


def failing(document: bytes, *, structured: bool = True) -> type[SourceError]:
    with pytest.raises(SourceError) as caught:
        runs_in(document, structured=structured)
    return type(caught.value)


def test_labels_metadata_and_line_become_a_row() -> None:
    known = {"structuredMetadata": {"trace": "7", "service": "of the line"}, "parsed": {}}
    found = runs_in(
        written(stream(["10", "x\ny\n", known], ["11", "z", {}]), stream(labels={"b": "1", "a": "2", "c": ""})),
        structured=True,
    )
    assert found == [
        [
            Row(10, (("service", "a"),), b"x\ny", (("service", "of the line"), ("trace", "7"))),
            Row(11, (("service", "a"),), b"z", ()),
        ],
        [],
    ]
    [[row]] = runs_in(written(stream(["1", "x"], labels={"b": "1", "a": "2", "c": ""})), structured=True)
    assert row.labels == (("a", "2"), ("b", "1"))


@pytest.mark.parametrize("flags", [[], None, ["other"], "categorize-labels"], ids=["none", "null", "other", "text"])
def test_what_is_not_confirmed_is_an_error(flags: Any) -> None:
    assert failing(written(stream(["1", "x"]), flags=flags)) is SourceProtocol
    assert failing(written(flags=flags)) is SourceProtocol


def test_an_old_store_need_not_confirm_and_may_give_no_third_part() -> None:
    [[row]] = runs_in(written(stream(["1", "x"]), flags=[]), structured=False)
    assert row == Row(1, (("service", "a"),), b"x", ())
    assert failing(written(stream(["1", "x", {}]), flags=[]), structured=False) is SourceProtocol


def test_a_store_that_is_said_to_be_old_but_confirms_is_believed() -> None:
    [[row]] = runs_in(written(stream(["1", "x", {"structuredMetadata": {"a": "b"}}])), structured=False)
    assert (row.labels, row.metadata) == ((("service", "a"),), (("a", "b"),))


GOOD = stream(["1", "x"])
MANY = {str(number): "x" for number in range(3_000)}
NONSENSE: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"<html>",
    "deep": b"[" * 200_000,
    "no UTF-8": written(GOOD).replace(b'"x"', b'"\xff"'),
    "half a letter": written(GOOD).replace(b'"x"', b'"\\ud800"'),
    "a list": b"[]",
    "an error": orjson.dumps({"status": "error", "data": {"resultType": "streams", "result": []}}),
    "no data": orjson.dumps({"status": "success"}),
    "numbers": written(GOOD, resultType="matrix"),
    "no result": written(result=None),
    "a mapping of streams": written(result={"a": GOOD}),
    "a stream that is a list": written([GOOD]),
    "labels that are a list": written(stream(["1", "x"], labels=[])),
    "a label that is a number": written(stream(["1", "x"], labels={"a": 1})),
    "no values": written({"stream": {}}),
    "a value that is a text": written(stream("1x")),
    "one part": written(stream(["1"])),
    "four parts": written(stream(["1", "x", {}, {}])),
    "a time that is a number": written(stream([1, "x"])),
    "a time with a sign": written(stream(["-1", "x"])),
    "a time in other digits": written(stream(["١", "x"])),
    "a time with a fraction": written(stream(["1.5", "x"])),
    "a time beyond all": written(stream(["9223372036854775808", "x"])),
    "a long time": written(stream(["1" * 5_000, "x"])),
    "a line that is a number": written(stream(["1", 2])),
    "a third part that is a list": written(stream(["1", "x", []])),
    "a parsed part": written(stream(["1", "x", {"parsed": {"a": "b"}}])),
    "an unknown part": written(stream(["1", "x", {"other": {"a": "b"}}])),
    "metadata that are a list": written(stream(["1", "x", {"structuredMetadata": ["a"]}])),
    "metadata of numbers": written(stream(["1", "x", {"structuredMetadata": {"a": 1}}])),
}


@pytest.mark.attack("IN-03")
@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_an_error(name: str) -> None:
    assert failing(NONSENSE[name]) is SourceProtocol


def test_what_is_too_much_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_LINE_BYTES", 10)
    assert failing(written(stream(["1", "x" * 11]))) is SourceLimit
    assert failing(written(stream(["1", "x"], labels=MANY))) is SourceLimit
    assert failing(written(stream(["1", "x", {"structuredMetadata": MANY}]))) is SourceLimit


def test_a_message_of_a_tail_gives_rows_and_says_what_it_dropped() -> None:
    message = {"streams": [stream(["1", "x", {}]), stream(["2", "y", {}])], "encodingFlags": FLAGS}
    found = arrival_in(orjson.dumps(message), structured=True)
    assert ([row.line for row in found.rows], found.lost) == ([b"x", b"y"], False)
    dropped = [{"labels": {}, "timestamp": "1"}]
    assert arrival_in(orjson.dumps({"streams": None, "dropped_entries": dropped}), structured=True) == ([], True)
    assert arrival_in(orjson.dumps({**message, "dropped_entries": dropped}), structured=True).lost
    assert arrival_in(b"{}", structured=True) == ([], False)


@pytest.mark.parametrize(
    "message",
    [b"[]", b"x", b'{"streams":{"a":1}}', orjson.dumps({"streams": [GOOD]})],
    ids=["a list", "no JSON", "a mapping of streams", "not confirmed"],
)
def test_a_message_that_is_nonsense_is_an_error(message: bytes) -> None:
    with pytest.raises(SourceProtocol):
        arrival_in(message, structured=True)


def test_streams_are_listed() -> None:
    document = orjson.dumps({"status": "success", "data": [{"b": "1", "a": ""}, {"a": "2"}]})
    assert list(streams_in(document)) == [(("b", "1"),), (("a", "2"),)]
    for data in ({}, [1], [{"a": 1}], None):
        with pytest.raises(SourceProtocol):
            list(streams_in(orjson.dumps({"status": "success", "data": data})))
    with pytest.raises(SourceLimit):
        list(streams_in(orjson.dumps({"status": "success", "data": [MANY]})))
