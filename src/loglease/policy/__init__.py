"""Policy as documents: load them strictly, decide with them, explain the decision, test them. No I/O, no clock.

`load` makes a `Bundle`; `decide` answers a wish with offers or a denial; `plan_state` adds up reviews; `redecide` asks
again later; `explain` says why; `run_tests` runs the tests that a bundle carries, `run_nevers` searches for what they
say must not happen; `differences` compares two bundles.
"""

from loglease.policy.askable import Askable, askable
from loglease.policy.bundle import Bundle
from loglease.policy.cases import CaseResult, catalog_profiles, run_tests
from loglease.policy.decision import Point, decide
from loglease.policy.defaults import default_files
from loglease.policy.difference import Difference, differences
from loglease.policy.explain import Explanation, Viewer, explain
from loglease.policy.health import complaints
from loglease.policy.loading import load
from loglease.policy.names import Outside
from loglease.policy.never import NeverResult, run_nevers
from loglease.policy.people import People
from loglease.policy.plan import (
    Bench,
    PlanState,
    Refusal,
    Waiting,
    eligible_reviewers,
    plan_state,
    review_refusal,
    unsatisfiable,
)
from loglease.policy.problems import Problem, Severity
from loglease.policy.profiles import ProfileInfo, Profiles
from loglease.policy.recheck import Recheck, redecide, stricter_terms
from loglease.policy.supposed import made_up, read_people, with_approvers
from loglease.policy.trace import Decision
from loglease.policy.who_can import Answer, who_can, who_can_data

__all__ = [
    "Answer",
    "Askable",
    "Bench",
    "Bundle",
    "CaseResult",
    "Decision",
    "Difference",
    "Explanation",
    "NeverResult",
    "Outside",
    "People",
    "PlanState",
    "Point",
    "Problem",
    "ProfileInfo",
    "Profiles",
    "Recheck",
    "Refusal",
    "Severity",
    "Viewer",
    "Waiting",
    "askable",
    "catalog_profiles",
    "complaints",
    "decide",
    "default_files",
    "differences",
    "eligible_reviewers",
    "explain",
    "load",
    "made_up",
    "plan_state",
    "read_people",
    "redecide",
    "review_refusal",
    "run_nevers",
    "run_tests",
    "stricter_terms",
    "unsatisfiable",
    "who_can",
    "who_can_data",
    "with_approvers",
]
