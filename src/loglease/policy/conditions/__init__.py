"""The condition language of policies: a small part of CEL, checked when it is loaded and bounded in time.

Every condition that is accepted is valid CEL and means the same there; most of CEL is not accepted. A condition says
true, says false, or is not evaluable: something that it needs is in fault. What that leads to is for whoever asked.
"""

from __future__ import annotations

from loglease.policy.conditions.compiling import Condition, compiled
from loglease.policy.conditions.errors import ConditionRefused
from loglease.policy.conditions.types import BOOL, DURATION, INT, Field, Listed, Record, Text, Type
from loglease.policy.conditions.values import ABSENT, Fault

__all__ = [
    "ABSENT",
    "BOOL",
    "DURATION",
    "INT",
    "Condition",
    "ConditionRefused",
    "Fault",
    "Field",
    "Listed",
    "Record",
    "Text",
    "Type",
    "compiled",
]
