"""What a fresh process needs until it redacts, and what a stream holds that waits. Prints one object of JSON.

Seconds are processor time.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc

STREAMS = 1_000


def main() -> None:
    begun = time.process_time()
    from loglease.redaction import Keys, redactor_for  # noqa: PLC0415 - importing is a part of the start

    imported = time.process_time()
    redactor = redactor_for(["pii-default@1"], keys=Keys(bytes(32)), marker=bytes(16), engine=sys.argv[1])
    built = time.process_time()
    tracemalloc.start()
    streams = [redactor.open() for _ in range(STREAMS)]
    for number, stream in enumerate(streams):
        stream.feed(f"user user{number}@example.com signed in\nand the next line has beg".encode())
    held, _ = tracemalloc.get_traced_memory()
    print(
        json.dumps(
            {
                "import_s": imported - begun,
                "build_s": built - imported,
                "start_s": built - begun,
                "bytes_per_stream": held / len(streams),
            }
        )
    )


if __name__ == "__main__":
    main()
