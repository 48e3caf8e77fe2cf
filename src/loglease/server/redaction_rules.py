"""Rule packs, profiles and plug-ins of this server: read at the start, and again when it is told to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from loglease.model.digest import sha256_hex
from loglease.model.errors import FieldFault, LogLeaseError
from loglease.redaction import Library, PluginInvalid, RulesInvalid, load_library, load_plugins
from loglease.server.settings import Settings, SettingsInvalid
from loglease.store.interface import Transaction

DIRECTORY: Final = "rules"
DIGESTS: Final = "redaction_digests"
"""Under this name the store keeps what each version of the operator's packs and profiles means."""


class RedactionRulesInvalid(LogLeaseError):
    """Rule packs or profiles have errors; `faults` names each with file, line and column."""

    code = "rules_invalid"


@dataclass(slots=True)
class LibraryHolder:
    """The packs and profiles in force; a new set replaces the value, and running sessions keep their redactors."""

    current: Library


def rules_directory(settings: Settings) -> Path | None:
    """Return where the operator's packs and profiles are; None where there are none."""
    if settings.redaction.rules_dir is not None:
        return settings.redaction.rules_dir
    own = settings.data_dir / DIRECTORY
    return own if own.is_dir() else None


def library_of(settings: Settings) -> Library:
    """Return the packs and profiles of this server, proved on every engine of this machine; takes a while.

    Raises:
        SettingsInvalid: a plug-in that the configuration enables cannot be used.
        RedactionRulesInvalid: the directory cannot be read, or a pack or profile has an error.
    """
    try:
        extensions = load_plugins(settings.plugins)
    except PluginInvalid as error:
        fault = FieldFault("plugins", error.code, f"{error}.")
        raise SettingsInvalid(
            f"The plug-in {error.name} cannot be used.", next_step="Install it, or remove its name.", faults=(fault,)
        ) from error
    directory = rules_directory(settings)
    try:
        return load_library(_files(directory), extensions=extensions)
    except RulesInvalid as error:
        raise RedactionRulesInvalid(
            f"The rules in {directory} have {len(error.faults)} error{'s' * (len(error.faults) != 1)}.",
            next_step=f"Correct them, then check: loglease rules check {directory}",
            faults=tuple(
                FieldFault(f"{one.file}:{one.line}:{one.column}", "rules_invalid", f"{one.where}: {one.detail}")
                for one in error.faults
            ),
        ) from error


def _files(directory: Path | None) -> dict[str, bytes]:
    if directory is None:
        return {}
    try:
        if not directory.is_dir():
            raise RedactionRulesInvalid(f"{directory} is no directory.", next_step="Correct redaction.rules_dir.")
        return {
            str(path.relative_to(directory)): path.read_bytes()
            for path in sorted(directory.rglob("*.yaml"))
            if path.is_file()
        }
    except OSError as error:
        raise RedactionRulesInvalid(f"{directory} cannot be read.", next_step="Check its owner and mode.") from error


def require_same_versions(tx: Transaction, library: Library) -> None:
    """Refuse packs and profiles whose content changed under a version that grants and approvals may name.

    Raises:
        RedactionRulesInvalid: one is not what it was.
    """
    known = known_digests(tx)
    changed = [pin for pin, digest in sorted(library.own_digests().items()) if known.get(pin, digest) != digest]
    if changed:
        raise RedactionRulesInvalid(
            f"The content of {', '.join(changed)} changed, and its version did not.",
            next_step="Give what changed a new version, and name that in profiles; approvals name versions.",
            faults=tuple(FieldFault(pin, "version_used", "It has another content than before.") for pin in changed),
        )


def known_digests(tx: Transaction) -> dict[str, str]:
    """Return what each version of the operator's packs and profiles has meant so far."""
    found: dict[str, str] = orjson.loads(tx.values.find(DIGESTS) or "{}")
    return found


def keep_digests(tx: Transaction, library: Library) -> None:
    """Keep what the versions of a library mean, those no longer there included."""
    known = known_digests(tx)
    now = known | library.own_digests()
    if now != known:
        tx.values.put(DIGESTS, orjson.dumps(now, option=orjson.OPT_SORT_KEYS).decode())


def sha256_of(library: Library) -> str:
    """Return the SHA-256 over all profiles with the rules that they put in force."""
    return sha256_hex(orjson.dumps(library.digests(), option=orjson.OPT_SORT_KEYS))
