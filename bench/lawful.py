"""Logs of any size that keep all rules: a grant as people make one, and session after session under it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from tests.audit.logs import KEY
from tests.audit.semantic.writer import Writer

from loglease.model.instant import Instant, instant_text

BATCHES = 16
LINES = 96
PER_S = 8_000
"""How many entries the log grows by in a second."""
_DAY_S = 86_400


def lawful(size: int) -> Iterator[bytes]:
    """Yield so many entries, as they are recorded while people read; a day has time for 600 million."""
    log = Writer()
    log.vkey = str(KEY.verifier)
    grant = log.begin().granted(limits={}, duration_s=_DAY_S)
    first = len(log.entries)
    session = log.open(grant)
    log.batch(session, reserve=2 * LINES)
    for _ in range(BATCHES):
        log.batch(session, lines=LINES, reserve=2 * LINES)
    log.close(session, lines=LINES // 2)
    written = [content for _, content in log.rows()]
    yield from islice(written[:first], size)
    ids = [entry.draft.id.encode() for entry in log.entries[first:]]
    at = instant_text(log.now).encode()
    templates = [
        content.replace(one, b"ent_7%(entry)025d").replace(session.id.encode(), b"ses_7%(session)025d")
        .replace(at, b"%(at)b")
        for content, one in zip(written[first:], ids, strict=True)
    ]  # fmt: skip
    for index in range(first, size):
        number, place = divmod(index - first, len(templates))
        moment = Instant(log.now + index * 1_000_000 // PER_S)
        yield templates[place] % {b"entry": index, b"session": number, b"at": instant_text(moment).encode()}
