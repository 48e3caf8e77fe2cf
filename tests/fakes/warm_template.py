"""What the template of warm servers reads once: every module of the server, and each profile that ships, proved."""

from __future__ import annotations

import gc

from loglease.redaction import KEY_BYTES, Keys, builtin_library
from loglease.server import local
from loglease.server.clock import run_marker
from loglease.server.engines import Engines, prove

__all__ = ["local"]

prove(Engines("auto", run_marker()), builtin_library(), Keys(bytes(KEY_BYTES)))
gc.freeze()
