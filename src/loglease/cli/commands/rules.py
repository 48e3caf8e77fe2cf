"""`rules check`, `rules test`, `rules list`: local commands on rule packs and profiles."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from loglease.cli.commands.redact import found_in
from loglease.cli.errors import Exit, Usage
from loglease.cli.rule_files import Plugins, extensions_named, refused, rule_files
from loglease.cli.run import Here, Run, flag
from loglease.redaction import (
    Extensions,
    Fault,
    Library,
    Pack,
    Profile,
    ProfileUnknown,
    RulesInvalid,
    Treatment,
    builtin_library,
    load_library,
    profile_named,
)
from loglease.redaction.comparison import Change, Verdict, pack_changes, profile_changes, verdict_of
from loglease.redaction.costs import DEAR, Cost, costs_of, usual_text
from loglease.redaction.proof import Broken, claims_broken, engines_at_hand, proof_of

PATHS = Annotated[Path, Parameter(name="PATH", help="packs and profiles: *.yaml files, or directories of them")]
_BLOCKWISE = "re2"


@dataclass(frozen=True, slots=True)
class _Checked:
    """What `rules check` found beyond what keeps a set from loading."""

    problems: list[Fault]
    costs: list[Cost]
    changes: list[Change] | None


def check(
    *paths: PATHS,
    against: Annotated[
        Path | None, flag("the packs as they were: is what is masked now more, less, or neither?")
    ] = None,
    text: Annotated[Path | None, flag("log lines to measure costs on; default: made-up ones")] = None,
    plugin: Plugins = None,
    run: Here,
) -> Exit:
    """Check rule packs and profiles as a server would before it takes them, and more.

    Prints each mistake with file, line and column, a mark below it and what to write instead. Then texts drawn from
    each pattern are tried on its tripwire, and the cost of each rule is measured beside the scan of all. Exits with 3
    if there is an error; a dear rule is a warning.
    """
    files, extensions = _files(paths), extensions_named(plugin)
    try:
        library = load_library(files, extensions=extensions)
    except RulesInvalid as error:
        return refused(run, error.faults)
    own = [pack for pack in library.packs if pack.pin in library.own]
    changes = None if against is None else _changes(_loaded([against], extensions, run), library)
    problems = [_fault(broken, pack) for pack in own for broken in _claims(pack)]
    checked = _Checked(problems, _costs(own, library, text), changes)
    if run.out.json:
        run.out.resource(_as_json(library, checked))
    else:
        _print_checked(run, library, checked)
    return Exit.CHECK_FAILED if problems else Exit.DONE


def _claims(pack: Pack) -> Iterator[Broken]:
    for engine in engines_at_hand():
        if engine.name != _BLOCKWISE:
            yield from claims_broken(pack, engine)


def _fault(broken: Broken, pack: Pack) -> Fault:
    where = f"{broken.engine}: {broken.detail}" if broken.engine else broken.detail
    return Fault(pack.pin, 1, 1, broken.rule.id, where, broken.remedy)


def _costs(own: Sequence[Pack], library: Library, text: Path | None) -> list[Cost]:
    lines = usual_text() if text is None else _lines_of(text)
    engine = engines_at_hand()[0]
    builtin = [pack for pack in library.packs if pack.pin not in library.own]
    return [cost for pack in own for cost in costs_of(pack, builtin, lines, engine=engine, now=time.perf_counter)]


def _lines_of(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            data = source.read(1 << 20)
    except OSError as error:
        raise Usage(f"{file}: {error.strerror}.", next_step="Check path and mode.") from error
    whole = data[: data.rfind(b"\n") + 1]
    if not whole:
        raise Usage(f"{file} holds no whole line.", next_step="Name a file with log lines.")
    return whole


def _print_checked(run: Run, library: Library, checked: _Checked) -> None:
    for fault in checked.problems:
        run.out.data(f"{fault.file}: {fault.where}: {fault.detail}")
        if fault.remedy:
            run.out.data(f"  = help: {fault.remedy}")
    rows = [
        [one.rule.id, f"{one.lines:,}", f"{one.scan:.1%}", f"{one.confirm:.1%}", "dear" if one.share > DEAR else ""]
        for one in checked.costs
    ]
    if rows:
        run.out.table(["RULE", "LINES HIT", "SCAN", "CONFIRM", "COST"], rows, none="")
    for one in checked.costs:
        if one.share > DEAR:
            run.out.notice(
                f"warning: {one.rule.id} costs {one.share:.0%} of the scan of all rules; let its tripwire begin with a "
                "rare text"
            )
    if checked.changes is not None:
        run.out.data(f"Against the old rules: {verdict_of(checked.changes)}")
        for change in checked.changes:
            run.out.data(f"  {change.effect:<12} {change.where}: {change.detail}")
    errors = len(checked.problems)
    run.out.notice(f"{'ok' if not errors else 'not ok'}: {_counted(library)}, {errors} error{'s' * (errors != 1)}.")


def _counted(library: Library) -> str:
    own = [pack for pack in library.packs if pack.pin in library.own]
    profiles = sum(one.pin in library.own for one in library.profiles)
    rules = sum(len(pack.rules) for pack in own)
    return f"{len(own)} pack{'s' * (len(own) != 1)}, {rules} rule{'s' * (rules != 1)}, {profiles} profile" + "s" * (
        profiles != 1
    )


def _as_json(library: Library, checked: _Checked) -> dict[str, Any]:
    body: dict[str, Any] = {
        "problems": [one.as_json() for one in checked.problems],
        "packs": sorted(pack.pin for pack in library.packs if pack.pin in library.own),
        "profiles": {pin: digest for pin, digest in library.digests().items() if pin in library.own},
        "costs": [
            {"rule": one.rule.id, "lines": one.lines, "scan": round(one.scan, 4), "confirm": round(one.confirm, 4)}
            for one in checked.costs
        ],
    }
    if checked.changes is not None:
        verdict: Verdict = verdict_of(checked.changes)
        body["against"] = {
            "verdict": verdict,
            "changes": [{"where": one.where, "effect": one.effect, "detail": one.detail} for one in checked.changes],
        }
    return body


def _changes(old: Library, new: Library) -> list[Change]:
    packs = [[one for one in library.packs if one.pin in library.own] for library in (old, new)]
    before, after = ([one for one in library.profiles if one.pin in library.own] for library in (old, new))
    return [*pack_changes(*packs), *profile_changes(before, after, (old.packs, new.packs))]


def _loaded(paths: Sequence[Path], extensions: Extensions, run: Run) -> Library:
    """Return packs of which only what they say matters, such as old ones.

    Raises:
        Usage: they do not load.
    """
    try:
        return load_library(rule_files(paths), extensions=extensions, engines=())
    except RulesInvalid as error:
        for one in error.faults:
            run.out.notice(one.render())
        raise Usage("The old rules do not load.", next_step="Name rules that a server takes.") from error


def run_examples(
    *paths: PATHS,
    text: Annotated[Path | None, flag("log lines: show what the packs find in them")] = None,
    show_values: Annotated[bool, flag("with --text: show the values, too")] = False,
    plugin: Plugins = None,
    run: Here,
) -> Exit:
    """Run the examples and non-examples of rule packs on every engine of this machine.

    Failures name rule, example, engine, and what was masked instead, in bytes. Exits with 4 if one fails, with 3 if the
    packs have errors. `--text` shows what the packs find in a file.
    """
    files, extensions = _files(paths), extensions_named(plugin)
    try:
        library = load_library(files, extensions=extensions, engines=())
    except RulesInvalid as error:
        return refused(run, error.faults)
    own = [pack for pack in library.packs if pack.pin in library.own]
    engines = engines_at_hand()
    failures = [broken for pack in own for broken in proof_of(pack, engines, [])]
    names = [engine.name for engine in engines]
    if run.out.json:
        run.out.resource(
            {
                "engines": names,
                "rules": [rule.id for pack in own for rule in pack.rules],
                "failures": [
                    {
                        "rule": one.rule.id,
                        "engine": one.engine,
                        "place": "/".join(map(str, one.path)),
                        "detail": one.detail,
                    }
                    for one in failures
                ],
            }
        )
    else:
        _print_examples(run, own, names, failures)
    if text is not None:
        found_in(run, text, own, show_values=show_values)
    return Exit.TEST_FAILED if failures else Exit.DONE


def _print_examples(run: Run, own: Sequence[Pack], engines: Sequence[str], failures: Sequence[Broken]) -> None:
    failed = {one.rule.id for one in failures}
    for pack in own:
        for rule in pack.rules:
            if rule.id not in failed:
                counts = f"{len(rule.examples)} found, {len(rule.non_examples)} left alone"
                run.out.data(f"ok    {rule.id}: {counts}")
            for one in failures:
                if one.rule.id == rule.id:
                    engine = f" [{one.engine}]" if one.engine else ""
                    run.out.data(f"FAIL  {rule.id}: {one.detail}{engine}")
    rules = sum(len(pack.rules) for pack in own)
    run.out.notice(f"{rules} rules on {', '.join(engines)}, {len(failed)} failed.")


def list_(
    *paths: PATHS,
    profile: Annotated[str | None, flag("only the rules of this profile, with what it does to their finds")] = None,
    plugin: Plugins = None,
    run: Here,
) -> Exit:
    """List rules: id, class, treatment, pack.

    Without PATH the packs that come with the program; with it those, too.
    """
    try:
        library = (
            load_library(rule_files(paths), extensions=extensions_named(plugin), engines=())
            if paths
            else builtin_library()
        )
    except RulesInvalid as error:
        return refused(run, error.faults)
    try:
        chosen = None if profile is None else profile_named(profile, library.profiles)
    except ProfileUnknown as error:
        raise Usage(f"{error}.", next_step="loglease rules list shows what there is.") from error
    rows = list(_rows(library, chosen))
    if run.out.json:
        run.out.resource({"profile": chosen.pin if chosen else None, "rules": rows})
        return Exit.DONE
    run.out.table(
        ["RULE", "CLASS", "TREATMENT", "PACK"],
        [[row["rule"], row["class"], row["treatment"], row["pack"]] for row in rows],
        none="No rules.",
    )
    profiles = ", ".join(one.pin for one in library.profiles)
    run.out.notice(f"{len(rows)} rules{f' of {chosen.pin}' if chosen else ''}. Profiles: {profiles}")
    return Exit.DONE


def _rows(library: Library, chosen: Profile | None) -> Iterator[dict[str, str]]:
    for pack in library.packs:
        if chosen is not None and pack.pin not in chosen.packs:
            continue
        for rule in pack.rules:
            disabled = chosen is not None and rule.id in chosen.disabled
            treatment = "disabled" if disabled else _words(chosen.treatment_of(rule.cls)) if chosen else "-"
            yield {"rule": rule.id, "class": rule.cls, "treatment": treatment, "pack": pack.pin}


def _words(treatment: Treatment) -> str:
    return f"partial {treatment.part}" if treatment.part else treatment.kind


def _files(paths: Sequence[Path]) -> dict[str, bytes]:
    if not paths:
        raise Usage("There is no PATH.", next_step="Name packs: loglease rules check packs/")
    return rule_files(paths)
