"""The conditions of a bundle, evaluated by Google's implementation of CEL where it is installed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from bench.deciding.setting import LABELS, NOW, Setting

from loglease.policy import Bundle
from loglease.policy.conditions import Condition
from loglease.policy.roots import values_of


class Cel:
    """Conditions compiled there, and what they read of the decision that is being made."""

    def __init__(self, cel: Any, bundle: Bundle) -> None:
        texts = cel.Type.List(cel.Type.STRING)
        variables = {"req.live": cel.Type.BOOL, "req.lookback": cel.Type.DURATION, "req.duration": cel.Type.DURATION}
        self._env = cel.NewEnv(variables=variables | {f"req.labels.{name}": texts for name in LABELS})
        written = {one.text for one in _conditions(bundle)}
        self._programs = {text: self._env.compile(text) for text in written}
        self._roots: Mapping[str, Any] | None = None
        self._read: Any = None

    @classmethod
    def of(cls, bundle: Bundle) -> Cel | None:
        """Return it, or None where it is not installed."""
        try:
            return cls(import_module("cel_expr_python.cel"), bundle)
        except ImportError:
            return None

    def holds(self, text: str, roots: Mapping[str, Any]) -> bool:
        """Evaluate a condition; what it reads is handed over once for each decision."""
        if roots is not self._roots:
            self._roots, self._read = roots, self._env.Activation(_data(roots["req"]))
        return self._programs[text].eval(self._read).plain_value() is True

    def each(self, setting: Setting) -> int:
        """Evaluate all conditions of every policy for one wish."""
        wish = setting.wishes[0]
        roots = values_of(wish, setting.asks, catalog=setting.bundle.catalog, open_now={}, submitted_at=NOW)
        return sum(self.holds(one.text, roots) for one in _conditions(setting.bundle))

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


def _conditions(bundle: Bundle) -> list[Condition]:
    found = [
        condition for one in bundle.policies for condition in (one.when, *(route.condition for route in one.routes))
    ]
    return [one for one in found if one is not None]


def _data(request: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {f"req.labels.{name}": list(values) for name, values in request["labels"].items()}
    data["req.live"] = request["live"]
    return data | {f"req.{name}": dt.timedelta(microseconds=request[name]) for name in ("lookback", "duration")}
