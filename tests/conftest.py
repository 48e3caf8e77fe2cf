"""What holds for every test: none depends on how fast the machine is, or on how another one left our own logs."""

from __future__ import annotations

import logging
import os
import sys

import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# Workers, and the programs that tests start again and again, need not compile modules each time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_runtest_setup() -> None:
    """Begin with logs as they are before anybody configures them."""
    structlog.reset_defaults()
    ours = logging.getLogger("loglease")
    ours.handlers, ours.propagate = [], True
