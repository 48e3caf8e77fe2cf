"""The words of the language. They may be written in any case."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RESERVED: Final = frozenset(
    (
        "json",
        "logfmt",
        "regexp",
        "pattern",
        "unpack",
        "line_format",
        "label_format",
        "decolorize",
        "drop",
        "keep",
        "unwrap",
        "offset",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "and",
        "or",
        "unless",
    )
)
"""Words that cannot name a label. Names of functions can, where no parenthesis follows."""

NOT_PART: Final[Mapping[str, str]] = MappingProxyType(
    {
        "distinct": "distinct is not part of LogQL",
        "variants": "variants(…) of (…) is not part of LogQL",
    }
)
"""What other versions had or tried, refused by name."""
