"""Warns of policies in one bundle of which one asks for fewer approvals than another for what both cover."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from loglease.policy.bundle import Bundle
from loglease.policy.difference.cheaper import cheaper
from loglease.policy.problems import Problem, Problems, Severity

MAX_COMPARED: Final = 1_000
"""Pairs of so many policies are compared in seconds; a bundle that has more is not looked at."""


def undercuts(bundle: Bundle) -> list[Problem]:
    """Return a warning for each pair, at the cheaper policy; nothing for a bundle of more than 1,000 policies."""
    problems = Problems()
    if len(bundle.policies) <= MAX_COMPARED:
        places = {one.id: one.at for one in bundle.policies}
        for one in cheaper(replace(bundle, policies=()), bundle):
            problems.add(
                places[one.document], "P420", f"'{one.document}' {one.text}",
                "people take the cheaper way: part the scopes, or ask for the same approvals", Severity.WARNING,
            )  # fmt: skip
    return problems.found()
