"""`policy explain`: what a request that nobody made would get from a directory of documents, and whom it would suit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from loglease.cli.asked import Asked, asked_of
from loglease.cli.errors import Exit, Usage
from loglease.cli.output import SENTENCE
from loglease.cli.policy_files import DIRECTORY, bundle_in, clock_now, tell_problems
from loglease.cli.run import Here, Run, flag
from loglease.model.access_request import Wish
from loglease.model.ids import PrincipalId
from loglease.model.instant import Instant, duration_text, parse_instant
from loglease.model.labels import Selector
from loglease.model.principal import EVERYBODY, Directory, Kind, Principal, directory_of
from loglease.model.scope import Level
from loglease.model.selector_text import parse_selector
from loglease.model.wish import WishDraft
from loglease.model.words import scope_in_words
from loglease.policy.bundle import Bundle
from loglease.policy.cases import catalog_profiles
from loglease.policy.conditions.values import Value
from loglease.policy.decision import decide
from loglease.policy.documents import Catalog
from loglease.policy.explain import Viewer
from loglease.policy.explain import explain as explained
from loglease.policy.fact_literals import supposed_facts
from loglease.policy.observed import Facts
from loglease.policy.problems import did_you_mean, nearest, shown
from loglease.policy.profiles import RAW
from loglease.policy.steps import TestPerson
from loglease.policy.supposed import MANAGED, made_up, read_facts, read_people, with_approvers
from loglease.policy.trace import Decision
from loglease.policy.who_can import Answer, profile_of, who_can_data
from loglease.policy.who_can import who_can as who_can_of

_ASSUMED: Final = (
    "Assumed: for each name that approves there are enough people other than {name}. --people takes real ones."
)
_ASIDE: Final = "Left aside: reason, ticket, and whether there are people who approve. Ask with --as for all of it."


def explain(
    directory: DIRECTORY = None,
    /,
    *,
    as_: Annotated[str | None, flag("the account that would ask, such as maria", name="--as")] = None,
    group: Annotated[tuple[str, ...], flag("a group that it is in; repeatable")] = (),
    kind: Annotated[Kind | None, flag("what the account is; default human")] = None,
    people: Annotated[Path | None, flag("a file with all people, as in a PolicyTest; --as is one of them")] = None,
    source: Annotated[str | None, flag("where the logs are; not needed if the Catalog has only one")] = None,
    labels: Annotated[str | None, flag('which streams, such as \'{service="pay-api",env="prod"}\'')] = None,
    all_streams: Annotated[bool, flag("every stream of the source; no --labels then")] = False,
    window: Annotated[str | None, flag("events of so long until then, such as 2h; default: 1h and live")] = None,
    from_: Annotated[str | None, flag("first event time, RFC 3339", name="--from", stdin=True)] = None,
    to: Annotated[str | None, flag("event time to stop before, RFC 3339")] = None,
    live: Annotated[bool, flag("also events to come, until the grant ends")] = False,
    level: Annotated[str | None, flag("this level and above, such as warn")] = None,
    contains: Annotated[tuple[str, ...], flag("only lines with this text; repeatable")] = (),
    profile: Annotated[str | None, flag("redaction profile, such as pii-default")] = None,
    for_: Annotated[str | None, flag("how long to read, from first use on, such as 30m", name="--for")] = None,
    reason: Annotated[str | None, flag("the reason that would be given")] = None,
    ticket: Annotated[str | None, flag("the ticket that would be named")] = None,
    input_: Annotated[
        tuple[str, ...], flag("what a policy asks for in a field of its own: NAME=VALUE; repeatable", name="--input")
    ] = (),
    facts: Annotated[Path | None, flag("file with values of facts; any other one cannot be had then")] = None,
    at: Annotated[str | None, flag("when it would be asked, RFC 3339; default: now")] = None,
    who_can: Annotated[bool, flag("for each policy: what those whom it is for would get; nobody asks then")] = False,
    run: Here,
) -> Exit:
    """Say what a request would get from policy documents, without making it.

    Every policy tells its answers, step after step, as an auditor sees them. Approvers are assumed to be there unless
    --people says who there is. A denial is an answer, too: it ends with 0. Documents or people with errors end with 3.
    """
    if who_can:
        _require_nobody(as_, group, kind, people, reason, ticket)
    asked = asked_of(
        selector=labels,
        all_streams=all_streams,
        source=source,
        window=window,
        from_=_start(from_),
        to=to,
        live=live,
        level=level,
        contains=contains,
        profile=profile,
        for_=for_,
        reason=reason,
        ticket=ticket,
        inputs=input_,
    )
    now = clock_now() if at is None else parse_instant(at)
    bundle = bundle_in(run, directory)
    known = None if bundle is None else _facts(run, bundle, facts)
    if bundle is None or known is None:
        return Exit.CHECK_FAILED
    wish = _wish(run, bundle, asked, now)
    supposed = supposed_facts(bundle, wish, known, now)
    if who_can:
        return _show_who_can(run, bundle, wish, supposed, now)
    asking = _asking(run, bundle, as_, group, kind, people)
    return Exit.CHECK_FAILED if asking is None else _show(run, bundle, wish, asking, supposed, now)


def _facts(run: Run, bundle: Bundle, file: Path | None) -> dict[str, Value] | None:
    """Return what is supposed of facts, or None after saying what is wrong with their file."""
    if file is None:
        return {}
    try:
        found = read_facts(bundle, str(file), file.read_bytes())
    except OSError as error:
        raise Usage(f"{file}: {error.strerror}.", next_step="Check path and mode.") from error
    if isinstance(found, list):
        tell_problems(run, found)
        return None
    return found


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who asks; everybody else, too, where that was told."""

    principal: Principal
    directory: Directory | None


