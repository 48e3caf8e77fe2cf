"""The semantic rules of the audit log: what must be true of its entries together, checked in one pass, without I/O."""

from loglease.audit.semantic.extracts import extract
from loglease.audit.semantic.facts import Fact
from loglease.audit.semantic.inputs import Inputs, NotCheckable, SignedSize
from loglease.audit.semantic.report import Breach, BreachKind, Open, OpenSession, Report, Unchecked
from loglease.audit.semantic.table import RULES, Rule
from loglease.audit.semantic.verifier import Verifier, check

__all__ = [
    "RULES",
    "Breach",
    "BreachKind",
    "Fact",
    "Inputs",
    "NotCheckable",
    "Open",
    "OpenSession",
    "Report",
    "Rule",
    "SignedSize",
    "Unchecked",
    "Verifier",
    "check",
    "extract",
]
