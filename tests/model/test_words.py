from __future__ import annotations

import pytest

from loglease.model.limits import Limits
from loglease.model.network import bound_in_words
from loglease.model.words import limits_in_words


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(), ""),
        (Limits(tails=2), ""),
        (Limits(lines=1_000), "at most 1,000 lines"),
        (Limits(lines=1_000, bytes=1 << 20), "at most 1,000 lines or 1 MiB"),
        (Limits(subjects=200), "at most 200 data subjects"),
        (Limits(lines=10, subjects=1), "at most 10 lines of at most 1 data subject"),
        (Limits(bytes=500, subjects=2_000), "at most 500 bytes of at most 2,000 data subjects"),
    ],
)
def test_budgets_are_said_in_one_phrase(limits: Limits, words: str) -> None:
    assert limits_in_words(limits) == words


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("corp", "only from network corp"),
        ("203.0.113.7", "only from address 203.0.113.7"),
        ("2001:db8::/64", "only from addresses 2001:db8::/64"),
        (None, "from nowhere: its network is not known"),
    ],
)
def test_a_binding_says_from_where(network: str | None, words: str) -> None:
    assert bound_in_words(network) == words
