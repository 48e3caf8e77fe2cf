"""From files to a bundle, or to the list of everything that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from loglease.model.instant import Instant
from loglease.policy import tree
from loglease.policy.break_glass import EmergencyKinds
from loglease.policy.bundle import Bundle, bundle_hash
from loglease.policy.case_documents import TestDocuments
from loglease.policy.catalog import Claims, catalog_of, joined
from loglease.policy.condition_fields import Conditions, turning_facts
from loglease.policy.documents import (
    API,
    AccessPolicy,
    ApproverSet,
    BreakGlass,
    Catalog,
    Guardrail,
    RiskTerm,
)
from loglease.policy.expected import PolicyTest
from loglease.policy.fact_documents import Declared, declared_of, risk_of
from loglease.policy.fields import Reader
from loglease.policy.names import Names, Outside
from loglease.policy.outcomes import never_schema
from loglease.policy.problems import At, Problem, Problems, Severity, did_you_mean, shown
from loglease.policy.roots import Readable
from loglease.policy.tree import Node, Table

MAX_FILES: Final = 10_000
MAX_BUNDLE_BYTES: Final = 64 << 20
MAX_POLICIES: Final = 10_000

_ID = re.compile(r"[a-z][a-z0-9-]{1,62}")
_KINDS: Final = ("Catalog", "Facts", "ApproverSet", "AccessPolicy", "Guardrail", "BreakGlass", "PolicyTest")


@dataclass(frozen=True, slots=True)
class _Document:
    kind: str
    id: str
    node: Table


def load(
    files: Mapping[str, bytes],
    *,
    revision: int | Callable[[str], int] = 0,
    expires: Instant | None = None,
    outside: Outside | None = None,
    loader: type[Any] = tree.FAST,
) -> Bundle | list[Problem]:
    """Read the documents of a bundle strictly.

    Args:
        files: content by path; only `*.yaml` may be among them, tests are in `*.test.yaml`.
        revision: what the bundle is to be known by, beside its hash; or what gives it by the hash.
        expires: from when on it grants nothing new; None is never.
        outside: what the server knows of profiles and labels; without it the Catalog is believed.
        loader: PyYAML's parser; all give the same answers.

    Returns:
        The bundle; or the problems, sorted by file and line, at most 100, at least one of them an error.
    """
    problems = Problems()
    if not _within_limits(files, problems):
        return problems.found()
    reader = Reader(problems)
    documents = _unique(_documents(files, reader, loader), problems)
    found = _resolved(documents, reader, outside or Outside())
    # One after the other: let go at once, ten thousand of them keep the other threads of a server waiting.
    while documents:
        documents.pop()
    reported = problems.found()
    if any(one.severity is Severity.ERROR for one in reported):
        return reported
    sha256 = bundle_hash(
        found.catalog,
        found.sets,
        found.policies,
        found.guardrails,
        found.emergencies,
        found.declared.calendars,
        found.declared.facts,
        found.risk,
    )
    return Bundle(
        catalog=found.catalog,
        approver_sets=found.sets,
        policies=found.policies,
        guardrails=found.guardrails,
        tests=found.tests,
        hash=sha256,
        revision=revision if isinstance(revision, int) else revision(sha256),
        expires=expires,
        emergencies=found.emergencies,
        calendars=found.declared.calendars,
        facts=found.declared.facts,
        risk=found.risk,
        warnings=tuple(reported),
    )


def _within_limits(files: Mapping[str, bytes], problems: Problems) -> bool:
    whole = At("bundle", 1, 1)
    if len(files) > MAX_FILES:
        problems.add(whole, "P108", f"the bundle has {len(files):,} files", f"at most {MAX_FILES:,}")
        return False
    if sum(map(len, files.values())) > MAX_BUNDLE_BYTES:
        problems.add(whole, "P108", "the bundle is too large", f"at most {MAX_BUNDLE_BYTES >> 20} MiB")
        return False
    return True


def _documents(files: Mapping[str, bytes], reader: Reader, loader: type[Any]) -> Iterable[_Document]:
    for file in sorted(files):
        if not file.endswith(".yaml"):
            reader.problems.add(At(file, 1, 1), "P319", "a bundle holds only files named *.yaml", "rename or remove it")
            continue
        for node in tree.documents(file, files[file], reader.problems, loader):
            document = _head(node, reader)
            if document is not None and _stands_right(document, reader.problems):
                yield document


def _head(node: Node, reader: Reader) -> _Document | None:
    """Read what every document has: api, kind, id."""
    if not isinstance(node, Table):
        reader.problems.add(node.at, "P112", "a document is a mapping of fields", f"begin with api: {API}")
        return None
    fields = {key.text: value for key, value in node.entries}
    for name, example in (("api", API), ("kind", "AccessPolicy"), ("id", "payments-prod-debug")):
        if name not in fields:
            reader.problems.add(node.at, "P111", f"field '{name}' is missing", f"write {name}: {example}")
    api = reader.text(fields.get("api"), "api")
    if "api" in fields and api != API:
        reader.problems.add(fields["api"].at, "P117", f"api {shown(api)} is not known", f"write api: {API}")
        return None
    name = reader.text(fields.get("id"), "id")
    if name and not _ID.fullmatch(name):
        reader.problems.add(
            fields["id"].at, "P114", f"{shown(name)} is no id", "2 to 63 of a-z, 0-9 and -, first a letter"
        )
    kind = _kind(fields.get("kind"), reader)
    return _Document(kind, name, node) if kind else None


def _kind(node: Node | None, reader: Reader) -> str | None:
    kind = reader.text(node, "kind")
    if node is None or not kind:
        return None
    if kind not in _KINDS:
        reader.problems.add(node.at, "P116", f"unknown kind {shown(kind)}", did_you_mean(kind, _KINDS))
        return None
    return kind


def _stands_right(document: _Document, problems: Problems) -> bool:
    in_test_file = document.node.at.file.endswith(".test.yaml")
    if in_test_file == (document.kind == "PolicyTest"):
        return True
    remedy = "move it to a file named *.yaml" if in_test_file else "move it to a file named *.test.yaml"
    problems.add(document.node.at, "P313", f"a {document.kind} does not belong in this file", remedy)
    return False


def _unique(documents: Iterable[_Document], problems: Problems) -> list[_Document]:
    first: dict[tuple[str, str], _Document] = {}
    for document in documents:
        known = first.setdefault((document.kind, document.id), document)
        if known is not document:
            problems.add(
                document.node.at, "P301", f"{document.kind} {shown(document.id)} exists already",
                f"the first is at {known.node.at}",
            )  # fmt: skip
    if sum(kind == "AccessPolicy" for kind, _ in first) > MAX_POLICIES:
        problems.add(At("bundle", 1, 1), "P108", "the bundle has too many policies", f"at most {MAX_POLICIES:,}")
        return []
    return [first[key] for key in sorted(first)]


@dataclass(frozen=True, slots=True)
class _Resolved:
    catalog: Catalog
    declared: Declared
    risk: tuple[RiskTerm, ...]
    sets: dict[str, ApproverSet]
    policies: tuple[AccessPolicy, ...]
    guardrails: tuple[Guardrail, ...]
    emergencies: tuple[BreakGlass, ...]
    tests: tuple[PolicyTest, ...]


def _resolved(documents: list[_Document], reader: Reader, outside: Outside) -> _Resolved:
    """Read the Catalogs and Facts, then everything else against them."""
    catalogs = [catalog_of(one.node, reader) for one in documents if one.kind == "Catalog"]
    catalog = joined(one for one, _ in catalogs)
    set_ids = {one.id for one in documents if one.kind == "ApproverSet"}
    names = Names(reader.problems, catalog, set_ids, outside)
    _prove([claims for _, claims in catalogs], names)
    declared = declared_of((one.node for one in documents if one.kind == "Facts"), reader, names)
    readable = Readable(
        catalog=catalog, calendars=declared.calendars, facts=declared.facts, has_risk=bool(declared.risk)
    )
    conditions = Conditions(reader.problems, readable.asked(), turning_facts(declared.facts))
    risk = risk_of(declared.risk, reader, conditions.within(readable.weighed()))
    kinds = EmergencyKinds(reader, names, conditions, readable, risk)
    policies = tuple(kinds.access_policy(one.node, one.id) for one in documents if one.kind == "AccessPolicy")
    emergencies = tuple(kinds.break_glass(one.node, one.id) for one in documents if one.kind == "BreakGlass")
    named = {one.id for one in policies} | {one.id for one in emergencies}
    guardrails = tuple(kinds.guardrail(one.node, one.id) for one in documents if one.kind == "Guardrail")
    outcomes = None
    if any(one.kind == "PolicyTest" for one in documents):
        outcomes = conditions.within(never_schema(readable, (*policies, *(one.policy for one in emergencies))))
    tests = TestDocuments(reader, names, named, declared.facts, {one.id for one in guardrails}, outcomes)
    found = _Resolved(
        catalog=catalog,
        declared=declared,
        risk=risk,
        sets={one.id: kinds.approver_set(one.node, one.id) for one in documents if one.kind == "ApproverSet"},
        policies=policies,
        guardrails=guardrails,
        emergencies=emergencies,
        tests=tuple(tests.read(one.node, one.id) for one in documents if one.kind == "PolicyTest"),
    )
    _tell_apart(found, reader.problems)
    _warn_untested(found, reader.problems)
    return found


def _prove(all_claims: list[Claims], names: Names) -> None:
    for claims in all_claims:
        for profile, looser, at in claims:
            names.strictness(profile, looser, at)


def _tell_apart(found: _Resolved, problems: Problems) -> None:
    """Refuse a BreakGlass with the id of a policy: offers, grants and locks name either by its id alone."""
    policies = {one.id: one.at for one in found.policies}
    for one in found.emergencies:
        if one.id in policies:
            help_text = f"it is at {policies[one.id]}"
            problems.add(one.at, "P301", f"AccessPolicy {shown(one.id)} exists already", help_text)


def _warn_untested(found: _Resolved, problems: Problems) -> None:
    tested = {case.want.policy for test in found.tests for case in test.cases}
    for policy in (*found.policies, *(one.policy for one in found.emergencies)):
        if policy.id not in tested:
            problems.add(
                policy.at, "P412", f"'{policy.id}' has no test", "add a PolicyTest that wants it", Severity.WARNING
            )
