"""Loading the policy in force and what this server knows of redaction profiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from loglease import redaction
from loglease.access.rules import Rules
from loglease.model.errors import FieldFault, LogLeaseError
from loglease.model.instant import Instant
from loglease.policy.defaults import default_files
from loglease.policy.loading import load
from loglease.policy.names import Outside
from loglease.policy.problems import Problem, Severity
from loglease.policy.profiles import ProfileInfo, Profiles
from loglease.redaction import Library
from loglease.server.facts.presence import networks_named, presence_types
from loglease.server.settings import Settings
from loglease.sources.registry import Sources

DIRECTORY: Final = "policy"
_MAX_FILES: Final = 10_000


class PolicyInvalid(LogLeaseError):
    """The policy documents have errors; `faults` names each with file, line and column.

    Attributes:
        rendered: each problem as people read it, with its line and a mark.
    """

    code = "policy_invalid"
    rendered: tuple[str, ...] = ()

    @classmethod
    def of(cls, message: str, next_step: str, problems: Sequence[Problem]) -> Self:
        """Return the error that these problems are."""
        found = cls(message, next_step=next_step, faults=tuple(_fault(one) for one in problems))
        found.rendered = tuple(one.render() for one in problems)
        return found


def _fault(problem: Problem) -> FieldFault:
    return FieldFault(str(problem.at), problem.code, problem.message)


@lru_cache(maxsize=4)
def profiles_known(library: Library) -> tuple[Profiles, Mapping[str, str]]:
    """Return the redaction profiles as policy sees them, and the digest of each by name and version.

    Policies name the newest version of a profile; older ones serve grants that were given with them. What a library
    comes to is remembered: each reload and each simulation asks again, mostly about the same one.
    """
    newest = {one.name: one for one in sorted(library.profiles, key=lambda one: one.version)}
    found = {
        name: ProfileInfo(
            name,
            str(profile.version),
            frozenset(
                other.name
                for other in newest.values()
                if other is not profile
                and not redaction.weaknesses(profile, other, library.packs)
                and redaction.weaknesses(other, profile, library.packs)
            ),
        )
        for name, profile in newest.items()
    }
    return found, library.digests()


def policy_directory(settings: Settings) -> Path | None:
    """Return where the operator's policy documents are; None takes the policy that ships."""
    if settings.policy.directory is not None:
        return settings.policy.directory
    own = settings.data_dir / DIRECTORY
    return own if own.is_dir() else None


def policy_files(directory: Path | None, sources: Sources) -> dict[str, bytes]:
    """Return the documents by path; those that ship name the sources of this server.

    Raises:
        PolicyInvalid: the directory cannot be read.
    """
    if directory is None:
        return default_files(sources)
    try:
        paths = sorted(directory.rglob("*.yaml"))[:_MAX_FILES]
        found = {str(path.relative_to(directory)): path.read_bytes() for path in paths}
    except OSError as error:
        raise PolicyInvalid(f"{directory} cannot be read.", next_step="Check its owner and mode.") from error
    if not found:
        raise PolicyInvalid(
            f"{directory} has no policy documents.", next_step="Put *.yaml files there, or remove the directory."
        )
    return found


def rules_of(
    files: Mapping[str, bytes],
    sources: Sources,
    *,
    library: Library,
    revision: int | Callable[[str], int],
    expires: Instant | None = None,
    settings: Settings | None = None,
) -> Rules:
    """Return the rules of these documents, which may name the profiles of a library.

    Args:
        files: content by path.
        sources: those of this server.
        library: packs and profiles.
        revision: of the bundle, or what gives it by the bundle's hash.
        expires: from when on the bundle grants nothing new.
        settings: with what facts have to agree; None believes the documents.

    Raises:
        PolicyInvalid: with one fault for each error.
    """
    profiles, digests = profiles_known(library)
    outside = Outside(
        profiles=profiles,
        trusted_labels={one.name: one.trusted_labels for one in sources.values()},
        presence=None if settings is None else presence_types(networks_named(settings.networks)),
        providers=None if settings is None else frozenset(settings.facts.providers),
        witnessed=settings is None or settings.audit.witness_policy is not None,
    )
    bundle = load(files, revision=revision, expires=expires, outside=outside)
    if isinstance(bundle, list):
        errors = [one for one in bundle if one.severity is Severity.ERROR]
        raise PolicyInvalid.of(
            f"The policy has {len(errors)} error{'s' * (len(errors) != 1)}.",
            "Correct them, then check: loglease policy check DIRECTORY",
            errors,
        )
    return Rules(bundle=bundle, profiles=profiles, profile_digests=digests)
