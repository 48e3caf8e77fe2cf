from __future__ import annotations

from tests.promises.shared import killable, server

__all__ = ["killable", "server"]
