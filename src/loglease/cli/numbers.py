"""The numbers of a metric query, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from loglease.cli.terminal import json_text
from loglease.model.instant import NANOSECONDS, event_time_text


class Sample(NamedTuple):
    """One number: of which series, and when."""

    labels: Mapping[str, str]
    ns: int
    value: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """An answer of numbers.

    Attributes:
        data: as the gateway gave it.
        kind: `scalar`, `vector`, or `matrix`, which has several times.
    """

    data: Mapping[str, Any]
    kind: str
    samples: Sequence[Sample]
    warnings: Sequence[str] = field(default=())

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows; only what tells numbers apart has a column."""
        names = sorted({name for one in self.samples for name in one.labels})
        times = ["TIME"] if self.kind == "matrix" else []
        rows = [
            [*(_time(one.ns) for _ in times), *(one.labels.get(name, "") for name in names), one.value]
            for one in self.samples
        ]
        return [*times, *names, "VALUE"], rows

    def jsonl(self) -> Iterator[str]:
        """Yield one JSON object for each number: ``{"ts","labels","value"}``."""
        for one in self.samples:
            yield json_text({"ts": str(one.ns), "labels": dict(one.labels), "value": one.value})


def numbers_of(text: bytes) -> Numbers | None:
    """Return the numbers of an answer, None if it is not whole or something else."""
    try:
        body = json.loads(text, parse_float=Decimal)
        data = body["data"]
        kind = str(data["resultType"])
        samples = list(_samples(kind, data["result"]))
        warnings = [str(one) for one in body.get("warnings", ())]
        return Numbers(json.loads(text)["data"], kind, samples, warnings)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _samples(kind: str, result: Any) -> Iterator[Sample]:
    if kind == "scalar":
        yield _sample({}, result)
        return
    for one in result:
        for pair in one["values"] if kind == "matrix" else (one["value"],):
            yield _sample(one["metric"], pair)


def _sample(labels: Mapping[str, str], pair: Any) -> Sample:
    at, value = pair
    return Sample(labels, int(Decimal(at) * NANOSECONDS), str(value))


def _time(ns: int) -> str:
    """Return a time in UTC, to the second where that is all of it."""
    return event_time_text(ns)[: 23 if ns % NANOSECONDS else 19].replace("T", " ")
