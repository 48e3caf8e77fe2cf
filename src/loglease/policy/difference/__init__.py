"""What separates two bundles, and whether it gives people more, or less. Sound: what cannot be proved is said to be so.

`differences` compares documents field by field with the selector algebra and with orders; it evaluates no condition.
"""

from loglease.policy.difference.found import Difference, Verdict, overall
from loglease.policy.difference.whole import differences

__all__ = ["Difference", "Verdict", "differences", "overall"]
