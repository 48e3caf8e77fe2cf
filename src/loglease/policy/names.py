"""The names that a bundle may use, and where it uses one that it may not."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from loglease.model.labels import Selector
from loglease.model.offer import ON_CALL
from loglease.model.principal import EVERYBODY
from loglease.policy.conditions import Text, Type
from loglease.policy.conditions.types import name_of
from loglease.policy.documents import Catalog, FactRule
from loglease.policy.problems import At, Problems, did_you_mean, shown
from loglease.policy.profiles import RAW, Profiles, below

_PRINCIPALS: Final = ("group", "user", "agent", "service")
_APPROVERS: Final = ("group", "user", "approvers", "oncall", "relation")
_RECIPIENTS: Final = ("channel", "group", "user", "approvers")
_LATER: Final = {
    "relation:target-owner": "owners of targets come with raising debug levels, in a later version",
}
_RELATIONS: Final = ("relation:manager", "relation:target-owner")
_ACCOUNT = re.compile(r"[^\s:][^\x00-\x1f\x7f]{0,254}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a server knows and a bundle may not contradict.

    Attributes:
        profiles: the redaction profiles of the server; None leaves the Catalog's word for them.
        trusted_labels: by source, the labels that it sets itself; a source not listed is not looked at.
        presence: the facts that a call itself has, by who says so and by name; None leaves the bundle's word for them.
        providers: the configured providers of facts; None believes every name.
        witnessed: whether witnesses cosign heads of its audit log; where nobody says so, a bundle is believed.
    """

    profiles: Profiles | None = None
    trusted_labels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    presence: Mapping[str, Mapping[str, Type]] | None = None
    providers: frozenset[str] | None = None
    witnessed: bool = True


