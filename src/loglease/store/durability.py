"""A failed flush ends the process: the system may have thrown the data away and call the next flush a success.

Going on would acknowledge what is not on the disk. After a restart only what is there counts.
"""

from __future__ import annotations

import os
from typing import Final, NoReturn

EXIT_CODE: Final = 74
"""What `sysexits.h` calls an input or output error."""

_STDERR: Final = 2


def flush(descriptor: int, name: str) -> None:
    """Return once the file is on the disk, as far as the disk keeps its word; if it cannot be, end the process."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        end_process(name, error)


def end_process(name: str, error: BaseException) -> NoReturn:
    """End the process at once, with the reason on stderr; nothing is acknowledged or handed over any more."""
    text = (
        f"error: {name} could not be flushed to the disk: {error}. The process ends, so that it promises nothing that"
        " may be lost. [store_unavailable]\n"
        "next: Look at the disk and its log, then start again; what was acknowledged before is there.\n"
    )
    os.write(_STDERR, text.encode())
    os._exit(EXIT_CODE)
