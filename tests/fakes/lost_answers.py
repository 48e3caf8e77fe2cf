"""A database that takes every commit and whose answer to each of them is lost, with who had to live with it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from tests.fakes.postgres import WANTED

import loglease.access
from loglease.audit.sequencer import Sequencer
from loglease.store.group import SqlGroup
from loglease.store.interface import StoreUnavailable
from loglease.store.postgres import PostgresStore
from loglease.store.sqlite import SqliteGroup, SqliteStore

_COMMITS = frozenset({"commit", "commit_knowing", "commit_under"})
_ROOM = "loglease.access."


@cache
def use_cases() -> frozenset[str]:
    """Return all functions of the use cases that commit something, as ``file.function``."""
    found = set()
    for path in Path(loglease.access.__file__).parent.glob("*.py"):
        for name, body in _functions(ast.parse(path.read_text())):
            if any(_commits(node) for node in ast.walk(body)):
                found.add(f"{path.stem}.{name}")
    return frozenset(found)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{one.name}", one) for one in node.body if isinstance(one, ast.AsyncFunctionDef))
        elif isinstance(node, ast.AsyncFunctionDef):
            yield node.name, node


def _commits(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    return (isinstance(called, ast.Attribute) and called.attr == "commit") or (
        isinstance(called, ast.Name) and called.id in _COMMITS
    )


@dataclass
class Lost:
    """What happened while answers were lost.

    Attributes:
        by: the use cases of which a commit was lost.
        again: those of which something was tried once more although it held.
    """

    by: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)


@contextmanager
def losing() -> Iterator[Lost]:
    """Lose the answer to each commit of the log that changes something; who looks what became of it is answered."""
    lost = Lost()
    running: list[Callable[[], None]] = []
    store_type: type[Any] = PostgresStore if WANTED else SqliteStore
    group, commit = store_type.group, Sequencer.commit

    async def group_lost(store: Any, body: Callable[[SqlGroup], Any]) -> Any:
        wrote = False

        def watched(opened: SqlGroup) -> Any:
            nonlocal wrote
            running.clear()
            done = body(opened)
            # PostgreSQL does not tell: to have taken the lock is to have written.
            wrote = not isinstance(opened, SqliteGroup) or opened._driver.total_changes > opened._written
            return done

        done = await group(store, watched)
        if not (wrote and running):
            return done
        for held in running:
            held()
        raise StoreUnavailable("The answer was lost.")

    async def commit_watched(log: Sequencer[Any], work: Callable[..., Any], **options: Any) -> Any:
        callers = _callers()
        held = False

        def hold() -> None:
            nonlocal held
            held = True
            lost.by.update(callers)

        def worked(tx: Any, now: Any) -> Any:
            if held:
                lost.again.update(callers)
            recorded = work(tx, now)
            running.append(hold)
            return recorded

        return await commit(log, worked, **options)

    with patch.object(store_type, "group", group_lost), patch.object(Sequencer, "commit", commit_watched):
        yield lost


def _callers() -> set[str]:
    """Return the use cases that wait for what is running."""
    found = set()
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(_ROOM):
            found.add(f"{module.removeprefix(_ROOM)}.{frame.f_code.co_qualname.partition('.<locals>')[0]}")
        frame = frame.f_back
    return found & use_cases()
