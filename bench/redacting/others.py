"""Run one other tool over the labelled corpus and print what it finds: spans and processor seconds, as JSON.

Runs in a virtual environment of its own, where the tools are and this project is not (`bench.redacting.comparison`).
Each tool is used as its documentation says, line by line where it has no notion of lines; setting it up is not timed.

Run: ``python -m bench.redacting.others TOOL DENSITY LINES SEED``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import accumulate
from typing import Any, Final

from bench.redacting.corpus import generated

# A find in one line: start, end and what found it.
Find = tuple[int, int, str]
# The recognizers of Presidio for what is planted; they need no model of a language.
RECOGNIZERS: Final = (
    "CreditCardRecognizer", "EmailRecognizer", "IbanRecognizer", "IpRecognizer", "PhoneRecognizer", "UsSsnRecognizer",
)  # fmt: skip
# What Presidio gives a match of a pattern that is more than weak; without a model no context can raise a score.
SCORE: Final = 0.4


def detect_secrets(lines: Sequence[str]) -> list[list[Find]]:
    """Scan a file, as its command does, and look for what it reports in the line that it names."""
    scan, settings = import_module("detect_secrets.core.scan"), import_module("detect_secrets.settings")
    found: list[list[Find]] = [[] for _ in lines]
    with tempfile.NamedTemporaryFile("w", suffix=".log", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
        file.flush()
        with settings.default_settings():
            secrets = list(scan.scan_file(file.name))
    for secret in secrets:
        line, value = lines[secret.line_number - 1], secret.secret_value
        at = line.find(value) if value else -1
        while at >= 0:
            found[secret.line_number - 1].append((at, at + len(value), secret.type))
            at = line.find(value, at + 1)
    return found


def presidio(lines: Sequence[str]) -> list[list[Find]]:
    """Ask the recognizers that work by patterns, without the engine and its model."""
    recognizers = _recognizers()
    return [[find for one in recognizers for find in _recognized(one, line)] for line in lines]


def _recognizers() -> list[Any]:
    module = import_module("presidio_analyzer.predefined_recognizers")
    return [getattr(module, name)() for name in RECOGNIZERS]


def _recognized(recognizer: Any, line: str) -> Iterator[Find]:
    for one in recognizer.analyze(line, recognizer.supported_entities, None) or ():
        if one.score >= SCORE:
            yield one.start, one.end, one.entity_type


def scrubadub(lines: Sequence[str]) -> list[list[Find]]:
    """Ask the detectors that are on by default."""
    scrubber = import_module("scrubadub").Scrubber()
    return [[(one.beg, one.end, type(one).__name__) for one in scrubber.iter_filth(line)] for line in lines]


TOOLS: Final[dict[str, Callable[[Sequence[str]], list[list[Find]]]]] = {
    "detect-secrets": detect_secrets,
    "presidio": presidio,
    "scrubadub": scrubadub,
}


def main() -> None:
    tool, density, count, seed = sys.argv[1:]
    corpus = generated(density, int(count), seed=int(seed))
    lines = corpus.text.decode().split("\n")[:-1]
    find = TOOLS[tool]
    find(["user anna@example.com signed in"])  # loads and compiles what it needs
    begun = time.process_time()
    found = find(lines)
    seconds = time.process_time() - begun
    starts = accumulate((len(line.encode()) + 1 for line in lines), initial=0)
    spans = [
        span for start, line, finds in zip(starts, lines, found, strict=False) for span in _bytes(start, line, finds)
    ]
    print(json.dumps({"seconds": seconds, "spans": spans}))


def _bytes(at: int, line: str, finds: Sequence[Find]) -> Iterator[Find]:
    """Yield finds with offsets into the text, in bytes."""
    for start, end, rule in finds:
        first = at + len(line[:start].encode())
        yield first, first + len(line[start:end].encode()), rule


if __name__ == "__main__":
    main()
