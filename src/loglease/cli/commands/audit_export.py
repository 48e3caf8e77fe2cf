"""`audit export`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from loglease.audit.checkpoint import head_line
from loglease.audit.note import VerifierKey
from loglease.cli.errors import Exit, Usage
from loglease.cli.exporting import Exported, exported_lines
from loglease.cli.log_fetching import LogServer
from loglease.cli.logs import keys_given
from loglease.cli.mirroring import mirror_at
from loglease.cli.new_files import growing_file, whole_file
from loglease.cli.output import size_text
from loglease.cli.run import Here, Run, flag
from loglease.cli.waiting import waiting

LONG_S: Final = 2.0
"""What takes longer says how far it is."""
Sink = Callable[[bytes], object]
"""Takes whole lines."""


def export(
    *,
    format_: Annotated[Literal["ndjson", "ocsf", "tlog-tiles"], flag("how entries are written", name="--format")],
    since: Annotated[int | None, flag("index of the first entry; default the first that there is")] = None,
    until: Annotated[int | None, flag("index of the last entry; default the newest")] = None,
    follow: Annotated[bool, flag("go on with what comes, until Ctrl-C")] = False,
    file: Annotated[
        Path | None, Parameter(name=("--file", "-o"), help="write a new file; without it to standard output")
    ] = None,
    to: Annotated[Path | None, flag("tlog-tiles: the directory to make, or to go on with")] = None,
    key: Annotated[list[str] | None, flag("tlog-tiles: public key of the log, to check it; repeatable")] = None,
    served: Annotated[bool, flag("tlog-tiles: also the lists of what was served, one file an entry")] = False,
    run: Here,
) -> Exit:
    """Export the audit log: its entries in their order, or the directory that it is published as.

    `ndjson` has each entry as it was hashed, one a line; `ocsf` has events of OCSF 1.8.0. An export is on the record
    before its first byte leaves. At the end, and after Ctrl-C, it says where the next one goes on. A file is there once
    it is whole; with --follow it grows instead.

    `tlog-tiles` makes a directory of the signed head, tiles and entry bundles, or brings one that is there to the
    newest head. Every entry is hashed again on the way: a directory that is not what was signed gets no new head, and
    this exits with 1.

    It takes the role auditor or admin.
    """
    if format_ == "tlog-tiles":
        if to is None or since is not None or until is not None or follow or file is not None:
            raise Usage(
                "tlog-tiles takes --to, and no --since, --until, --follow or -o.",
                next_step="Give the directory; it goes on by itself from where it ends.",
            )
        return _directory(run, to, keys_given(key or ()), served=served)
    if to is not None or key or served:
        raise Usage("--to, --key and --served are for tlog-tiles.", next_step="Give -o FILE, or --format tlog-tiles.")
    if since is not None and until is not None and until < since:
        raise Usage("--until lies before --since.", next_step="Name the last entry, which is not before the first.")
    exported = Exported(next=since)
    try:
        with _sink(run, file, follow=follow) as write, _told(run, exported, quiet=follow or _shows(run, file)) as tell:
            for block in exported_lines(
                run.client, format_, exported, until=until, follow=follow, on_wait=run.out.notice
            ):
                write(block)
                tell()
    except KeyboardInterrupt:
        kept = file is None or follow
        run.out.notice(f"stopped; {_words(exported)}" if kept else f"stopped; {file} was not written")
        raise
    run.out.notice(_words(exported))
    return Exit.DONE


def _directory(run: Run, place: Path, keys: tuple[VerifierKey, ...], *, served: bool) -> Exit:
    with waiting(run.out) as wait:

        def tell(text: str) -> None:
            if wait.elapsed_s >= LONG_S:
                wait.tell(text)

        with mirror_at(place, LogServer(run.client), keys=keys, tell=tell) as mirror:
            copied = mirror.go_on(served=served)
    head = copied.head
    lists = f", {copied.served:,} served lists" if served else ""
    run.out.notice(f"{place}: {head.size:,} entries, {head.size - copied.since:,} of them new{lists}")
    run.out.notice(head_line(head))
    if not keys:
        run.out.notice(f"Its signature was not checked. To do so: loglease audit verify {place} --key NAME+ID+KEY")
    return Exit.DONE


def _shows(run: Run, file: Path | None) -> bool:
    """Say whether the lines themselves go to a terminal, where nothing may come between them."""
    return file is None and run.out.stdout.isatty()


@contextmanager
def _sink(run: Run, file: Path | None, *, follow: bool) -> Iterator[Sink]:
    if file is None:
        yield lambda block: run.out.raw(block.decode())
        return
    with growing_file(file) if follow else whole_file(file) as made:

        def write(block: bytes) -> None:
            made.write(block)
            if follow:
                made.flush()

        yield write


@contextmanager
def _told(run: Run, exported: Exported, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Give what tells how far a long export is."""
    if quiet:
        yield lambda: None
        return
    with waiting(run.out) as wait:

        def tell() -> None:
            if wait.elapsed_s >= LONG_S:
                wait.tell(f"{exported.entries:,} entries, {size_text(exported.size)}")

        yield tell


def _words(exported: Exported) -> str:
    if exported.first is None or exported.next is None:
        return "No entry." if exported.next is None else f"No entry from #{exported.next} on."
    size = f"{exported.entries:,} entries, {size_text(exported.size)}"
    return f"#{exported.first} to #{exported.next - 1}: {size}; go on with --since {exported.next}"
