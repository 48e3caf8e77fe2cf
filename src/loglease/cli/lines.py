"""Log lines as a terminal shows them and as programs get them; what was masked is counted from its tokens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loglease.cli.terminal import json_text, one_line, safe

# Tokens are made by the redactor alone: it neutralises what looks like one in the text itself.
_TOKEN = re.compile("⟦([^⟦⟧:\\s]{1,40})(?:[:\\s][^⟦⟧]*)?⟧")
_NAMES: Final = ("pod", "instance", "container", "host", "service", "app", "job")
_LEVELS: Final = ("level", "detected_level", "severity")


@dataclass(slots=True)
class Tally:
    """What was read so far; `numbers` only if the query asked for some."""

    lines: int = 0
    size: int = 0
    masked: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    numbers: int | None = None

    def add(self, record: Mapping[str, Any]) -> Counter[str]:
        """Count one line; return its masked values by label."""
        text = str(record["line"])
        masked = Counter(match[1] for match in _TOKEN.finditer(text))
        self.lines += 1
        self.size += len(text.encode(errors="surrogatepass"))
        self.masked.update(masked)
        return masked


def jsonl(record: Mapping[str, Any], masked: Mapping[str, int]) -> str:
    """Return a line for programs: ``{"ts","labels","line","masked"}``, without characters that harm a terminal."""
    return json_text(
        {"ts": record["ts"], "labels": record.get("labels", {}), "line": record["line"], "masked": dict(masked)}
    )


def line_text(record: Mapping[str, Any], *, escape: bool) -> str:
    """Return a line for people: time, where it came from, level, text.

    Further lines of one entry are indented, so that none of them can pass for an entry of its own.
    """
    labels: Mapping[str, str] = record.get("labels", {})
    metadata: Mapping[str, str] = record.get("metadata", {})
    where = next((labels[name] for name in _NAMES if name in labels), ",".join(labels.values()))
    level = next((one[name] for one in (metadata, labels) for name in _LEVELS if name in one), "")
    head = [str(record.get("time", ""))[:26] + "Z", one_line(where), one_line(level)]
    text = str(record["line"]).rstrip("\n")
    body = safe(text).replace("\n", "\n    ") if escape else text
    return " ".join([*(part for part in head if part), body])


def masked_words(masked: Mapping[str, int]) -> str:
    """Say what was masked: ``email 12, card 1``."""
    return ", ".join(f"{one_line(label)} {count:,}" for label, count in sorted(masked.items()))
