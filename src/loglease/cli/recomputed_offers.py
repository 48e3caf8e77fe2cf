"""Making each offer of a log again, by the documents that it names and the records that were disclosed.

The audit log's rules know nothing of policy: what makes an offer again is handed to them here.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from loglease.audit.disclosure import MAX_BYTES, SUFFIX, Disclosure, DisclosureInvalid
from loglease.audit.semantic import Fact, NotCheckable
from loglease.cli.errors import Usage
from loglease.cli.logs import content_of, fact
from loglease.cli.policy_files import files_in, loaded
from loglease.cli.run import Run
from loglease.model.errors import Malformed
from loglease.policy.bundle import Bundle
from loglease.policy.committed_records import CommittedRecord, read_committed
from loglease.policy.recomputing import Undecidable, offer_fault

RECORD: Final = "record_c"
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_MOST_LOADED: Final = 8
"""So many bundles are kept in memory; offers that follow each other are mostly of one."""
_MOST_SHOWN: Final = 100


class Verdict(StrEnum):
    """What came of an offer."""

    EQUAL = "equal"
    DIFFERS = "differs"
    NOT_CHECKABLE = "not_checkable"


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What came of one offer.

    Attributes:
        entry: the id of `offer.made`.
        why: what differs, or why it could not be told; None where it is equal.
    """

    entry: str
    request: str
    verdict: Verdict
    why: str | None = None


class Recomputing:
    """Makes offers again, and remembers what came of each.

    Args:
        bundles: directory with the documents of bundles, each in a folder named by its hash.
        records: directory with decision records that were disclosed; None where there are none.

    Raises:
        Usage: there is no such directory, or none of that form; or a file with a record is none.
    """

    def __init__(self, bundles: Path, records: Path | None) -> None:
        self._bundles = bundles
        _require_bundles(bundles)
        self._records = {} if records is None else dict(_disclosed(records))
        self._has_records = records is not None
        self._loaded: OrderedDict[str, Bundle] = OrderedDict()
        self.found: list[Recomputed] = []

    def __call__(self, submitted: Fact, made: Fact) -> str | None:
        """Say what is different when an offer is made again; None for nothing.

        Raises:
            NotCheckable: it cannot be told.
            Usage: a record is not what the entry commits to, or the documents of a bundle are not those of its hash.
        """
        request = str(made.ref.get("request", ""))
        try:
            fault = offer_fault(
                made.data,
                submitted.data,
                request=request,
                subject=made.actor,
                record=self._record(made),
                bundle=self._bundle(str(made.data["bundle_sha256"])),
            )
        except (NotCheckable, Undecidable) as error:
            text = error.message if isinstance(error, NotCheckable) else str(error)
            self.found.append(Recomputed(made.id, request, Verdict.NOT_CHECKABLE, text))
            raise NotCheckable(f"an offer: {text}") from error
        verdict = Verdict.EQUAL if fault is None else Verdict.DIFFERS
        self.found.append(Recomputed(made.id, request, verdict, fault))
        return fault

    def tell(self, run: Run) -> list[dict[str, Any]]:
        """Tell people how many came out how, and return all for programs."""
        count = Counter(one.verdict for one in self.found)
        fact(
            run,
            "offers",
            f"{len(self.found)} made: {count[Verdict.EQUAL]} recomputed equal, {count[Verdict.DIFFERS]} differ, "
            f"{count[Verdict.NOT_CHECKABLE]} not checkable",
        )
        shown = [one for one in self.found if one.verdict is not Verdict.EQUAL]
        for one in shown[:_MOST_SHOWN]:
            word = "not checkable" if one.verdict is Verdict.NOT_CHECKABLE else "differs"
            fact(run, "", f"{one.entry} of {one.request} {word}: {one.why}")
        if len(shown) > _MOST_SHOWN:
            fact(run, "", f"and {len(shown) - _MOST_SHOWN} more")
        return [_body(one) for one in self.found]

    def _record(self, made: Fact) -> CommittedRecord:
        known = self._records.get(made.id)
        if known is None:
            raise NotCheckable(
                "its decision record is not among those given"
                if self._has_records
                else "no decision records were given"
            )
        file, disclosed = known
        if disclosed.commitment != made.data[RECORD]:
            raise Usage(
                f"{file} is not the decision record that {made.id} commits to.",
                next_step=f"Have it disclosed again: loglease audit disclose {made.id} {RECORD} --file FILE",
            )
        try:
            return read_committed(disclosed.clear)
        except Malformed as error:
            raise NotCheckable("its decision record has a form that this version of loglease does not know") from error

    def _bundle(self, sha256: str) -> Bundle:
        if sha256 in self._loaded:
            self._loaded.move_to_end(sha256)
            return self._loaded[sha256]
        place = self._bundles / sha256
        if not place.is_dir():
            raise NotCheckable(f"its bundle {sha256} is not in {self._bundles}")
        found = loaded(files_in(place))
        if not isinstance(found, Bundle):
            raise Usage(f"The documents in {place} do not load: {found[0].render()}", next_step=_AGAIN)
        if found.hash != sha256:
            raise Usage(
                f"The documents in {place} are those of {found.hash}: they were changed, or one is missing.",
                next_step=_AGAIN,
            )
        self._loaded[sha256] = found
        if len(self._loaded) > _MOST_LOADED:
            self._loaded.popitem(last=False)
        return found


_AGAIN: Final = "Take that folder away and fetch it again: loglease policy bundles DIR"


def _require_bundles(place: Path) -> None:
    if not place.is_dir():
        raise Usage(f"There is no directory {place}.", next_step="Fetch one: loglease policy bundles DIR")
    if not any(_DIGEST.fullmatch(one.name) and one.is_dir() for one in place.iterdir()):
        raise Usage(
            f"{place} holds no bundles: each is a folder named by its hash, 64 hex digits.",
            next_step="Fetch them: loglease policy bundles DIR",
        )


def _disclosed(place: Path) -> Iterator[tuple[str, tuple[Path, Disclosure]]]:
    """Yield the decision records in a directory by the entries that commit to them; other texts are passed over."""
    if not place.is_dir():
        raise Usage(
            f"There is no directory {place}.",
            next_step="Name that with the files of: loglease audit disclose --file",
        )
    for file in sorted(place.glob(f"*{SUFFIX}")):
        try:
            one = Disclosure.parse(content_of(file, MAX_BYTES))
            if one.field == RECORD:
                yield one.entry().draft.id, (file, one)
        except DisclosureInvalid as error:
            raise Usage(f"{file} shows nothing: {error.message}", next_step="Have it disclosed again.") from error


def _body(one: Recomputed) -> dict[str, Any]:
    body = {"entry": one.entry, "request": one.request, "verdict": str(one.verdict)}
    return body if one.why is None else {**body, "why": one.why}
