"""Live grants held against other documents: which of them could not be issued any more, or with less.

The grants are what `loglease grants --live --output json` prints, or one of its items a line.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loglease.model.access_request import Wish
from loglease.model.ack import Ack, strongest
from loglease.model.errors import LogLeaseError, Malformed
from loglease.model.ids import PersonId, PrincipalId, SubjectId
from loglease.model.instant import EventWindow, Instant, duration_text, parse_instant
from loglease.model.key_scope import KeyScope, narrowest
from loglease.model.limits import Limits
from loglease.model.principal import Directory, Kind, Principal, directory_of
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector
from loglease.policy.bundle import Bundle
from loglease.policy.cases import catalog_profiles
from loglease.policy.decision import Point, decide
from loglease.policy.documents import AccessPolicy, Guardrail
from loglease.policy.trace import Decision, StepName

_HOW: Final = "Make it with: loglease grants --live --all --output json"
_LIVE: Final = frozenset({"scheduled", "active", "suspended"})
_ASKED: Final = (StepName.GUARDRAIL, StepName.WHO, StepName.SCOPE, StepName.PROFILE, StepName.EXCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGrant:
    """A grant that has not ended, as far as documents decide on it.

    Attributes:
        holder: as of now; without groups where no directory says more.
        scopes: each with the name of its profile.
        submitted_at: from where lookbacks count.
    """

    id: str
    holder: Principal
    policy: str
    scopes: tuple[Scope, ...]
    duration_s: int
    limits: Limits
    submitted_at: Instant
    network_bound: bool
    pseudonyms: KeyScope
    ack: Ack


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """A live grant that other documents would not give, or give with less.

    Attributes:
        refused: it could not be issued at all.
        why: in words.
    """

    grant: str
    holder: str
    policy: str
    refused: bool
    why: str

    def as_json(self) -> dict[str, str | bool]:
        """Return it for programs."""
        return {
            "grant": self.grant,
            "holder": self.holder,
            "policy": self.policy,
            "refused": self.refused,
            "why": self.why,
        }


def read_live(content: bytes) -> tuple[LiveGrant, ...]:
    """Read live grants; those that have ended, and reveals, which read no lines, are left out.

    Raises:
        Malformed: it is not such a file; the error says where.
    """
    found = []
    for number, item in enumerate(_items(content)):
        where = f"Grant {number + 1}"
        if not isinstance(item, dict):
            raise Malformed(f"{where} is no object.", next_step=_HOW)
        if item.get("state") in _LIVE and item.get("reveal") is None:
            try:
                found.append(_grant(item))
            except (KeyError, TypeError, ValueError, AttributeError, LogLeaseError) as error:
                raise Malformed(f"{where} does not have the form of a grant: {error}.", next_step=_HOW) from error
    return tuple(found)


def _items(content: bytes) -> Sequence[Any]:
    """Read one list of items, or one item a line."""
    try:
        body = json.loads(content)
        return body["items"] if isinstance(body, dict) and isinstance(body.get("items"), list) else [body]
    except (ValueError, RecursionError):
        pass
    try:
        return [json.loads(line) for line in content.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise Malformed("The grants are not JSON.", next_step=_HOW) from error


def _grant(item: Mapping[str, Any]) -> LiveGrant:
    holder = item["holder"]
    limits = {name: int(value) for name, value in item["limits"].items() if value is not None}
    return LiveGrant(
        id=str(item["id"]),
        holder=Principal(
            id=PrincipalId(holder["id"]),
            issuer="",
            account=str(holder["account"]),
            kind=Kind(holder["kind"]),
            person=PersonId(holder["id"]),
            subject=SubjectId(holder["id"]),
            name=str(holder["account"]),
        ),
        policy=str(item["policy"]),
        scopes=tuple(map(_scope, item["scopes"])),
        duration_s=int(item["duration_s"]),
        limits=Limits(**limits),
        submitted_at=parse_instant(item["submitted_at"]),
        network_bound=bool(item.get("network_bound")),
        pseudonyms=KeyScope(item.get("pseudonyms", KeyScope.GRANT)),
        ack=Ack(item.get("audit", Ack.DURABLE)),
    )


def _scope(item: Mapping[str, Any]) -> Scope:
    window, level, profile = item["window"], item.get("level_from"), item.get("profile")
    end = window.get("to_ns")
    return Scope(
        source=str(item["source"]),
        selector=parse_selector(item["selector"]),
        window=EventWindow(int(window["from_ns"]), None if end is None else int(end)),
        level_from=None if level is None else Level(level),
        contains=tuple(item.get("contains") or ()),
        # The version is the server's business: what counts is which profile the policy gives.
        profile=None if profile is None else str(profile).partition("@")[0],
    )


def affected(bundle: Bundle, grants: Sequence[LiveGrant], directory: Directory | None = None) -> tuple[Affected, ...]:
    """Return the grants that a bundle would not give any more, or with less.

    What a new session of a grant is asked is asked: guardrails, for whom the policy is, scope, profile, limits. Reviews
    that were given, conditions of the policy and its routes, reason and ticket are left aside.

    Args:
        bundle: the documents that would be in force.
        grants: those that live.
        directory: who is in which group; without it nobody is taken to have left a policy's `who`.
    """
    found = []
    for grant in grants:
        why, refused = _fate(bundle, grant, directory)
        if why:
            found.append(
                Affected(grant=grant.id, holder=grant.holder.account, policy=grant.policy, refused=refused, why=why)
            )
    return tuple(found)


def _fate(bundle: Bundle, grant: LiveGrant, directory: Directory | None) -> tuple[str, bool]:
    """Say what speaks against a grant, or is less; and whether it could not be issued."""
    policy = next((one for one in bundle.policies if one.id == grant.policy), None)
    if policy is None:
        return "the policy is gone", True
    holder = grant.holder if directory is None else directory.principal(grant.holder.id)
    if holder is None:
        return "the directory does not know the holder", True
    found = _decision(bundle, grant, holder, directory)
    (trace,) = found.answers([policy])
    asked = [name for name in _ASKED if name is not StepName.WHO or directory is not None]
    failed = [step.text for step in trace.steps if not step.ok and step.name in asked]
    if failed:
        return "; ".join(dict.fromkeys(failed)), True
    rails = [one.guardrail for one in found.guardrails if one.applies and one.guardrail.enforced]
    profile = next(step.text.partition("@")[0] for step in trace.steps if step.name is StepName.PROFILE)
    parts = (_shorter(policy, rails, grant), _masked(profile, grant), _fewer(policy, rails, grant))
    more = (_bound(policy, rails, grant), _linkable(policy, rails, grant), _recorded(policy, rails, grant))
    return "; ".join(itertools.chain(*parts, *more)), False


def _decision(bundle: Bundle, grant: LiveGrant, holder: Principal, directory: Directory | None) -> Decision:
    wish = Wish(scopes=grant.scopes, reason="", ticket=None, duration_s=grant.duration_s, limits=grant.limits)
    return decide(
        bundle,
        wish,
        holder,
        directory=directory or directory_of([holder]),
        now=grant.submitted_at,
        profiles=catalog_profiles(bundle),
        submitted_at=grant.submitted_at,
        point=Point.SESSION_OPEN,
    )


def _shorter(policy: AccessPolicy, rails: Sequence[Guardrail], grant: LiveGrant) -> Iterator[str]:
    caps = [one.caps.duration_s for one in rails if one.caps.duration_s is not None]
    most = min([policy.grant.max_s, *caps])
    if most < grant.duration_s:
        yield f"duration {duration_text(grant.duration_s)} -> {duration_text(most)}"


def _masked(profile: str, grant: LiveGrant) -> Iterator[str]:
    given = grant.scopes[0].profile if grant.scopes else None
    if given is not None and given != profile:
        yield f"redaction {given} -> {profile}"


def _bound(policy: AccessPolicy, rails: Sequence[Guardrail], grant: LiveGrant) -> Iterator[str]:
    demanded = policy.grant.network_bound or any(rail.network_bound for rail in rails)
    if demanded and not grant.network_bound:
        yield "bound to the network that it was asked for from"


def _linkable(policy: AccessPolicy, rails: Sequence[Guardrail], grant: LiveGrant) -> Iterator[str]:
    most = narrowest((policy.grant.pseudonyms, *(rail.pseudonyms for rail in rails)))
    if most.reach < grant.pseudonyms.reach:
        yield f"pseudonyms {grant.pseudonyms} -> {most}"


def _recorded(policy: AccessPolicy, rails: Sequence[Guardrail], grant: LiveGrant) -> Iterator[str]:
    demanded = strongest((policy.grant.ack, *(rail.ack for rail in rails)))
    if demanded.strength > grant.ack.strength:
        yield f"nothing served before its record is {demanded}"


def _fewer(policy: AccessPolicy, rails: Sequence[Guardrail], grant: LiveGrant) -> Iterator[str]:
    limits = policy.grant.limits
    for rail in rails:
        limits = limits.tightest(rail.caps.limits)
    given = grant.limits.named()
    for name, most in limits.named().items():
        if most < given.get(name, most + 1):
            yield f"{name} {given.get(name, 'none')} -> {most}"
