"""The policies of the benchmark in Cedar, asked of its implementation where `cedarpy` is installed.

Cedar says which policies permit. It knows nothing of approvals, durations or profiles, so what it does is less than a
decision: who, sources, labels, lookback and conditions.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from bench.deciding.setting import GROUPS, MINE, SOURCES, Setting, numbered

from loglease.model.access_request import Wish

_POLICY = """\
@id("policy-{number}")
permit (principal in Group::"group-{group}", action == Action::"read", resource == Source::"source-{source}")
when {{
  ["prod"].containsAll(context.env) && ["internal", "pii"].containsAll(context.data_class)
  && !context.live && context.lookback <= 86400 && {when}
}};
"""
_WHENS = (
    (
        "!context.live && context.lookback <= 86400 && context.duration <= MINUTES * 60"
        ' && context.mfa_age <= 900 && !context.data_class.contains("restricted")'
    ),
    (
        '["a", "b"].containsAll(context.tier) && context.load < PERCENT && ["corp", "vpn"].contains(context.net)'
        " && context.duration <= MINUTES * 60"
    ),
    (
        'context has incident && ["SEV1", "SEV2"].contains(context.incident.severity) && context.on_call'
        " && context.mfa_age <= MINUTES * 60"
    ),
    (
        'context has ticket && context.ticket.state != "closed" && context.quota < MINUTES && !context.live'
        " && context.pages < 10"
    ),
    (
        '(context.on_call || context.net == "corp") && context.mfa_age <= MINUTES * 60'
        ' && context.lookback <= 86400 && !context.data_class.contains("restricted")'
    ),
)
"""What `setting.WHENS` demand, in the same order; Cedar counts no items, so it is told how many pages there are."""


class Cedar:
    """The policies of one setting in sets: all of them, and for each wish those that our index finds."""

    def __init__(self, cedar: Any, setting: Setting) -> None:
        self._cedar = cedar
        self._setting = setting
        written = {
            f"policy-{number}": _POLICY.format(
                number=number,
                group=number % GROUPS,
                source=number * 7 % SOURCES,
                when=numbered(_WHENS[number // GROUPS % len(_WHENS)], number),
            )
            for number in range(len(setting.bundle.policies))
        }
        self._all = cedar.PolicySet.from_str("".join(written.values()))
        self._near = [cedar.PolicySet.from_str("".join(written[one] for one in near(setting, wish)))
                      for wish in setting.wishes]  # fmt: skip
        groups = [{"type": "Group", "id": f"group-{number}"} for number in range(MINE)]
        known: list[dict[str, Any]] = [{"uid": {"type": "User", "id": "asks"}, "attrs": {}, "parents": groups}]
        known += [{"uid": one, "attrs": {}, "parents": []} for one in groups]
        self._entities = cedar.Entities.from_json_str(json.dumps(known))

    @classmethod
    def of(cls, setting: Setting) -> Cedar | None:
        """Return it, or None where it is not installed.

        Raises:
            ValueError: it permits what we do not, or does not permit what we do.
        """
        try:
            found = cls(import_module("cedarpy"), setting)
        except ImportError:
            return None
        for number, wish in enumerate(setting.wishes):
            ours = frozenset(offer.policy for offer in setting.decided(wish).offers)
            if not ours == found.near(number) == found.all(number):
                raise ValueError(f"Cedar and a decision differ over wish {number}")
        return found

    def near(self, number: int) -> frozenset[str]:
        """Return which of the candidates permit a wish."""
        return self._permitting(self._near[number], self._setting.wishes[number])

    def all(self, number: int) -> frozenset[str]:
        """Return which of all policies permit a wish."""
        return self._permitting(self._all, self._setting.wishes[number])

    def _permitting(self, policies: Any, wish: Wish) -> frozenset[str]:
        setting = self._setting
        roots = setting.read(wish)
        read: Any = roots["req"]
        known: Any = roots["ctx"]
        context: dict[str, Any] = {name: list(read["labels"][name]) for name in ("env", "data_class", "tier")}
        context |= {"live": read["live"], **{name: read[name] // 1_000_000 for name in ("lookback", "duration")}}
        context |= {**known, "mfa_age": known["mfa_age"] // 1_000_000, "pages": len(known["pages"])}
        request = {
            "principal": {"type": "User", "id": "asks"},
            "action": {"type": "Action", "id": "read"},
            "resource": {"type": "Source", "id": wish.scopes[0].source},
            "context": context,
        }
        answer = self._cedar.is_authorized(request, policies, self._entities)
        return frozenset(answer.diagnostics.id_annotations_by_reason.values())


def near(setting: Setting, wish: Wish) -> list[str]:
    """Return the policies that the index of a bundle finds for a wish."""
    found = setting.bundle.index.candidates(setting.asks, {scope.source for scope in wish.scopes})
    return [policy.id for policy in found]
