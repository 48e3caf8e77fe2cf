"""Which wall times a recurrence rule names, in bounded time. Source: RFC 5545, section 3.3.10.

`dateutil` knows the rules. It looks for the next time until the year 9999, though, where a rule has none, and it steps
by the second if told to; so small steps are refused, and what only limits days is applied here, behind a rule that has
a time in each of its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

from dateutil.rrule import rrulestr

MAX_INTERVAL: Final = 1_000
MAX_TIMES: Final = 100_000
"""Times of one rule, from its start to where it is read."""

_DAYS: Final = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_ANY: Final = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE"}
)
_LONG: Final = frozenset({"BYSETPOS", "BYYEARDAY", "BYWEEKNO"})
_SHORT_STEPS: Final = frozenset({"DAILY", "WEEKLY"})
_LONG_STEPS: Final = frozenset({"MONTHLY", "YEARLY"})


class RuleRefused(Exception):
    """A rule is not understood, or names too many times."""


Rule = Mapping[str, list[Any]]


def require_known(rule: Rule) -> None:
    """Refuse what is not understood.

    Raises:
        RuleRefused: the rule has a part that is not known here.
    """
    steps = str(rule.get("FREQ", ["?"])[0]).upper()
    if steps not in _SHORT_STEPS | _LONG_STEPS:
        raise RuleRefused("its RRULE does not go by days, weeks, months or years")
    known = _ANY | _LONG if steps in _LONG_STEPS else _ANY
    if unknown := {name.upper() for name in rule} - known:
        raise RuleRefused(f"the {', '.join(sorted(unknown))} of its RRULE is not understood")
    if not 1 <= int(rule.get("INTERVAL", [1])[0]) <= MAX_INTERVAL:
        raise RuleRefused(f"the INTERVAL of its RRULE is not within 1 to {MAX_INTERVAL:,}")
    if any(getattr(month, "leap", False) for month in rule.get("BYMONTH", ())):
        raise RuleRefused("a BYMONTH of its RRULE is of another calendar")
    if steps in _SHORT_STEPS and any(str(day).upper() not in _DAYS for day in rule.get("BYDAY", ())):
        raise RuleRefused("a BYDAY of its RRULE has a number, which only months and years have")


def recurrences(rule: Rule, start: datetime, before: datetime) -> Iterator[datetime]:
    """Yield the times that a rule names from `start` on, in order, as far as they lie before another one.

    COUNT is kept, UNTIL is for the caller, who knows the zone.

    Raises:
        RuleRefused: there are too many.
    """
    count = rule.get("COUNT")
    left = int(count[0]) if count else None
    plain, fits = _parted(rule)
    text = ";".join(f"{name}={','.join(map(str, values))}" for name, values in plain.items())
    times = rrulestr(text, dtstart=start)
    for number, wall in enumerate(takewhile(lambda one: one < before, times)):
        if number >= MAX_TIMES:
            raise RuleRefused("its RRULE names too many times")
        if left is not None and left <= 0:
            return
        if fits(wall):
            left = None if left is None else left - 1
            yield wall


def _parted(rule: Rule) -> tuple[dict[str, list[Any]], Callable[[datetime], bool]]:
    """Return a rule for `dateutil` that finds something in each step, and what else a time has to fit."""
    plain = {name.upper(): value for name, value in rule.items() if name.upper() not in ("COUNT", "UNTIL")}
    steps = str(plain["FREQ"][0]).upper()
    if steps in _LONG_STEPS:
        return plain, lambda _: True
    months = {int(one) for one in plain.pop("BYMONTH", ())}
    month_days = {int(one) for one in plain.pop("BYMONTHDAY", ())}
    days = {_DAYS[str(one).upper()] for one in plain.pop("BYDAY", ())} if steps == "DAILY" else set()
    return (
        plain,
        lambda wall: (
            (not months or wall.month in months)
            and (not month_days or bool(month_days & _month_days(wall)))
            and (not days or wall.weekday() in days)
        ),
    )


def _month_days(wall: datetime) -> set[int]:
    """Return the number of a day in its month, from the beginning and from the end."""
    following = wall.replace(day=1, month=wall.month % 12 + 1, year=wall.year + wall.month // 12)
    length = (following - wall.replace(day=1)).days
    return {wall.day, wall.day - length - 1}
