"""A library: the packs and profiles that come with the program, and those of an operator, checked as one set.

Pure: files come as bytes by name. One mistake refuses them all, so that there is never half a set in force.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loglease.redaction.builtin import ALIASES
from loglease.redaction.builtin import packs as builtin_packs
from loglease.redaction.builtin import profiles as builtin_profiles
from loglease.redaction.documents import Document, DocumentInvalid, read_document, unreadable
from loglease.redaction.engine import Engine
from loglease.redaction.errors import Fault, ProfileInvalid, RulesInvalid, did_you_mean
from loglease.redaction.plan import digest_of, resolved
from loglease.redaction.plugins import NO_EXTENSIONS, Extensions
from loglease.redaction.profile import Profile, profile_of
from loglease.redaction.proof import engines_at_hand, labels_of, proof_of
from loglease.redaction.rule_documents import pack_of
from loglease.redaction.rules import Pack

MAX_FILES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Packs and profiles in force together.

    Attributes:
        packs: the built-in ones and those of the operator, in every version that there is.
        profiles: the same.
        own: pins of the operator's packs and profiles.
        files: pin of the pack or profile in each file.
        extensions: what the enabled plug-ins offer.
    """

    packs: tuple[Pack, ...]
    profiles: tuple[Profile, ...]
    own: frozenset[str] = frozenset()
    files: Mapping[str, str] = field(default_factory=dict, compare=False)
    extensions: Extensions = field(default=NO_EXTENSIONS, compare=False)

    def digests(self) -> dict[str, str]:
        """Return for each profile by name and version the SHA-256 over it and every rule that it puts in force."""
        return {one.pin: digest_of([one], resolved([one], self.packs, matchers=False)) for one in self.profiles}

    def own_digests(self) -> dict[str, str]:
        """Return the SHA-256 of each pack and profile of the operator: what a version means, for ever."""
        packs = {
            f"pack {one.pin}": hashlib.sha256("".join(sorted(rule.digest for rule in one.rules)).encode()).hexdigest()
            for one in self.packs
            if not one.trusted
        }
        builtin = {one.pin for one in builtin_profiles()}
        return packs | {f"profile {one.pin}": one.digest for one in self.profiles if one.pin not in builtin}


def builtin_library(extensions: Extensions = NO_EXTENSIONS) -> Library:
    """Return what comes with the program."""
    return Library(packs=builtin_packs(), profiles=builtin_profiles(), extensions=extensions)


@dataclass(slots=True)
class _Found:
    """What was read so far; documents by pin, for the places of later faults."""

    packs: list[Pack] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, kind: str, pin: str, where: str, error: DocumentInvalid) -> None:
        """Add a mistake in the document of a pack or profile."""
        self.faults.append(self.documents[kind, pin].fault(where, error))


def load_library(
    files: Mapping[str, bytes], *, extensions: Extensions = NO_EXTENSIONS, engines: Sequence[Engine] | None = None
) -> Library:
    """Read packs and profiles and prove them on every engine at hand, beside those that come with the program.

    Args:
        files: YAML by name; each is a pack or a profile.
        extensions: what enabled plug-ins offer.
        engines: to prove them on; by default all that work here. None at all leaves the proof to somebody else.

    Raises:
        RulesInvalid: with every mistake; nothing of the files is to be used.
    """
    found = _read(files, extensions)
    _require_new_names(found)
    _require_known_packs(found)
    if not found.faults:
        _prove(found, engines_at_hand() if engines is None else engines)
    if found.faults:
        raise RulesInvalid(sorted(found.faults))
    return Library(
        packs=(*builtin_packs(), *found.packs),
        profiles=tuple(sorted((*builtin_profiles(), *found.profiles), key=lambda one: (one.name, one.version))),
        own=frozenset(pin for _, pin in found.documents),
        files={document.file: pin for (_, pin), document in found.documents.items()},
        extensions=extensions,
    )


