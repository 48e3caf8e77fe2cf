"""`ndjson`: an entry as it stands in the log, with its place, the log's name and its leaf hash.

``entry`` is a text and not an object: parsed, it is exactly the bytes that were hashed, so that anybody can hash them
again with any JSON parser. The bytes of an object would depend on who writes it next. A text also lets characters that
could harm a terminal be escaped on the way without changing what was hashed.
"""

from __future__ import annotations

from typing import Any

import orjson

from loglease.audit.export.grants import Grants
from loglease.model.unsafe_text import escaped_json


def line(row: Any, *, origin: str, grants: Grants) -> bytes:  # noqa: ARG001 - all formats are called alike
    """Return ``{"index","origin","leaf","entry"}``; the leaf in hex."""
    content = row.content.decode()
    written = orjson.dumps({"index": row.index, "origin": origin, "leaf": row.leaf.hex(), "entry": content})
    return (escaped_json(written.decode()) + "\n").encode()
