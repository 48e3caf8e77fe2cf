"""What holds for every test: none depends on how fast the machine is, or on how another one left our own logs."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Generator, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, is_hypothesis_test, settings
from tests.fakes import postgres
from tests.fakes.database import entries_of, open_configured
from tests.fakes.lost_answers import losing
from tests.volume import volume

from loglease.audit.semantic import BreachKind, check
from loglease.server import stopped, wiring

settings.register_profile(
    "house", max_examples=volume(40, 100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

# Workers, and the programs that tests start again and again, need not compile modules each time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config: pytest.Config) -> None:
    postgres.share_server()
    config.addinivalue_line("markers", "sqlite: looks into the file, which only one database has")
    if postgres.WANTED:
        for module in (wiring, stopped):
            vars(module)["open_database"] = open_configured


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that Hypothesis draws for, whose examples are fewer in an ordinary run; others are marked by hand."""
    for item in items:
        if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
            item.add_marker(pytest.mark.volume)
    if postgres.WANTED:
        for item in items:
            if item.get_closest_marker("sqlite") is not None:
                item.add_marker(pytest.mark.skip("it looks into SQLite's file"))


@pytest.fixture(autouse=True)
def _databases_are_cleaned() -> Iterator[None]:
    yield
    postgres.clean_databases()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while tests are collected: what grows stays, and would be looked at again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    _keep()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None or nextitem.path != item.path:
        _keep()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that stands for use cases a second time, with the answer to each commit lost."""
    if metafunc.definition.get_closest_marker("answers_lost") is not None:
        metafunc.fixturenames.append("answers_lost")
        metafunc.parametrize("answers_lost", [False, True], ids=["answered", "answers lost"])


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    callspec = getattr(pyfuncitem, "callspec", None)
    if callspec is None or not callspec.params.get("answers_lost"):
        return (yield)
    with losing() as lost:
        result = yield
    marker = pyfuncitem.get_closest_marker("answers_lost")
    assert marker is not None
    assert set(marker.args) <= lost.by, "no answer of these was lost"
    assert not lost.again, "what held was done again"
    _require_honest(pyfuncitem.funcargs.get("world"))
    return result


def _require_honest(world: Any) -> None:
    """Check that the log of a world keeps the rules; the ends of sessions are not judged where clocks leap."""
    store = getattr(getattr(world, "services", world), "store", None)
    if store is None:
        return
    found = check([(index + 1, content) for index, content in entries_of(store)])
    assert not [str(one) for one in found.of(BreachKind.VIOLATION) if one.rule not in ("S18", "S19")]


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
