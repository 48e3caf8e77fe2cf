"""The verification of a log shared by several processes, each with a reader of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import Final

from loglease.audit.checkpoint import Checkpoint
from loglease.audit.log_reading import Read
from loglease.audit.verify import (
    Checked,
    Extract,
    Progress,
    Stretch,
    Take,
    Trust,
    Verified,
    check_stretch,
    judged,
    stretches,
    verify_log,
)

_AHEAD: Final = 3
"""Stretches that wait for each process, so that none of them ever does."""


def verify_with_jobs(
    read: Read,
    checkpoint: Checkpoint,
    *,
    jobs: int,
    entries: range | None = None,
    extract: Extract | None = None,
    take: Take | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Check a log as `verify_log` does, in several processes.

    Args:
        read: handed to each process, so it has to be one that can be pickled.
        checkpoint: the signed head.
        jobs: how many processes; with 1 everything happens in this one.
        entries: those to check; None is all.
        extract: as `verify_log`.
        take: as `judged`; runs in this process, beside the others.
        progress: as `judged`.

    Raises:
        LogTampered: something is wrong; says where, and which entries before it hold.
        LogIncomplete: a file is not there.
    """
    if jobs == 1:
        return verify_log(read, checkpoint, entries=entries, extract=extract, take=take, progress=progress)
    wanted = range(checkpoint.size) if entries is None else entries
    trust = Trust(read, checkpoint)
    # Other processes start afresh: a copy of this one would share its threads' locks and its connections.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            work = stretches(trust, wanted)
            check = partial(check_stretch, read, extract=extract)
            results = _in_order(pool, check, work, jobs * _AHEAD)
            return judged(results, trust, entries=wanted, take=take, progress=progress)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_order(
    pool: Executor, check: Callable[[Stretch], Checked], work: Iterable[Stretch | Checked], most: int
) -> Iterator[Checked]:
    """Yield the results in the order of the work, with at most so much of it under way."""
    source = iter(work)
    waiting: deque[Checked | Future[Checked]] = deque()
    while True:
        for one in islice(source, most - len(waiting)):
            waiting.append(one if isinstance(one, Checked) else pool.submit(check, one))
        if not waiting:
            return
        first = waiting.popleft()
        yield first if isinstance(first, Checked) else first.result()
