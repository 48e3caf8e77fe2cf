"""What holds for every test: none depends on how fast the machine is, or on how another one left our own logs."""

from __future__ import annotations

import gc
import logging
import os
import sys

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# Workers, and the programs that tests start again and again, need not compile modules each time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_finish() -> None:
    _keep()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None or nextitem.path != item.path:
        _keep()


def _keep() -> None:
    """Leave what is there by now out of later collections of garbage.

    A collection that looks at thousands of tests and caches stops everything for a second: servers in tests would
    miss the deadlines that they promise.
    """
    gc.collect()
    gc.freeze()


def pytest_runtest_setup() -> None:
    """Begin with logs as they are before anybody configures them."""
    structlog.reset_defaults()
    ours = logging.getLogger("loglease")
    ours.handlers, ours.propagate = [], True
