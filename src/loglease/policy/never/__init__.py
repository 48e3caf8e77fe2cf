"""What must never happen, whatever anybody asks for: `never` in tests, searched for a counter-example."""

from loglease.policy.never.results import MAX_POINTS, NeverResult, run_nevers, search_nevers

__all__ = ["MAX_POINTS", "NeverResult", "run_nevers", "search_nevers"]
