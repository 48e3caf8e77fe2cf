"""One server for `bench.cut`, as `loglease serve` runs it, or with sessions that end as without a cut.

Run: ``python -m bench.cutting.process CONFIG cut|close|abort``. Two of them leave the buffers of sockets as they are,
and end a session by an orderly close, or by throwing away what this process holds, which is not what the kernel holds.
"""

from __future__ import annotations

import sys
from pathlib import Path

from loglease.gateway.connection import Connection
from loglease.server.local import serve


def without_a_cut(how: str) -> None:
    """Have sessions end as those of a server do that just ends its handler, or aborts its transport."""

    def prepare(self: Connection) -> None:
        self.serves_session = True
        self._protocol.session_begins()

    def reset(self: Connection) -> None:
        if how == "abort":
            self._transport.abort()
        else:
            self._transport.close()

    Connection.prepare = prepare  # type: ignore[method-assign]
    Connection.reset = reset  # type: ignore[method-assign]


if __name__ == "__main__":
    if sys.argv[2] != "cut":
        without_a_cut(sys.argv[2])
    sys.exit(serve(config=Path(sys.argv[1])))
