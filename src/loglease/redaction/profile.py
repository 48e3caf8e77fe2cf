"""Profiles: which packs run and what happens to each class of find. Pinned by name, version and digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from loglease.redaction.documents import (
    MAX_VERSION,
    Document,
    DocumentInvalid,
    number_of,
    read_document,
    strings_of,
    unreadable,
    word_of,
)
from loglease.redaction.errors import ProfileInvalid
from loglease.redaction.paths import PathInvalid, PathPattern, parse_path
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
    """A named, versioned set of treatments.

    Attributes:
        fields: treatments by path; none in mode ``scan``.
        allow: the paths of all values that may pass; none but in mode ``allow``.
        digest: SHA-256 of the document, in hexadecimal.
    """

    name: str
    version: int
    packs: tuple[str, ...]
    mode: str
    keep_colour: bool
    classes: tuple[tuple[str, Treatment], ...]
    fields: tuple[tuple[PathPattern, Treatment], ...] = ()
    allow: tuple[PathPattern, ...] = ()
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


_FIELDS: Final = {
    *("profile", "version", "packs", "mode", "controls", "classes", "fields", "allow", "rules", "description"),
}
_MAX_PATHS: Final = 1_000


def parse_profile(data: bytes, file: str = "profile.yaml") -> Profile:
    """Read one profile.

    Args:
        data: YAML, at most 1 MiB.
        file: its name, as faults show it.

    Raises:
        ProfileInvalid: says what is wrong; anything unknown refuses the profile.
    """
    return profile_of(document_in(data, file), hashlib.sha256(data).hexdigest())


def document_in(data: bytes, file: str) -> Document:
    """Read the document of a profile.

    Raises:
        ProfileInvalid: it is no YAML as we take it.
    """
    try:
        return read_document(data, file)
    except DocumentInvalid as error:
        raise ProfileInvalid(str(error), [unreadable(error, data, file, "redaction profile")]) from None


def profile_of(document: Document, digest: str) -> Profile:
    """Return the profile that a document describes.

    Raises:
        ProfileInvalid: says what is wrong and where.
    """
    try:
        return _profile(document.require(_FIELDS, {"profile", "version", "packs"}), digest)
    except DocumentInvalid as error:
        where = str(document.fields.get("profile", "redaction profile"))[:60]
        raise ProfileInvalid(str(error), [document.fault(where, error)]) from None


def _profile(fields: Mapping[str, Any], digest: str) -> Profile:
    name = fields["profile"]
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
        raise DocumentInvalid("its name is not a short word of lower-case letters, digits and '-'", "profile")
    version = number_of(fields, "version", None, 1, MAX_VERSION)
    mode = word_of(fields, "mode", "scan", MODES)
    controls = word_of(fields, "controls", "neutralise", ("neutralise", "keep-colour"))
    packs = strings_of(fields, "packs")
    if not all(re.fullmatch(r"[a-z][a-z0-9-]{0,39}@[1-9][0-9]{0,5}", pack) for pack in packs):
        raise DocumentInvalid("a pack is not named as name@version", "packs")
    rules = fields.get("rules", {})
    if not isinstance(rules, dict) or set(rules) - {"disable"}:
        raise DocumentInvalid("`rules` has more than `disable`", "rules")
    description = fields.get("description", "")
    if not isinstance(description, str):
        raise DocumentInvalid("`description` is not a text", "description")
    return Profile(
        name=name,
        version=version,
        packs=packs,
        mode=mode,
        keep_colour=controls == "keep-colour",
        classes=_classes(fields.get("classes", {})),
        fields=_fields(fields, mode),
        allow=_allow(fields, mode),
        disabled=frozenset(strings_of(rules, "disable")),
        description=description,
        digest=digest,
    )


def _classes(found: Any) -> tuple[tuple[str, Treatment], ...]:
    if not isinstance(found, dict):
        raise DocumentInvalid("`classes` is not a mapping", "classes")
    classes = []
    for prefix, treatment in found.items():
        classes.append((prefix, _treatment(prefix, treatment)))
    return tuple(classes)


def _fields(fields: Mapping[str, Any], mode: str) -> tuple[tuple[PathPattern, Treatment], ...]:
    found = fields.get("fields", {})
    if not isinstance(found, dict):
        raise DocumentInvalid("`fields` is not a mapping", "fields", remedy="write fields: {user.email: pseudonym}")
    if mode == "scan" and found:
        raise DocumentInvalid("the mode scan takes no `fields`", "fields", remedy="write mode: fields")
    if mode == "fields" and not found:
        raise DocumentInvalid("the mode fields needs `fields`", "mode", remedy="add fields: {user.email: pseudonym}")
    if len(found) > _MAX_PATHS:
        raise DocumentInvalid(f"`fields` has more than {_MAX_PATHS:,} paths", "fields")
    return tuple((_path(path, "fields", path), _treatment(path, one, "fields")) for path, one in found.items())


def _allow(fields: Mapping[str, Any], mode: str) -> tuple[PathPattern, ...]:
    found = strings_of(fields, "allow")
    if mode == "allow" and not found:
        raise DocumentInvalid("the mode allow needs `allow`", "mode", remedy="add allow: [level, msg]")
    if mode != "allow" and "allow" in fields:
        raise DocumentInvalid(f"the mode {mode} takes no `allow`", "allow", remedy="write mode: allow")
    if len(found) > _MAX_PATHS:
        raise DocumentInvalid(f"`allow` has more than {_MAX_PATHS:,} paths", "allow")
    return tuple(_path(path, "allow", number) for number, path in enumerate(found))


def _path(text: str, *place: str | int) -> PathPattern:
    try:
        return parse_path(text)
    except PathInvalid as error:
        remedy = "write a path such as user.email, headers.* or '**.password'"
        raise DocumentInvalid(f"the path {text!r:.80} is none: {error}", *place, remedy=remedy) from None


def _treatment(prefix: str, found: Any, name: str = "classes") -> Treatment:
    if found in {"mask", "pseudonym", "keep"} if isinstance(found, str) else False:
        return Treatment(found)
    if isinstance(found, dict) and set(found) == {"partial"} and found["partial"] in tuple(PARTS):
        return Treatment("partial", found["partial"])
    raise DocumentInvalid(
        f"the treatment of {prefix} is unknown", name, prefix,
        remedy=f"one of mask, pseudonym, keep, {{partial: {' | '.join(PARTS)}}}",
    )  # fmt: skip


def strictest(treatments: Sequence[Treatment]) -> Treatment:
    """Return the strictest of several treatments; two different partial ones concede nothing."""
    best = max(treatments, key=lambda one: one.strength)
    parts = {one.part for one in treatments if one.strength == best.strength}
    return best if len(parts) == 1 else MASK
