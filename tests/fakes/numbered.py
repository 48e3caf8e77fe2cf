"""Calls that change a log directory, numbered: the n-th fails, or ends the process like a power cut between two calls."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, NoReturn

from loglease.audit.files import OperatingSystem


class FlushFailure(Exception):
    """Stands for the end of the process."""


def flush_failed(name: str, error: OSError) -> NoReturn:
    raise FlushFailure(name) from error


def broken(number: int) -> NoReturn:
    raise OSError(errno.EIO, f"call {number} fails")


def killed(_: int) -> NoReturn:
    os._exit(9)


class NumberedSystem(OperatingSystem):
    """The machine's calls, counted from 0; `fault` happens instead of the call number `at`."""

    def __init__(self, at: int | None = None, fault: Callable[[int], NoReturn] = broken) -> None:
        self.at = at
        self.fault = fault
        self.calls: list[str] = []

    def flush(self, descriptor: int) -> None:
        """Say that it is on the disk: no test pulls the plug."""

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name not in CHANGES:
            return found

        def call(*arguments: Any) -> Any:
            number = len(self.calls)
            self.calls.append(name)
            if number == self.at:
                self.fault(number)
            return found(*arguments)

        return call


CHANGES = frozenset(
    {"open_folder", "make_folder", "open_fresh", "write", "flush", "rename", "remove_file", "remove_folder"}
)
