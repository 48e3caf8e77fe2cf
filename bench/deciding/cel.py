"""The conditions of a bundle, evaluated by Google's implementation of CEL where it is installed.

Twice: in our pipeline, in place of our own evaluation; and without an index, where each policy is one condition of who
may ask, for which source, labels and times, and what it demands. What does not depend on the condition is made ready
before, and what conditions read is handed over once for each decision.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from bench.deciding.setting import LABELS, Setting

from loglease.model.access_request import Wish
from loglease.policy import Bundle
from loglease.policy.conditions import Condition
from loglease.policy.documents import AccessPolicy

_SPANS = ("req.lookback", "req.duration", "ctx.mfa_age")
_OPTIONAL = ("incident", "ticket")


class Cel:
    """Conditions compiled there, and what they read of the decision that is being made."""

    def __init__(self, cel: Any, bundle: Bundle) -> None:
        kinds, texts = cel.Type, cel.Type.List(cel.Type.STRING)
        variables = {"req.live": kinds.BOOL, "ctx.on_call": kinds.BOOL, "ctx.net": kinds.STRING, "ctx.pages": texts}
        variables |= {"ctx.load": kinds.INT, "ctx.quota": kinds.INT, "ctx": kinds.Map(kinds.STRING, kinds.DYN)}
        variables |= dict.fromkeys(_SPANS, kinds.DURATION) | {"who.groups": texts, "req.sources": texts}
        self._env = cel.NewEnv(variables=variables | {f"req.labels.{name}": texts for name in LABELS})
        self._programs = {text: self._env.compile(text) for text in {one.text for one in _conditions(bundle)}}
        self._policies = [self._env.compile(whole(one)) for one in bundle.policies]
        self._roots: Mapping[str, Any] | None = None
        self._read: Any = None

    @classmethod
    def of(cls, setting: Setting) -> Cel | None:
        """Return it, or None where it is not installed.

        Raises:
            ValueError: it permits what we do not, or does not permit what we do.
        """
        try:
            found = cls(import_module("cel_expr_python.cel"), setting.bundle)
        except ImportError:
            return None
        inside = found.within(setting)
        for wish in setting.wishes:
            ours = {one.policy for one in setting.decided(wish).offers}
            if not ours == {one.policy for one in inside.decided(wish).offers} == found.each(setting, wish):
                raise ValueError("CEL and a decision differ")
        return found

    def holds(self, text: str, roots: Mapping[str, Any]) -> bool:
        """Evaluate a condition; what it reads is handed over once for each decision."""
        if roots is not self._roots:
            self._roots, self._read = roots, self._env.Activation(_data(roots))
        return self._programs[text].eval(self._read).plain_value() is True

    def each(self, setting: Setting, wish: Wish) -> set[str]:
        """Try every policy; return those that hold. No offers are made of them."""
        read = self._env.Activation(_data(setting.read(wish)))
        tried = zip(setting.bundle.policies, self._policies, strict=True)
        return {policy.id for policy, program in tried if program.eval(read).plain_value() is True}

    def within(self, setting: Setting) -> Setting:
        """Return the same setting with all conditions evaluated there."""

        def moved(condition: Condition | None) -> Condition | None:
            if condition is None:
                return None
            return replace(condition, run=lambda roots, _item: self.holds(condition.text, roots))

        policies = tuple(
            replace(
                one,
                when=moved(one.when),
                routes=tuple(replace(route, condition=moved(route.condition)) for route in one.routes),
            )
            for one in setting.bundle.policies
        )
        return replace(setting, bundle=replace(setting.bundle, policies=policies))


def whole(policy: AccessPolicy) -> str:
    """Return a policy as one condition; what most policies fail by comes first."""
    (rule,) = policy.scopes
    groups = (name.partition(":")[2] for name in policy.who.any_of)
    labels = (
        f"req.labels.{key}.all(x, x in [{', '.join(map(_quoted, sorted(matcher.exact)))}])"
        for key, matcher in rule.selector.matchers
    )
    parts = [
        " || ".join(f"{_quoted(group)} in who.groups" for group in groups),
        f"req.sources.all(x, x in [{', '.join(map(_quoted, rule.sources))}])",
        *labels,
        f'!req.live && req.lookback <= duration("{rule.lookback_s}s")',
        "true" if policy.when is None else policy.when.text,
    ]
    return " && ".join(f"({part})" for part in parts)


def _quoted(text: str) -> str:
    return f'"{text}"'


def _conditions(bundle: Bundle) -> list[Condition]:
    found = [
        condition for one in bundle.policies for condition in (one.when, *(route.condition for route in one.routes))
    ]
    return [one for one in found if one is not None]


def _data(roots: Mapping[str, Any]) -> dict[str, Any]:
    request, ctx = roots["req"], roots["ctx"]
    data: dict[str, Any] = {f"req.labels.{name}": list(values) for name, values in request["labels"].items()}
    data |= {"who.groups": list(roots["who"]["groups"]), "req.sources": list(request["sources"])}
    data |= {"req.live": request["live"], "ctx": {name: ctx[name] for name in _OPTIONAL}}
    data |= {f"ctx.{name}": value for name, value in ctx.items() if name not in _OPTIONAL}
    data["ctx.pages"] = list(ctx["pages"])
    microseconds = (request["lookback"], request["duration"], ctx["mfa_age"])
    return data | {name: dt.timedelta(microseconds=value) for name, value in zip(_SPANS, microseconds, strict=True)}
