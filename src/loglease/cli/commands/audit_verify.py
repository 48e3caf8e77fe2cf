"""`audit verify` and `audit consistency`: whether a log is what was signed, and one history."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from loglease.audit.checkpoint import Checkpoint, head_of_line
from loglease.audit.log_reading import LogTampered, Read, tile_content
from loglease.audit.tiles import WIDTH, hashes_from
from loglease.audit.verify import STRETCH_TILES, Trust, Verified, check_extends
from loglease.audit.verify_jobs import verify_with_jobs
from loglease.cli.errors import Exit, Usage
from loglease.cli.logs import (
    Head,
    Keys,
    Log,
    LogOrServer,
    Policy,
    Trusted,
    broken,
    fact,
    head_of,
    keep_head,
    kept_head,
    log_at,
    ok,
    root_text,
    same_log,
    telling,
    told,
    trusted,
)
from loglease.cli.run import Here, Run, flag

if TYPE_CHECKING:
    from loglease.cli.log_rules import RuleCheck

_LEAST_STRETCHES: Final = 8
"""Below so many stretches for each, further processes take longer to start than they save."""


def verify(
    log: Log,
    /,
    *,
    key: Keys = None,
    policy: Policy = None,
    since: Annotated[
        Path | None, flag("the log has to begin with the one whose head is in this file; then keep the new head there")
    ] = None,
    head: Annotated[str | None, flag("the log has to begin with the one of this line, 'audit head: …'")] = None,
    semantic: Annotated[bool, flag("check the rules that the entries have to keep together, too")] = False,
    served: Annotated[
        Path | None, flag("with --semantic: directory with the served lists, each named by the id of its entry")
    ] = None,
    bundles: Annotated[
        Path | None,
        flag("with --semantic: directory with the policy bundles that were in force; makes offers again"),
    ] = None,
    records: Annotated[
        Path | None, flag("with --bundles: directory with decision records that were disclosed, *.disclosure")
    ] = None,
    strict: Annotated[bool, flag("with --semantic: a finding counts as a broken rule")] = False,
    from_: Annotated[int | None, flag("check the entries from this index on", name="--from")] = None,
    to: Annotated[int | None, flag("check the entries before this index")] = None,
    jobs: Annotated[int | None, flag("use so many processes; default: as many as there are processors")] = None,
    run: Here,
) -> Exit:
    """Verify a log: signatures, every hash, every entry and its form.

    LOG is a directory with a checkpoint and tiles, or the address of one. Nothing else is needed, no server and no
    database. Exits with 0 if all holds, with 1 if something is not what was signed, whose exact place is told, or if a
    rule is broken, with 2 if that cannot be told, such as when a file is missing or no key given has signed the head.
    """
    if (strict or served is not None or bundles is not None) and not semantic:
        raise Usage(
            "--strict, --served and --bundles are about the rules that --semantic checks.", next_step="Give both."
        )
    if records is not None and bundles is None:
        raise Usage("Records are of decisions by bundles.", next_step="Give the bundles, too: --bundles DIR")
    who, read = trusted(key, policy), log_at(run, log)
    found: dict[str, Any] = {}
    try:
        now = head_of(read, who)
        found["checkpoint"] = now.body()
        fact(run, "checkpoint", now.text())
        for other in now.others:
            run.out.notice(
                f"It is also signed by {other}, which was not given: the log's key is being replaced. "
                "Ask its operator for the new one, which an entry key.rotated names."
            )
        older = _older(run, now.checkpoint, since, head, who)
        if older:
            _extends(read, now.checkpoint, older)
        rules = _rules(now, served, bundles, records) if semantic else None
        verified = _verified(run, read, now, _range(from_, to, now.checkpoint.size), jobs, rules)
    except LogTampered as fault:
        return told(run, fault, found)
    found["tree"] = {
        "tiles": verified.tiles,
        "from": verified.entries.start,
        "to": verified.entries.stop,
        "extends": [{"head": name, "size": one.size} for name, one in older],
    }
    fact(run, "tree", _tree_text(verified, now.checkpoint, older))
    if rules is not None and not rules.hold(run, found, strict=strict):
        return broken(run, found)
    if since is not None:
        keep_head(since, now.note)
    return ok(run, found)


def consistency(
    a: Annotated[Path, Parameter(name="A", help="file with the older head: a checkpoint, or a line 'audit head: …'")],
    b: Annotated[Path, Parameter(name="B", help="file with the newer head")],
    log: LogOrServer = None,
    /,
    *,
    key: Keys = None,
    policy: Policy = None,
    run: Here,
) -> Exit:
    """Prove or refute that the log of head B begins with the log of head A.

    The hashes that show it are read from the tiles of LOG, which may have grown since, or from the server, of auditors.
    Exits with 1 if it does not.
    """
    who, read = trusted(key, policy), log_at(run, log)
    one, other = (_kept(path, who) for path in (a, b))
    same_log(other, one, str(a))
    found: dict[str, Any] = {"a": _body(one), "b": _body(other)}
    try:
        size = head_of(read, who).checkpoint.size
        if max(one.size, other.size) > size:
            raise Usage(
                f"The log has {size} entries, so it cannot tell of {max(one.size, other.size)}.",
                next_step="Fetch a newer copy of it.",
            )
        hashes = hashes_from(lambda tile: tile_content(read, tile), size)
        check_extends(hashes, other, one, str(a))
    except LogTampered as fault:
        return told(run, fault, found)
    return ok(run, found, f"the log of size {other.size} begins with the log of size {one.size}")


def _verified(run: Run, read: Read, head: Head, entries: range, jobs: int | None, rules: RuleCheck | None) -> Verified:
    if jobs is not None and jobs < 1:
        raise Usage("--jobs takes a number from 1 on.")
    stretches = len(entries) // (STRETCH_TILES * WIDTH)
    processes = jobs or max(1, min(_processors(), stretches // _LEAST_STRETCHES))
    return verify_with_jobs(
        read,
        head.checkpoint,
        jobs=processes,
        entries=entries,
        extract=None if rules is None else rules.extract,
        take=None if rules is None else rules.take,
        progress=telling(run),
    )


def _rules(head: Head, served: Path | None, bundles: Path | None, records: Path | None) -> RuleCheck:
    from loglease.cli.log_rules import RuleCheck  # noqa: PLC0415 - for those who ask for it

    if bundles is None:
        return RuleCheck(head, served)
    from loglease.cli.recomputed_offers import Recomputing  # noqa: PLC0415 - it takes the policy engine to load

    return RuleCheck(head, served, Recomputing(bundles, records))


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _range(first: int | None, end: int | None, size: int) -> range:
    wanted = range(first or 0, size if end is None else end)
    if wanted.start < 0 or wanted.stop > size or (not wanted and (first, end) != (None, None)):
        raise Usage(f"There are no entries from {wanted.start} to {wanted.stop} in a log of size {size}.")
    return wanted


def _older(
    run: Run, now: Checkpoint, since: Path | None, line: str | None, who: Trusted
) -> list[tuple[str, Checkpoint]]:
    """Return the heads that the log has to extend, with their names."""
    heads = []
    if since is not None:
        kept = kept_head(since, who)
        if kept is None:
            run.out.notice(f"There is no {since} yet: nothing earlier to compare with. It will hold this head.")
        else:
            heads.append((since.name, kept))
    if line is not None:
        heads.append(("the head given", head_of_line(line)))
    for name, one in heads:
        same_log(now, one, name)
    return heads


def _extends(read: Read, head: Checkpoint, older: Sequence[tuple[str, Checkpoint]]) -> None:
    trust = Trust(read, head)
    for name, one in older:
        check_extends(trust.hashes, head, one, name)


def _kept(path: Path, who: Trusted) -> Checkpoint:
    found = kept_head(path, who)
    if found is None:
        raise Usage(f"There is no file {path}.", next_step="Name a file with a checkpoint.")
    return found


def _body(head: Checkpoint) -> dict[str, Any]:
    return {"origin": head.origin, "size": head.size, "root": root_text(head)}


def _tree_text(verified: Verified, head: Checkpoint, older: Sequence[tuple[str, Checkpoint]]) -> str:
    entries = verified.entries
    which = f"{len(entries)} entries"
    if len(entries) < head.size:
        which += f" (#{entries.start} to #{entries.stop - 1})"
    consistent = "".join(f"; consistent with {name} (size {one.size})" for name, one in older)
    return f"{verified.tiles} tiles, {which}, all hashes match{consistent}"
