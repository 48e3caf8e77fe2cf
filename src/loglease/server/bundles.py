"""Which bundle may come into force: who vouches for it, its revision, its time and its own tests; and that it did.

A trust mode of the configuration makes a `Candidate`, before anything in it is parsed. `proved` makes rules of one, and
`accepted` keeps in the database, and records, that they are in force.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loglease.access.policy_changes import MANAGED, POLICY, REVISION
from loglease.access.records import Data
from loglease.access.rules import Rules
from loglease.audit.interface import SYSTEM, Draft
from loglease.model.clock import Clock
from loglease.model.errors import FieldFault
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.model.proposal import StoredBundle
from loglease.policy.cases import failures, results_of, too_slow
from loglease.policy.manifest import Manifest, Signers, superseded, untimely, verified
from loglease.policy.never import search_nevers
from loglease.policy.problems import Problem
from loglease.redaction import Library
from loglease.server.bundle_directory import read_directory
from loglease.server.policies import PolicyInvalid, policy_directory, policy_files, rules_of
from loglease.server.settings import PolicySettings, Settings
from loglease.sources.registry import Sources
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

TESTS_WITHIN_S: Final = 30.0
NEVER_POINTS: Final = 10_000
"""So many cases are decided for all searches for what must never happen, which takes a few seconds."""
LEAST_POINTS: Final = 200
MANIFEST: Final = "policy_manifest_sha256"


class BundleRefused(PolicyInvalid):
    """The documents may be right, and the bundle is not to be trusted, or not now; or its own tests fail.

    Attributes:
        revision: of the bundle, where it names one.
    """

    def __init__(self, problems: Iterable[Problem], *, revision: int | None = None) -> None:
        found = tuple(problems)
        super().__init__(
            "The policy bundle is refused.",
            next_step=found[0].help,
            faults=tuple(FieldFault(str(one.at), one.code, one.message) for one in found),
        )
        self.rendered = tuple(one.render() for one in found)
        self.revision = revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Documents that may come into force, not parsed yet.

    Attributes:
        kept: whether the database keeps the documents, as it does where policy is managed.
        manifest: what was signed; None where nobody has to sign.
        people: who signed.
        needed: how many have to.
    """

    trust: str
    documents: Mapping[str, bytes]
    kept: bool = False
    manifest: Manifest | None = None
    people: tuple[str, ...] = ()
    needed: int = 0

    @property
    def revision(self) -> int | None:
        """The revision that was signed."""
        return None if self.manifest is None else self.manifest.revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """Rules that may be taken into force, and what they were made of."""

    rules: Rules
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Known:
    """The highest revision that was ever in force, and the digests of its documents and of its manifest."""

    revision: int
    sha256: str | None
    manifest: str | None


NOTHING_KNOWN: Final = Known(0, None, None)


def known_in(tx: Transaction) -> Known:
    """Return what was accepted last."""
    return Known(int(tx.values.find(REVISION) or 0), tx.values.find(POLICY), tx.values.find(MANIFEST) or None)


async def proved(settings: Settings, store: Store, sources: Sources, library: Library, clock: Clock) -> Proved:
    """Read, verify, parse, check and test the documents that are there now; nothing is changed by it.

    Raises:
        PolicyInvalid: they are refused, with one fault for each reason.
    """
    known, stored = await store.read(lambda tx: (known_in(tx), tx.proposals.bundle()))

    def work() -> Proved:
        return _proved(candidate(settings, sources, stored), settings, sources, library, known, clock.now())

    return await asyncio.to_thread(work)


def _proved(
    found: Candidate, settings: Settings, sources: Sources, library: Library, known: Known, now: Instant
) -> Proved:
    if found.manifest is not None:
        require_timely(found.manifest, known, now)
    rules = rules_from(found, settings, sources, library, known)
    return Proved(rules=rules, candidate=found)


def rules_from(found: Candidate, settings: Settings, sources: Sources, library: Library, known: Known) -> Rules:
    """Parse the documents and run their tests; takes a while.

    Raises:
        PolicyInvalid: an error, or a test that fails.
    """
    manifest = found.manifest
    rules = rules_of(
        found.documents,
        sources,
        library=library,
        revision=lambda sha256: known.revision + (sha256 != known.sha256) if manifest is None else manifest.revision,
        expires=None if manifest is None else manifest.expires,
        settings=settings,
    )
    require_newer(found, rules, known)
    require_passing(rules, found.revision)
    return rules


def candidate(settings: Settings, sources: Sources, stored: StoredBundle | None = None) -> Candidate:
    """Return the documents that the configuration points at, if its trust mode takes them; reads files.

    A managed policy begins with what a local one would be, which nobody has agreed to.

    Args:
        settings: which trust mode, and where documents are.
        sources: those of this server.
        stored: the newest revision in the database, which a managed policy is.

    Raises:
        PolicyInvalid: they cannot be read, or nobody vouches for them.
    """
    directory = policy_directory(settings)
    if settings.policy.trust == "signed":
        return _signed(directory, settings.policy)
    managed = settings.policy.trust == MANAGED
    if managed and stored is not None:
        return Candidate(trust=MANAGED, documents=encoded(stored.files), kept=True)
    return Candidate(trust="local", documents=policy_files(directory, sources), kept=managed)