class Names:
    """Checks each name against the Catalog and the approver sets of the bundle."""

    def __init__(self, problems: Problems, catalog: Catalog, approver_sets: Collection[str], outside: Outside) -> None:
        self._problems = problems
        self._catalog = catalog
        self._sets = approver_sets
        self._outside = outside

    def witnesses(self, at: At) -> None:
        """Check that there are witnesses: nothing would ever be acknowledged without."""
        if not self._outside.witnessed:
            self._problems.add(
                at, "P332", "this server has no witnesses, so nothing would ever be served",
                "name them in the setting audit.witness_policy, or write audit: published",
            )  # fmt: skip

    def principal(self, name: str, at: At) -> bool:
        """Check a name such as `group:sre`."""
        return self._prefixed(name, at, _PRINCIPALS)

    def approver(self, name: str, at: At) -> bool:
        """Check a name such as `approvers:payments`; agents and services never approve."""
        prefix = name.partition(":")[0]
        if prefix in ("agent", "service"):
            self._problems.add(at, "P310", f"{shown(name)} cannot approve", "only people review: name a group or user")
            return False
        later = _LATER.get(name)
        if later is not None:
            self._problems.add(at, "P906", f"{shown(name)} is not supported yet: {later}", "name a group")
            return False
        if prefix == "relation":
            return self._one_of(name.partition(":")[2], at, "relation", [one.partition(":")[2] for one in _RELATIONS])
        return self._prefixed(name, at, _APPROVERS)

    def _prefixed(self, name: str, at: At, prefixes: Collection[str]) -> bool:
        prefix, colon, rest = name.partition(":")
        if not colon or prefix not in prefixes:
            forms = ", ".join(f"{one}:" for one in prefixes)
            self._problems.add(at, "P303", f"{shown(name)} has no known prefix", f"begin with one of {forms}")
            return False
        if prefix == "group":
            return rest == EVERYBODY or self._one_of(rest, at, "group", self._catalog.groups)
        if prefix == "approvers":
            return self._one_of(rest, at, "ApproverSet", self._sets)
        if prefix == ON_CALL:
            return self._one_of(rest, at, "rota", self._catalog.rotas)
        if not _ACCOUNT.fullmatch(rest):
            self._problems.add(at, "P114", f"{shown(name)} names no account", f"write {prefix}: and the account")
            return False
        return True

    def source(self, name: str, at: At) -> bool:
        """Check the name of a source."""
        return self._one_of(name, at, "source", self._catalog.sources)

    def recipient(self, name: str, at: At) -> bool:
        """Check a name such as `channel:security` or `group:sre-leads` of somebody who is told."""
        prefix, _, rest = name.partition(":")
        if prefix == "channel":
            return self._one_of(rest, at, "channel", self._catalog.channels)
        return self._prefixed(name, at, _RECIPIENTS)

    def tracker(self, name: str, at: At) -> bool:
        """Check the name of a ticket tracker."""
        return self._one_of(name, at, "tracker", self._catalog.trackers)

    def fact(self, rule: FactRule) -> None:
        """Check that the server can give a fact: one of the call as it is, any other from a provider that it has."""
        outside = self._outside
        given = (outside.presence or {}).get(rule.provider)
        if given is not None:
            self._present(rule, given)
        elif outside.providers is not None and rule.provider not in outside.providers:
            self._problems.add(
                rule.at, "P331", f"this server has no provider {shown(rule.provider)}",
                did_you_mean(rule.provider, {*outside.providers, *(outside.presence or ())}),
            )  # fmt: skip

    def _present(self, rule: FactRule, given: Mapping[str, Type]) -> None:
        kind = given.get(rule.name)
        if kind is None:
            self._problems.add(
                rule.at, "P330", f"{shown(rule.provider)} does not know {shown(rule.name)}",
                did_you_mean(rule.name, given),
            )  # fmt: skip
        elif not _fits(rule.type, kind):
            self._problems.add(rule.at, "P330", f"{shown(rule.name)} is of another type here", f"it is {name_of(kind)}")

    def _one_of(self, name: str, at: At, what: str, known: Collection[str]) -> bool:
        if name in known:
            return True
        where = {"ApproverSet": "is no document of this bundle", "relation": "does not exist"}.get(what)
        where = where or "is not in the Catalog"
        self._problems.add(at, "P302", f"{what} {shown(name)} {where}", did_you_mean(name, known))
        return False

    def label(self, key: str, at: At) -> bool:
        """Check that a label is declared."""
        if key in self._catalog.labels:
            return True
        self._problems.add(
            at, "P304", f"label {shown(key)} is not in the Catalog", did_you_mean(key, self._catalog.labels)
        )
        return False

    def label_value(self, key: str, value: str, at: At) -> None:
        """Check a value of a label whose values are listed."""
        allowed = self._catalog.labels.get(key)
        if allowed is not None and value not in allowed:
            self._problems.add(
                at, "P305", f"{shown(value)} is no declared value of {key}", did_you_mean(value, allowed)
            )

    def trusted(self, source: str, selector: Selector, at: At) -> None:
        """Check that a source itself sets the labels that are relied on: a label out of a line proves nothing."""
        trusted = self._outside.trusted_labels.get(source)
        for key in sorted(selector.keys) if trusted is not None else ():
            if key not in (trusted or ()):
                self._problems.add(
                    at, "P317", f"source '{source}' does not vouch for label '{key}'",
                    did_you_mean(key, trusted or ()),
                )  # fmt: skip

    def profile(self, text: str, at: At) -> bool:
        """Check a redaction profile, `name` or `name@version`."""
        name, marked, version = text.partition("@")
        known = {RAW, *self._catalog.redaction, *(self._outside.profiles or {})}
        if name not in known:
            self._problems.add(
                at, "P302", f"redaction profile {shown(name)} is not in the Catalog", did_you_mean(name, known)
            )
            return False
        present = (self._outside.profiles or {}).get(name)
        if marked and (not version or (present is not None and present.version != version)):
            have = f"this server has {present.pinned}" if present is not None else "write name@version"
            self._problems.add(at, "P318", f"redaction profile {shown(text)} is not to be had", have)
            return False
        return True

    def strictness(self, name: str, looser: Collection[str], at: At) -> None:
        """Check what the Catalog says of a profile against what the server can prove."""
        profiles = self._outside.profiles
        if profiles is None:
            return
        if name not in profiles:
            self._problems.add(at, "P302", f"this server has no profile {shown(name)}", did_you_mean(name, profiles))
            return
        for other in sorted(set(looser) - below(name, profiles) - {RAW}):
            self._problems.add(
                at, "P311", f"'{name}' is not proved to be stricter than {shown(other)}", "remove it from the list"
            )


def _fits(declared: Type, given: Type) -> bool:
    """Say whether a fact may be declared so: words as they are, or as any text."""
    if isinstance(declared, Text) and isinstance(given, Text):
        return declared.words in (None, given.words)
    return declared == given
