from __future__ import annotations

import re

from loglease.server.clock import SystemClock, SystemNewId, system_random


def test_identifiers_are_new_and_sort_by_birth() -> None:
    new_id = SystemNewId()
    made = [new_id("req") for _ in range(5_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(re.fullmatch("req_[0-7][0-9A-HJKMNP-TV-Z]{25}", one) for one in made)


def test_the_clocks_go_on() -> None:
    clock = SystemClock()
    assert clock.boot_ns() <= clock.boot_ns()
    assert clock.now() > 1_700_000_000_000_000


def test_randomness_has_its_length() -> None:
    assert [len(system_random(count)) for count in (0, 1, 32)] == [0, 1, 32]
    assert system_random(16) != system_random(16)