def encoded(files: Mapping[str, str]) -> dict[str, bytes]:
    """Return documents as the loader takes them."""
    return {path: text.encode() for path, text in files.items()}


def _signed(directory: Path | None, settings: PolicySettings) -> Candidate:
    # The policy that ships is signed by nobody, so that a directory that is gone leads to no policy instead of to it.
    if directory is None:
        raise PolicyInvalid(
            "There is no directory with a signed policy.",
            next_step="Put a signed bundle there: loglease policy publish; or name its place: policy.directory.",
        )
    try:
        files = read_directory(directory)
    except OSError as error:
        raise PolicyInvalid(f"{directory} cannot be read.", next_step="Check its owner and mode.") from error
    if isinstance(files, Problem):
        raise BundleRefused([files])
    keys = {person: tuple(given) for person, given in settings.keys.items()}
    found = verified(files, Signers(keys=keys, needed=settings.needed))
    if isinstance(found, list):
        raise BundleRefused(found)
    return Candidate(
        trust="signed",
        documents=found.documents,
        manifest=found.manifest,
        people=found.people,
        needed=settings.needed,
    )


def require_timely(manifest: Manifest, known: Known, now: Instant) -> None:
    """Refuse an old bundle, and a new one before its time or after it; one that was accepted stays so.

    Raises:
        BundleRefused: P508 to P511.
    """
    digest = known.manifest or manifest.sha256
    problem = superseded(manifest.revision, manifest.sha256, known_revision=known.revision, known_sha256=digest)
    if problem is None and manifest.revision > known.revision:
        problem = untimely(manifest, now)
    if problem is not None:
        raise BundleRefused([problem], revision=manifest.revision)


def require_newer(found: Candidate, rules: Rules, known: Known) -> None:
    """Refuse a signed bundle that is older than one that was accepted, or has its revision and other content.

    Raises:
        BundleRefused: P510, P511.
    """
    if found.manifest is None:
        return
    problem = superseded(
        rules.revision, rules.bundle_sha256, known_revision=known.revision, known_sha256=known.sha256
    ) or superseded(
        rules.revision, found.manifest.sha256, known_revision=known.revision, known_sha256=known.manifest
    )  # fmt: skip
    if problem is not None:
        raise BundleRefused([problem], revision=rules.revision)


def require_passing(rules: Rules, revision: int | None, *, seconds: Callable[[], float] = time.monotonic) -> None:
    """Run the tests of a bundle, and stop after half a minute, wherever that is.

    Raises:
        BundleRefused: P512, P513.
    """
    ends = seconds() + TESTS_WITHIN_S

    def pause() -> None:
        if seconds() > ends:
            raise BundleRefused([too_slow(TESTS_WITHIN_S)], revision=revision)

    failed = []
    for result in results_of(rules.bundle, rules.profiles):
        failed += failures([result])
        pause()
    searches = sum(len(test.never) for test in rules.bundle.tests)
    most = max(LEAST_POINTS, NEVER_POINTS // max(1, searches))
    for searched in search_nevers(rules.bundle, rules.profiles, most=most, pause=pause):
        failed += failures([searched])
    if failed:
        raise BundleRefused(failed, revision=revision)


def accepted(tx: Transaction, taken: Proved, now: Instant, new_id: NewId) -> tuple[Draft, ...]:
    """Keep which bundle is in force, and return the entry about it if it is a new one.

    Raises:
        BundleRefused: a newer one was accepted meanwhile.
    """
    rules, found = taken.rules, taken.candidate
    known = known_in(tx)
    require_newer(found, rules, known)
    newest = tx.proposals.bundle() if found.kept else None
    if newest is not None and newest.revision > rules.revision:
        return ()  # a proposal was accepted since the documents were read; it is on the record
    tx.values.put(MANIFEST, "" if found.manifest is None else found.manifest.sha256)
    # Also where they are known already: a server that kept none yet begins with those in force.
    files = {path: content.decode() for path, content in found.documents.items()}
    tx.bundle_documents.keep(rules.bundle_sha256, files, now)
    if found.kept and (newest is None or newest.revision < rules.revision):
        tx.proposals.insert_bundle(
            StoredBundle(revision=rules.revision, bundle_sha256=rules.bundle_sha256, files=files, loaded_at=now)
        )
    if (known.revision, known.sha256) == (rules.revision, rules.bundle_sha256):
        return ()
    tx.values.put(POLICY, rules.bundle_sha256)
    tx.values.put(REVISION, str(rules.revision))
    data: Data = {
        "bundle_sha256": rules.bundle_sha256,
        "revision": rules.revision,
        "trust": found.trust,
        "reviewers": [],
        "signers": list(found.people),
        "needed": found.needed,
        "widens": True,
    }
    return (Draft(id=EntryId(new_id(ENTRY)), type="policy.loaded", actor=SYSTEM, data=data),)