def _read(files: Mapping[str, bytes], extensions: Extensions) -> _Found:
    found = _Found()
    if len(files) > MAX_FILES:
        found.faults.append(Fault("", 1, 1, "rules", f"there are more than {MAX_FILES:,} files"))
        return found
    for file, data in sorted(files.items()):
        try:
            document = read_document(data, file)
        except DocumentInvalid as error:
            found.faults.append(unreadable(error, data, file, "rules"))
            continue
        try:
            if "profile" in document.fields:
                _take(found, "profile", profile_of(document, hashlib.sha256(data).hexdigest()), document)
            elif "pack" in document.fields:
                _take(found, "pack", pack_of(document, extensions=extensions), document)
            else:
                neither = DocumentInvalid("it is neither a pack nor a profile", remedy="begin with pack: or profile:")
                found.faults.append(document.fault("rules", neither))
        except (RulesInvalid, ProfileInvalid) as invalid:
            found.faults.extend(invalid.faults)
    return found


def _take(found: _Found, kind: str, one: Pack | Profile, document: Document) -> None:
    pin, name = one.pin, one.name
    known = found.documents.setdefault((kind, pin), document)
    if known is not document:
        error = DocumentInvalid(f"{pin} stands in {known.file} too", "version", remedy="give it a new version")
        found.faults.append(document.fault(name, error))
    elif isinstance(one, Pack):
        found.packs.append(one)
    else:
        found.profiles.append(one)


def _require_new_names(found: _Found) -> None:
    ours = {("pack", one.name) for one in builtin_packs()} | {("profile", one.name) for one in builtin_profiles()}
    ours |= {("profile", alias) for alias in ALIASES}
    own = [*(("pack", one.name, one.pin) for one in found.packs)]
    own += [("profile", one.name, one.pin) for one in found.profiles]
    for kind, name, pin in own:
        if (kind, name) in ours:
            error = DocumentInvalid(f"the {kind} {name} comes with the program", kind, remedy="choose another name")
            found.fault(kind, pin, name, error)


def _require_known_packs(found: _Found) -> None:
    packs = {pack.pin: pack for pack in (*builtin_packs(), *found.packs)}
    # A pack that could not be read is no reason to refuse the profiles that name it, too.
    broken = bool(found.faults)
    for profile in found.profiles:
        for number, pin in enumerate(profile.packs):
            name = pin.partition("@")[0]
            if pin not in packs and not broken:
                error = DocumentInvalid(f"there is no pack {pin}", "packs", number, remedy=did_you_mean(pin, packs))
                found.fault("profile", profile.pin, profile.name, error)
            elif any(other.partition("@")[0] == name for other in profile.packs[:number]):
                error = DocumentInvalid(f"the pack {name} stands twice", "packs", number, remedy="keep one version")
                found.fault("profile", profile.pin, profile.name, error)
        rules = {rule.id for pin in profile.packs if pin in packs for rule in packs[pin].rules}
        for identity in sorted(profile.disabled - rules) if not broken else ():
            error = DocumentInvalid(
                f"there is no rule {identity} to disable", "rules", "disable", remedy=did_you_mean(identity, rules)
            )
            found.fault("profile", profile.pin, profile.name, error)


def _prove(found: _Found, engines: Sequence[Engine]) -> None:
    labels = labels_of([*builtin_packs(), *found.packs])
    for pack in found.packs:
        numbers = {rule.id: number for number, rule in enumerate(pack.rules)}
        seen: set[tuple[str, str]] = set()
        for broken in proof_of(pack, engines, labels):
            if (broken.rule.id, broken.detail) in seen:
                continue
            seen.add((broken.rule.id, broken.detail))
            number = numbers[broken.rule.id]
            error = DocumentInvalid(
                broken.detail, "rules", number, *broken.path, remedy=broken.remedy, offset=broken.offset
            )
            found.fault("pack", pack.pin, broken.rule.id, error)
