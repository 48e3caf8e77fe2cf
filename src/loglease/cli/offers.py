"""A draft from the flags of `request`, the offers that it gets, and whether a grant that one has already covers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from loglease.cli.asked import DEFAULT_LOOKBACK_S, Asked
from loglease.cli.client import Body
from loglease.cli.errors import Usage
from loglease.cli.questions import may_be_asked
from loglease.cli.run import Run
from loglease.model.ack import Ack, recorded_in_words
from loglease.model.instant import EventWindow, duration_text
from loglease.model.key_scope import KeyScope, linkable_in_words
from loglease.model.network import bound_in_words
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector

_SECOND_NS: Final = 1_000_000_000
_USABLE: Final = ("active", "scheduled")


def draft_of(run: Run, asked: Asked, like: Body | None) -> Body:
    """Return the body of a draft: what flags say, else what the earlier request `like` had, else the defaults.

    Raises:
        Usage: neither a selector nor an earlier request, or the source is not clear.
    """
    old: Body = like["scopes"][0] if like else {}
    selector = asked.selector or ("{}" if asked.all_streams else old.get("selector"))
    if selector is None:
        raise Usage("What do you want to read?", next_step="loglease request '{service=\"pay-api\"}', or --like req_…")
    parse_selector(selector)
    scope: Body = {
        "source": asked.source or old.get("source") or run.settings.source or _only_source(run),
        "selector": selector,
        "all_streams": asked.all_streams or (asked.selector is None and bool(old.get("all_streams"))),
        "window": _window(asked, old.get("window")),
        "contains": list(asked.contains or old.get("contains", ())),
    }
    _add(scope, level_from=asked.level or old.get("level_from"), profile=asked.profile)
    draft: Body = {"scopes": [scope], "reason": asked.reason or (like or {}).get("reason", "")}
    limits: Body = {}
    _add(limits, lines=asked.lines, bytes=asked.size)
    _add(
        draft,
        ticket=asked.ticket or (like or {}).get("ticket"),
        duration_s=asked.duration_s or (like or {}).get("duration_s") or run.settings.duration_s,
        limits=limits or None,
        inputs=dict(asked.inputs) or None,
    )
    return draft


def _add(body: Body, **values: Any) -> None:
    body.update({name: value for name, value in values.items() if value is not None})


def _only_source(run: Run) -> str:
    found = [str(item["id"]) for item in run.client.every("/sources")]
    if len(found) == 1:
        return found[0]
    known = ", ".join(found) or "none"
    if found and may_be_asked(run):
        return run.asked("--source", f"Which source ({known})")
    raise Usage("The source is not named.", next_step=f"Give --source; there are: {known}.")


def _window(asked: Asked, old: Body | None) -> Body:
    if old is not None and not asked.says_when:
        length_ns = int(old["to_ns"]) - int(old["from_ns"]) if "to_ns" in old else DEFAULT_LOOKBACK_S * _SECOND_NS
        return {"lookback_s": max(1, length_ns // _SECOND_NS), "live": bool(old["live"])}
    draft = asked.window
    window: Body = {"live": draft.live}
    _add(window, lookback_s=draft.lookback_s, from_ns=_number(draft.start_ns), to_ns=_number(draft.end_ns))
    return window


def _number(event_ns: int | None) -> str | None:
    return None if event_ns is None else str(event_ns)


def need_words(offer: Mapping[str, Any]) -> str:
    """Say which approvals an offer takes, and within what time."""
    if offer["outcome"] == "auto":
        return "no approval"
    if offer["outcome"] == "break_glass":
        return "at once, looked at afterwards"
    words = plans_words(offer["plans"]) or f"{offer['need']} approvals"
    return f"{words}, answer within {duration_text(offer['review_within_s'])}"


def plans_words(plans: Iterable[Mapping[str, Any]]) -> str:
    """Say which approvals plans demand, all of them together."""
    found = [
        " then ".join(
            (" and " if stage["joint"] == "all_of" else " or ").join(
                f"{block['need']} approval{'s' * (block['need'] != 1)} of {_names(block['approvers'])}"
                for block in stage["blocks"]
            )
            + _later_words(stage)
            for stage in plan["stages"]
        )
        for plan in plans
    ]
    return "; ".join(plan for plan in found if plan)


def bound_words(shown: Mapping[str, Any]) -> str:
    """Say from where alone an offer or a grant can be used; empty where that is anywhere."""
    return bound_in_words(shown.get("network")) if shown.get("network_bound") else ""


def linkable_words(shown: Mapping[str, Any]) -> str:
    """Say what an offer or a grant lets people link beyond one grant; empty where that is nothing."""
    return linkable_in_words(KeyScope(shown.get("pseudonyms", KeyScope.GRANT)), shown["policy"]) or ""


def recorded_words(shown: Mapping[str, Any]) -> str:
    """Say what an offer or a grant waits for besides the record itself; empty where that is nothing."""
    return recorded_in_words(Ack(shown.get("audit", Ack.DURABLE))) or ""


def more_words(shown: Mapping[str, Any]) -> str:
    """Say what a newer policy demands of a request; empty where it is what the offer said."""
    return plans_words(shown["plans"]) if shown["plans"] != shown["offer"]["plans"] else ""


def _later_words(stage: Mapping[str, Any]) -> str:
    """Say who may approve once a request has waited for so long; empty where nobody is added."""
    also = stage.get("escalate")
    return "" if also is None else f", after {duration_text(also['after_s'])} also {_names(also['to'])}"


def _names(approvers: Iterable[str]) -> str:
    return " or ".join(name.partition(":")[2] or name for name in approvers)


def show_offers(run: Run, offers: Body, number: int | None) -> None:
    """Print what is asked and what would be granted; the offer of that number, else the first, is marked as taken."""
    taken = number or (offers["offers"][0]["number"] if offers["offers"] else None)
    run.out.facts([("You ask", offers["words"])])
    for offer in offers["offers"]:
        mark = "   <- taken" if offer["number"] == taken else ""
        duration = duration_text(offer["duration_s"])
        bound = f", {bound_words(offer)}" if offer.get("network_bound") else ""
        run.out.facts(
            [
                (f"Offer {offer['number']}", f"{offer['policy']}   {duration}   {need_words(offer)}{bound}{mark}"),
                ("Linkable", linkable_words(offer)),
                ("Recorded", recorded_words(offer)),
            ]
        )


def covering_grant(run: Run, draft: Body, offers: Body) -> Body | None:
    """Return a usable grant of one's own that already allows all that the best offer would, or None.

    Where nothing is offered, perhaps for want of a reason, the wish itself is compared.
    """
    best = offers["offers"][0]["scopes"] if offers["offers"] else [_as_of_now(run, scope) for scope in draft["scopes"]]
    wanted = [scope_of(scope) for scope in best]
    for grant in run.client.items("/grants", most=None, mine=True, live=True):
        if grant["state"] not in _USABLE or grant.get("reveal"):
            continue
        held = [scope_of(scope) for scope in grant["scopes"]]
        if all(any(_covers(ours, theirs) for ours in held) for theirs in wanted):
            return grant
    return None


def _as_of_now(run: Run, wanted: Body) -> Body:
    """Return a scope of a draft with the event window that it has at this moment."""
    now_ns = run.client.now() * 1_000
    window = wanted["window"]
    # The server tells its time to the second, so a grant of this very second may begin a little later than that.
    start_ns = window.get("from_ns") or min(now_ns - 1, now_ns + _SECOND_NS - window.get("lookback_s", 0) * _SECOND_NS)
    return {**wanted, "window": {"to_ns": str(now_ns), **window, "from_ns": str(start_ns)}}


def _covers(held: Scope, wanted: Scope) -> bool:
    same_profile = wanted.profile is None or held.profile == wanted.profile
    return same_profile and held.contains_scope(wanted)


def scope_of(shown: Mapping[str, Any]) -> Scope:
    """Return a scope of the API as a value."""
    window = shown["window"]
    end = None if window["live"] else int(window["to_ns"])
    level = shown.get("level_from")
    return Scope(
        source=shown["source"],
        selector=parse_selector(shown["selector"]),
        window=EventWindow(int(window["from_ns"]), end),
        level_from=None if level is None else Level(level),
        contains=tuple(shown.get("contains", ())),
        profile=shown.get("profile"),
    )
