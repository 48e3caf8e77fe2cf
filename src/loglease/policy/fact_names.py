"""What calendars, facts and inputs may be called: what a condition can read after a dot."""

from __future__ import annotations

import re
from typing import Final

from loglease.policy.conditions.parsing import RESERVED
from loglease.policy.fields import Reader
from loglease.policy.problems import shown
from loglease.policy.tree import Scalar

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NO_NAMES: Final = RESERVED | {"true", "false", "in"}


def check_name(key: Scalar, name: str, what: str, form: str, reader: Reader) -> bool:
    """Check a name, which is all of a key or what follows its root.

    Args:
        key: where it stands.
        name: the name.
        what: the kind of thing, as in "no name of a calendar".
        form: how a condition reads it.
    """
    if not _NAME.fullmatch(name):
        reader.problems.add(
            key.at, "P114", f"{shown(key.text)} is no name of {what}",
            f"1 to 63 of a-z, 0-9 and _, first a letter: conditions read it as {form}",
        )  # fmt: skip
        return False
    if name in _NO_NAMES:
        reader.problems.add(key.at, "P114", f"{shown(name)} is a reserved word of conditions", "name it otherwise")
        return False
    return True
