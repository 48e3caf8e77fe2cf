"""Profiles: which packs run and what happens to each class of find. Pinned by name, version and digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from loglease.redaction.documents import DocumentInvalid, mapping_of, strings_of
from loglease.redaction.errors import ProfileInvalid
from loglease.redaction.tokens import PARTS

TreatmentKind = Literal["keep", "partial", "pseudonym", "mask"]
# From the weakest to the strictest.
STRENGTH: Final[Mapping[str, int]] = {"keep": 0, "partial": 1, "pseudonym": 2, "mask": 3}
MODES: Final = ("scan", "fields", "allow")


@dataclass(frozen=True, slots=True)
class Treatment:
    """What happens to a find; `part` says which part a partial treatment concedes."""

    kind: TreatmentKind
    part: str | None = None

    @property
    def strength(self) -> int:
        """Return its place in the order of strictness."""
        return STRENGTH[self.kind]


MASK: Final = Treatment("mask")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named, versioned set of treatments. `digest` is the SHA-256 of the document, in hexadecimal."""

    name: str
    version: int
    packs: tuple[str, ...]
    mode: str
    keep_colour: bool
    classes: tuple[tuple[str, Treatment], ...]
    disabled: frozenset[str]
    description: str
    digest: str

    @property
    def pin(self) -> str:
        """Return name and version, as a grant pins a profile."""
        return f"{self.name}@{self.version}"

    def treatment_of(self, cls: str) -> Treatment:
        """Return the treatment of a class: the longest named prefix decides; a class not named is masked."""
        found, longest = MASK, -1
        for prefix, treatment in self.classes:
            if (cls == prefix or cls.startswith(prefix + ".")) and len(prefix) > longest:
                found, longest = treatment, len(prefix)
        return found


_FIELDS: Final = {"profile", "version", "packs", "mode", "controls", "classes", "rules", "description"}


def parse_profile(data: bytes) -> Profile:
    """Read one profile.

    Args:
        data: YAML, at most 1 MiB.

    Raises:
        ProfileInvalid: says what is wrong; anything unknown refuses the profile.
    """
    try:
        fields = mapping_of(data, _FIELDS, {"profile", "version", "packs"})
        return _profile(fields, hashlib.sha256(data).hexdigest())
    except DocumentInvalid as fault:
        raise ProfileInvalid("redaction profile", str(fault)) from None


def _profile(fields: Mapping[str, Any], digest: str) -> Profile:
    name, version = fields["profile"], fields["version"]
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
        raise DocumentInvalid("its name is not a short word of lower-case letters, digits and '-'")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DocumentInvalid("its version is not a whole number from 1")
    mode, controls = fields.get("mode", "scan"), fields.get("controls", "neutralise")
    if mode not in MODES:
        raise DocumentInvalid("its mode is unknown")
    if mode != "scan":
        raise DocumentInvalid(f"the mode {mode} is not yet available; there is scan")
    if controls not in {"neutralise", "keep-colour"}:
        raise DocumentInvalid("`controls` is neither neutralise nor keep-colour")
    packs = strings_of(fields, "packs")
    if not all(re.fullmatch(r"[a-z][a-z0-9-]{0,39}@[1-9][0-9]{0,5}", pack) for pack in packs):
        raise DocumentInvalid("a pack is not named as name@version")
    rules = fields.get("rules", {})
    if not isinstance(rules, dict) or set(rules) - {"disable"}:
        raise DocumentInvalid("`rules` has more than `disable`")
    description = fields.get("description", "")
    if not isinstance(description, str):
        raise DocumentInvalid("`description` is not a text")
    return Profile(
        name=name,
        version=version,
        packs=packs,
        mode=mode,
        keep_colour=controls == "keep-colour",
        classes=_classes(fields.get("classes", {})),
        disabled=frozenset(strings_of(rules, "disable")),
        description=description,
        digest=digest,
    )


def _classes(found: Any) -> tuple[tuple[str, Treatment], ...]:
    if not isinstance(found, dict):
        raise DocumentInvalid("`classes` is not a mapping")
    classes = []
    for prefix, treatment in found.items():
        if not isinstance(prefix, str):
            raise DocumentInvalid("a class is not a text")
        classes.append((prefix, _treatment(prefix, treatment)))
    return tuple(classes)


def _treatment(prefix: str, found: Any) -> Treatment:
    if found in {"mask", "pseudonym", "keep"} if isinstance(found, str) else False:
        return Treatment(found)
    if isinstance(found, dict) and set(found) == {"partial"} and found["partial"] in PARTS:
        return Treatment("partial", found["partial"])
    raise DocumentInvalid(f"the treatment of {prefix} is unknown")


def strictest(treatments: Sequence[Treatment]) -> Treatment:
    """Return the strictest of several treatments; two different partial ones concede nothing."""
    best = max(treatments, key=lambda one: one.strength)
    parts = {one.part for one in treatments if one.strength == best.strength}
    return best if len(parts) == 1 else MASK
