"""Which redaction profile an offer has: the strictest that anybody demands, pinned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.scope import Scope
from loglease.policy.plan import Refusal
from loglease.policy.profiles import RAW, Profiles, is_as_strict, known_profile, strictest
from loglease.policy.trace import Fix, Step, StepName

Chosen = tuple[str | None, Step]
"""A profile as `name@version`, or None, and the answer that says so."""
_NAME: Final = StepName.PROFILE
UNCOUNTABLE: Final[Chosen] = (
    None,
    Step(_NAME, ok=False, text="data subjects are limited, and unmasked ones cannot be counted"),
)
"""The answer where `raw` was chosen and a limit of data subjects applies."""


def wanted_profiles(wish: Wish) -> tuple[str, ...]:
    """Return the profiles that the scopes of a wish ask for."""
    return tuple([scope.profile for scope in wish.scopes if scope.profile is not None])


def is_raw(profile: str) -> bool:
    """Say whether a profile, with or without a version, masks nothing."""
    return profile.partition("@")[0] == RAW


@dataclass(frozen=True, slots=True)
class Demands:
    """What one decision demands of profiles; each choice among the same is made once.

    Attributes:
        wanted: what the wish asks for.
        floors: what the guardrails that apply demand at least.
    """

    profiles: Profiles
    wanted: tuple[str, ...]
    floors: tuple[str, ...]
    _chosen: dict[tuple[str, str | None], Chosen] = field(init=False, default_factory=dict)
    _scopes: dict[str, tuple[Scope, ...]] = field(init=False, default_factory=dict)

    def chosen(self, own: str, on_route: str | None) -> Chosen:
        """Choose the strictest profile that a policy, its route, the wish or a guardrail demands."""
        found = self._chosen.get((own, on_route))
        if found is None:
            found = self._chosen[own, on_route] = self._choice(own, on_route)
        return found

    def scopes(self, wish: Wish, profile: str) -> tuple[Scope, ...]:
        """Return the scopes of a wish under a profile."""
        found = self._scopes.get(profile)
        if found is None:
            found = self._scopes[profile] = tuple(replace(scope, profile=profile) for scope in wish.scopes)
        return found

    def _choice(self, own: str, on_route: str | None) -> Chosen:
        profiles, wanted = self.profiles, self.wanted
        given = known_profile(own, profiles)
        unknown = [one for one in wanted if known_profile(one, profiles) is None]
        if unknown:
            names = ", ".join(sorted(profiles))
            refusal = Refusal(
                code="profile_unknown",
                message=f"There is no redaction profile {unknown[0][:64]!r}.",
                next_step=f"Choose one of: {names}.",
            )
            return None, Step(_NAME, ok=False, text="the profile asked for is not known", refusal=refusal)
        demanded = [own, on_route or own, *wanted, *self.floors]
        if given is None or any(known_profile(one, profiles) is None for one in demanded):
            return None, Step(_NAME, ok=False, text="the policy's profile is not known to this server")
        names_wanted = [one.partition("@")[0] for one in wanted]
        if given.name == RAW and RAW not in names_wanted:
            return None, Step(_NAME, ok=False, text="raw is offered only to those who ask for it")
        if any(not is_as_strict(one, given.name, profiles) for one in names_wanted):
            text = f"gives {given.name}, which masks more than was asked"
            return None, Step(_NAME, ok=False, text=text, fix=Fix.NARROW)
        chosen = strictest([one.partition("@")[0] for one in demanded], profiles)
        if chosen is None:
            return None, Step(_NAME, ok=False, text="no profile is as strict as all that are demanded")
        return profiles[chosen].pinned, Step(_NAME, ok=True, text=profiles[chosen].pinned)
