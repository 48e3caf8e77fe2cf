"""How much of a thing a test tries: less in an ordinary run, the whole where `TEST_VOLUME=whole` asks for it."""

from __future__ import annotations

import os

WHOLE = os.environ.get("TEST_VOLUME") == "whole"


def volume(ordinary: int, whole: int) -> int:
    """Return how many examples, rounds, seeds or steps a test takes.

    `make test-whole` runs all tests of the modules that use this once more, with the whole numbers.
    """
    return whole if WHOLE else ordinary