def _require_nobody(*flags: object) -> None:
    if any(flags):
        raise Usage(
            "--who-can asks for nobody in particular, and leaves reason and ticket aside.",
            next_step="Leave out --as, --group, --kind, --people, --reason and --ticket.",
        )


def _start(text: str | None) -> str | None:
    """Return the start as it was given; one that counts back has a flag of its own."""
    if text is not None and text.startswith("-"):
        raise Usage(f"--from takes a time, not {text[:40]!r}.", next_step=f"Count back with --window {text[1:40]}.")
    return text


def _asking(
    run: Run, bundle: Bundle, name: str | None, groups: tuple[str, ...], kind: Kind | None, people: Path | None
) -> _Asking | None:
    """Return who asks, or None after saying what is wrong with the file of people."""
    if not name:
        raise Usage("Who asks?", next_step="Give --as NAME and its groups with --group, or --who-can for everybody.")
    if people is None:
        for one in groups:
            _require_known("group", one, {*bundle.catalog.groups, EVERYBODY})
        found = made_up([TestPerson(name=name, groups=frozenset(groups), kind=kind or Kind.HUMAN, manager=MANAGED)])
        return _Asking(found.principals[PrincipalId(name)], None)
    if groups or kind is not None:
        raise Usage(f"{people} says what {name} is, and in which groups.", next_step="Leave out --group and --kind.")
    try:
        listed = read_people(bundle, str(people), people.read_bytes())
    except OSError as error:
        raise Usage(f"{people}: {error.strerror}.", next_step="Check path and mode.") from error
    if isinstance(listed, list):
        tell_problems(run, listed)
        return None
    _require_known("person", name, [one.name for one in listed], where=str(people))
    directory = made_up(listed)
    return _Asking(directory.principals[PrincipalId(name)], directory)


def _require_known(what: str, name: str, known: Collection[str], *, where: str = "the Catalog") -> None:
    if name not in known:
        close = nearest(name, known)
        meant = f"Did you mean {close!r}? " if close else ""
        raise Usage(
            f"There is no {what} {shown(name)} in {where}.",
            next_step=f"{meant}There are: {', '.join(sorted(known)) or 'none'}.",
        )


