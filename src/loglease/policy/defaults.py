"""The policy that a server starts with, for the sources it has.

A policy names its sources one by one. There is no word for all of them, so a new source is covered by nothing until
somebody says so. The default policy is about the sources of the server itself, whose names are known only there: they
are written into its text before it is loaded like any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from typing import Final

POLICY_FILE: Final = "policy.yaml"
TEST_FILE: Final = "policy.test.yaml"


def default_files(sources: Iterable[str]) -> dict[str, bytes]:
    """Return the files of the default bundle for these sources, ready for `load`.

    Args:
        sources: names of the server's embedded sources. Without any the bundle is empty and denies everything.
    """
    names = sorted(set(sources))
    if not names:
        return {}
    # JSON strings are YAML strings in double quotes, so a name cannot break out of its place.
    listed = ", ".join(json.dumps(name, ensure_ascii=False) for name in names)
    folder = resources.files(__package__) / "default"
    policy = (folder / POLICY_FILE).read_text("utf-8")
    head, body = policy.split("\napi:", 1)
    test = (folder / TEST_FILE).read_text("utf-8")
    one = json.dumps(names[0], ensure_ascii=False)
    return {
        POLICY_FILE: (head + "\napi:" + body.replace("EMBEDDED_SOURCES", listed)).encode(),
        TEST_FILE: test.replace("EMBEDDED_SOURCE", one).encode(),
    }
