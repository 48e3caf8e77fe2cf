"""`policy check`, `policy test`, `policy show`: local commands on a directory of documents."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated

from loglease.cli.errors import Exit, Usage
from loglease.cli.policy_files import DIRECTORY, bundle_in, clock_now, content_of, counted, files_in, loaded
from loglease.cli.run import Here, flag
from loglease.model.instant import duration_text, instant_text, parse_instant
from loglease.model.offer import Stage
from loglease.model.principal import Directory
from loglease.model.selector_text import selector_text
from loglease.policy.analysis import analysed
from loglease.policy.bundle import Bundle
from loglease.policy.cases import CaseResult, run_tests
from loglease.policy.coverage import WHOLE, covered
from loglease.policy.documents import AccessPolicy, Route
from loglease.policy.health import complaints
from loglease.policy.lookalikes import look_alikes
from loglease.policy.never import NeverResult, run_nevers
from loglease.policy.problems import Problem, Problems, Severity
from loglease.policy.schema import schema as document_schema
from loglease.policy.snapshot import read_snapshot, unknown_groups
from loglease.policy.undercuts import undercuts


def check(
    directory: DIRECTORY = None,
    /,
    *,
    at: Annotated[str | None, flag("the day on which reviews are due, RFC 3339; default: now")] = None,
    people: Annotated[
        Path | None, flag("who works here: what `loglease admin user list --output json` prints", name="--directory")
    ] = None,
    run: Here,
) -> Exit:
    """Check policy documents.

    Prints each problem with its place, a mark below it and what to write instead. Exits with 3 if one is an error.
    Conditions that can never hold are found, too; a server takes them. Warnings name policies without a test, past
    their review or cheaper than another one for what both cover, parts of conditions that always say the same, and
    letters that look like others; with --directory
    also groups that nobody is in, approver sets with too few people, and plans that nobody could complete.
    """
    files = files_in(directory)
    today = date.fromisoformat(instant_text(clock_now() if at is None else parse_instant(at))[:10])
    known = None if people is None else read_snapshot(content_of(people))
    found = loaded(files)
    problems = _problems(found, files, today, known)
    if run.out.json:
        body = {"problems": [one.as_json() for one in problems]}
        run.out.resource(body | ({"hash": found.hash} if isinstance(found, Bundle) else {}))
    else:
        for one in problems:
            run.out.data(one.render())
        run.out.notice(_summary(found, problems))
    return Exit.CHECK_FAILED if any(one.severity is Severity.ERROR for one in problems) else Exit.DONE


def _problems(
    found: Bundle | list[Problem], files: Mapping[str, bytes], today: date, known: Directory | None
) -> list[Problem]:
    """Put together what loading found and what only a person who checks wants to know."""
    problems = Problems()
    for file, content in files.items():
        problems.read(file, content.decode(errors="replace").replace("\r\n", "\n").split("\n"))
    problems.add_all(found.warnings if isinstance(found, Bundle) else found)
    problems.add_all(look_alikes(files))
    if isinstance(found, Bundle):
        problems.add_all(analysed(found, files))
        problems.add_all(undercuts(found))
        problems.add_all(complaints(found, today=today, directory=known))
    if known is not None:
        problems.add_all(unknown_groups(files, known))
    return problems.found()


def run_cases(
    directory: DIRECTORY = None,
    /,
    *,
    cover: Annotated[
        int | None, flag("tell what the tests never try; end with 4 if less than so many percent of it are covered")
    ] = None,
    asked_under: Annotated[
        Path | None, flag("directory with older documents that requests are made under; what happens then is as ever")
    ] = None,
    run: Here,
) -> Exit:
    """Run the tests of policy documents.

    Tests are decided at their own frozen instant. What must never happen is searched for among all requests and facts
    that make a difference; where they are too many, among a sample, and the line says so. Exits with 4 if a test fails
    or something is found, with 3 if the documents have errors.

    With --asked-under: what becomes of requests and grants that wait or live while the documents change.

    With --cover: a policy is covered if a case gets an offer of it, a route if one comes by it, and a leaf, the
    smallest part of a condition, if it is true in one case and false in another. Each of the three has to reach
    --cover.
    """
    if cover is not None and not 0 <= cover <= WHOLE:
        raise Usage("--cover is a percentage.", next_step="Give 0 to 100.")
    if cover is not None and asked_under is not None:
        raise Usage("--cover is about one set of documents, and --asked-under brings another.", next_step="Give one.")
    bundle = bundle_in(run, directory)
    if bundle is None:
        return Exit.CHECK_FAILED
    before = None if asked_under is None else bundle_in(run, asked_under, name=f"--asked-under, {asked_under}")
    if asked_under is not None and before is None:
        return Exit.CHECK_FAILED
    results = run_tests(bundle, asked_under=before)
    nevers = run_nevers(bundle)
    everything: list[CaseResult | NeverResult] = [*results, *nevers]
    failed = sum(not one.ok for one in everything)
    found = None if cover is None else covered(bundle, results)
    if run.out.json:
        cases = [
            {"test": one.test, "title": one.title, "ok": one.ok, "differences": [*one.differences]} for one in results
        ]
        rules = {"never": [one.as_json() for one in nevers]} if nevers else {}
        run.out.resource({"cases": cases} | rules | ({} if found is None else {"coverage": found.as_json()}))
    else:
        for shown in everything:
            run.out.data(shown.render())
        if found is not None:
            run.out.data(found.render())
        searched = f", {len(nevers)} searched for" if nevers else ""
        run.out.notice(f"{len(results)} cases{searched}, {failed} failed.")
    too_little = found is not None and cover is not None and not found.reaches(cover)
    return Exit.TEST_FAILED if failed or too_little else Exit.DONE


def show(directory: DIRECTORY = None, /, *, run: Here) -> Exit:
    """Show what a directory of policy documents says.

    One row for each policy and guardrail, and the hash by which decisions name the bundle.
    """
    bundle = bundle_in(run, directory)
    if bundle is None:
        return Exit.CHECK_FAILED
    if run.out.json:
        policies = [{"id": one.id, "title": one.title, "for": [*one.who.any_of]} for one in bundle.policies]
        guardrails = [{"id": one.id, "title": one.title} for one in bundle.guardrails]
        run.out.resource({"hash": bundle.hash, "policies": policies, "guardrails": guardrails})
        return Exit.DONE
    run.out.facts([("Bundle", bundle.hash)])
    run.out.table(
        ["POLICY", "FOR", "WHAT", "TIME", "MASKED BY", "APPROVAL"],
        [_row(one) for one in bundle.policies],
        none="No policy: everything is denied.",
    )
    for one in bundle.guardrails:
        run.out.facts([("Guardrail", f"{one.id}: {one.title}")])
    return Exit.DONE


def schema(*, run: Here) -> None:
    """Print a JSON Schema of policy documents, for editors.

    It knows fields and the form of values; names, conditions and what fields mean together are checked by `check`.
    """
    run.out.resource(document_schema())


def _row(one: AccessPolicy) -> list[str]:
    what = "; ".join(f"{selector_text(rule.selector)} on {', '.join(rule.sources)}" for rule in one.scopes)
    routes = "; ".join(map(_approval, one.routes))
    time = f"{duration_text(one.grant.default_s)}, at most {duration_text(one.grant.max_s)}"
    return [one.id, ", ".join(one.who.any_of), what, time, one.grant.redaction, routes]


def _approval(route: Route) -> str:
    condition = "" if route.condition is None else f"if {route.condition.text}: "
    return f"{condition}{'automatic' if route.auto else ' then '.join(map(_stage, route.stages))}"


def _stage(stage: Stage) -> str:
    joint = f" {stage.joint.removesuffix('_of')} "
    words = joint.join(f"{block.need} of {' or '.join(block.approvers)}" for block in stage.blocks)
    also = stage.escalate
    return words if also is None else f"{words}, after {duration_text(also.after_s)} also {' or '.join(also.to)}"


def _summary(found: Bundle | list[Problem], problems: list[Problem]) -> str:
    if isinstance(found, Bundle):
        sizes = f"{len(found.policies)} policies, {len(found.guardrails)} guardrails"
        return f"ok: {sizes}, {counted(problems)}. {found.hash}"
    return counted(problems)