def _wish(run: Run, bundle: Bundle, asked: Asked, now: Instant) -> Wish:
    catalog = bundle.catalog
    if asked.selector is None and not asked.all_streams:
        raise Usage(
            "What is to be read?", next_step="Give --labels '{service=\"pay-api\"}', or --all-streams for all of them."
        )
    if asked.profile is not None:
        _require_known("redaction profile", asked.profile.partition("@")[0], {RAW, *catalog.redaction})
    draft = WishDraft(
        source=_source(bundle, asked.source),
        selector=parse_selector("{}" if asked.selector is None else asked.selector),
        window=asked.window,
        reason=(asked.reason or "").strip(),
        all_streams=asked.all_streams,
        level_from=None if asked.level is None else Level(asked.level),
        contains=asked.contains,
        profile=asked.profile,
        ticket=asked.ticket,
        duration_s=asked.duration_s,
        inputs=asked.inputs,
    )
    wish = draft.at(now)
    for note in _unknown_labels(catalog, draft.selector):
        run.out.notice(note)
    return wish


def _source(bundle: Bundle, name: str | None) -> str:
    known = bundle.catalog.sources
    if name is not None:
        _require_known("source", name, known)
        return name
    if len(known) != 1:
        raise Usage(
            "The source is not named.", next_step=f"Give --source; there are: {', '.join(sorted(known)) or 'none'}."
        )
    return next(iter(known))


def _unknown_labels(catalog: Catalog, selector: Selector) -> Iterator[str]:
    """Name what no policy of the bundle can mean: a slip of the pen, or a label that is left to requests."""
    for label, matcher in selector.matchers if catalog.labels else ():
        if label not in catalog.labels:
            yield f"Label {shown(label)} is not in the Catalog: {did_you_mean(label, catalog.labels)}"
        declared = catalog.labels.get(label)
        for value in sorted(matcher.exact - declared) if declared is not None else ():
            yield f"{shown(value)} is no declared value of {label}: {did_you_mean(value, declared or ())}"


def _show(run: Run, bundle: Bundle, wish: Wish, asking: _Asking, known: Facts, now: Instant) -> Exit:
    asks = asking.principal

    def decision(directory: Directory) -> Decision:
        return decide(bundle, wish, asks, directory=directory, now=now, profiles=catalog_profiles(bundle), facts=known)

    found = decision(asking.directory or with_approvers(bundle, asks))
    explanation = explained(found, Viewer.AUDITOR)
    is_assumed = asking.directory is None and found.policies != decision(directory_of([asks])).policies
    if run.out.json:
        run.out.resource(explanation.data | ({"assumed": ["approvers"]} if is_assumed else {}))
    else:
        run.out.data(explanation.text)
        if is_assumed:
            run.out.notice(_ASSUMED.format(name=asks.account))
    return Exit.DONE


def _show_who_can(run: Run, bundle: Bundle, wish: Wish, known: Facts, now: Instant) -> Exit:
    answers = who_can_of(bundle, wish, now=now, profiles=catalog_profiles(bundle), facts=known)
    if run.out.json:
        run.out.resource(who_can_data(bundle, wish, answers))
        return Exit.DONE
    run.out.facts([("Asked", scope_in_words(scope, None, wish.duration_s)) for scope in wish.scopes])
    run.out.table(
        ["POLICY", "FOR", "OUTCOME", "TIME", "MASKED BY", SENTENCE],
        [_row(one) for one in answers],
        none="No policy: everything is denied.",
    )
    if answers:
        run.out.notice(_ASIDE)
    return Exit.DONE


def _row(answer: Answer) -> list[str]:
    kind = "" if answer.kind is Kind.HUMAN else f" ({answer.kind})"
    offer = answer.offer
    time_given = "" if offer is None else duration_text(offer.terms.duration_s)
    profile = "" if offer is None else profile_of(offer)
    return [
        answer.policy.id,
        f"{', '.join(answer.names)}{kind}",
        str(answer.outcome),
        time_given,
        profile,
        answer.words,
    ]
