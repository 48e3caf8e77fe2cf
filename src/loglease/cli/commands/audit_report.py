"""`audit report`, `audit reports`, `audit sign` and `audit verify-report`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson
from cyclopts import Parameter

from loglease.audit.merkle import ProofInvalid
from loglease.audit.note import NoteInvalid, VerifierKey
from loglease.audit.report.folder import files_in
from loglease.audit.report.folder_check import CheckedFolder, FolderInvalid, FolderUnknown, check_folder
from loglease.cli.client import Body
from loglease.cli.errors import Exit, Usage
from loglease.cli.ids import chosen
from loglease.cli.new_files import whole_file
from loglease.cli.new_folders import read_folder, require_free, write_folder
from loglease.cli.output import moment
from loglease.cli.run import Here, Run, flag
from loglease.cli.waiting import waiting
from loglease.model.ids import GRANT

MADE_WITHIN_S: Final = 660.0
"""How long a server may take: a little longer than the longest that it allows itself."""
_LOOK_EVERY_S: Final = 0.2


def report(
    name: Annotated[str, Parameter(name="NAME", help="which report; `loglease audit reports` lists them")],
    /,
    *,
    from_: Annotated[str | None, flag("only from this date or time on, in UTC", name="--from")] = None,
    to: Annotated[str | None, flag("only before this date or time; default now")] = None,
    grant: Annotated[str | None, flag("the grant of a dossier")] = None,
    sample: Annotated[int | None, flag("draw so many rows of the main table")] = None,
    seed: Annotated[int | None, flag("fixes which rows are drawn; without it the server chooses one")] = None,
    format_: Annotated[
        Literal["json", "csv", "html", "folder"] | None,
        flag("write it in this form; without it, its summary is printed", name="--format"),
    ] = None,
    file: Annotated[
        Path | None,
        Parameter(name=("--file", "-o"), help="write a new file, or a new folder; without it to standard output"),
    ] = None,
    run: Here,
) -> Exit:
    """Make a report for auditors.

    Reports: population, dossier, access-review, segregation, revocation, break-glass, unmasked, elevations,
    policy-history, refusals, integrity. That one was made is on the record before it is shown. The form `folder` has
    all forms, the entries that the report rests on, with proofs, a guide and the signature of the log's key.

    The same --sample and --seed draw the same rows. It takes the role auditor or admin.
    """
    if format_ is None and file is not None:
        raise Usage("In which form?", next_step="Give --format json, csv, html or folder.")
    if format_ == "folder" and file is None:
        raise Usage("A folder needs a name.", next_step="Give one that is not there yet: -o DIR.")
    if file is not None:
        require_free(file)
    asked: dict[str, Any] = {
        "from_at": from_,
        "to_at": to,
        "grant": None if grant is None else chosen(run, grant, GRANT),
        "sample": sample,
        "seed": seed,
        "format": format_ or "json",
    }
    content, entry = _made(run, name, {key: value for key, value in asked.items() if value is not None})
    if format_ is None:
        _summarised(run, orjson.loads(content))
        return Exit.DONE
    if file is None:
        run.out.raw(content.decode())
        return Exit.DONE
    _written(file, content, is_folder=format_ == "folder")
    run.out.notice(f"{file} is written. Look through it, then: loglease audit sign {entry} --accepted")
    return Exit.DONE


def _made(run: Run, name: str, asked: Body) -> tuple[bytes, str]:
    """Ask for a report and tell meanwhile how long it takes; return its bytes and its entry."""
    kinds = run.client.get("/audit/reports")
    known = [one["name"] for one in kinds["items"]]
    if name not in known:
        raise Usage(f"There is no report {name[:40]!r}.", next_step=f"Reports: {', '.join(known)}.")
    answers: list[tuple[bytes, str]] = []
    faults: list[BaseException] = []

    def ask() -> None:
        try:
            body, headers = run.client.document(f"/audit/reports/{name}", asked, silence_s=MADE_WITHIN_S)
            answers.append((body, str(headers.get("loglease-entry", ""))))
        except BaseException as fault:  # noqa: BLE001 - raised again below, in the thread that may show it
            faults.append(fault)

    # A thread of its own, so that this one can tell, and Ctrl-C works at once.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    with waiting(run.out) as wait:
        while thread.is_alive():
            thread.join(_LOOK_EVERY_S)
            if thread.is_alive():
                wait.tell(f"reading {kinds['size']:,} entries")
    if faults:
        raise faults[0]
    return answers[0]


def _written(file: Path, content: bytes, *, is_folder: bool) -> None:
    if is_folder:
        write_folder(file, files_in(content))
        return
    with whole_file(file) as made:
        made.write(content)


def _summarised(run: Run, document: Body) -> None:
    """Print what a report found in short, or all of it as JSON."""
    if run.out.json:
        run.out.resource(document)
        return
    start = document.get("from_at")
    run.out.facts(
        [
            ("Report", f"{document['report']}: {document['text']}"),
            ("Time", f"{moment(start) or 'beginning'} to {moment(document['to_at'])} UTC"),
            ("Entry", document["id"]),
            ("Sample", _sample(document.get("sample"))),
        ]
    )
    run.out.data()
    run.out.table(
        ["FACT", "VALUE", "WHAT"],
        [[one["name"], _value(one), one["text"]] for one in document["summary"]],
        none="No fact.",
    )
    run.out.data()
    run.out.table(
        ["TABLE", "ROWS", "WHAT"],
        [[one["name"], f"{len(one['rows']):,}", one["title"]] for one in document["tables"]],
        none="No table.",
    )
    for text in document["unknown"]:
        run.out.notice(f"not known: {text}")
    run.out.notice(f"next: loglease audit report {document['report']} --format html -o report.html")


def _sample(drawn: Body | None) -> str:
    return "" if drawn is None else f"{drawn['size']} of {drawn['of']} rows of {drawn['table']}, seed {drawn['seed']}"


def _value(fact: Body) -> str:
    value = fact.get("value_name", fact.get("value"))
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def reports(*, run: Here) -> None:
    """List the reports that can be made, and what each may help with.

    Parts of frameworks are named to help find evidence, without a claim that anybody complies with them.
    """
    found = run.client.get("/audit/reports")
    if run.out.json:
        run.out.resource(found)
        return
    run.out.table(
        ["REPORT", "SOC 2", "ISO 27001:2022 A", "PCI DSS 4.0.1", "WHAT"],
        [[one["name"], *one["helps_with"].values(), one["text"]] for one in found["items"]],
        none="No report.",
    )


def sign(
    entry: Annotated[str, Parameter(name="ENTRY", help="the entry of the report, ent_…, as it was printed")],
    /,
    *,
    accepted: Annotated[bool, flag("you looked through it and accept it")] = False,
    objected: Annotated[bool, flag("you object; say why with --comment")] = False,
    comment: Annotated[str, flag("what you have to say; kept beside the log, not in it")] = "",
    run: Here,
) -> None:
    """Sign off a report that was made, or object to it.

    An access review wants this every six months. It takes the role auditor or admin, and a sign-in as a person.
    """
    if accepted == objected:
        raise Usage("Accepted or objected?", next_step="Give one of --accepted and --objected.")
    body = {"verdict": "accepted" if accepted else "objected", "comment": comment}
    signed = run.client.post(f"/audit/reports/{entry}/sign", body, creates=True)
    if run.out.json:
        run.out.resource(signed)
        return
    run.out.data(f"{signed['report']} is {signed['verdict']}, by entry {signed['id']}.")


def verify_report(
    directory: Annotated[Path, Parameter(name="DIR", help="the folder of a report")],
    /,
    *,
    key: Annotated[list[str], flag("public key of the log, from a place that you trust; repeatable")],
    run: Here,
) -> Exit:
    """Check the folder of a report, from its files and the log's public key alone.

    It checks the signature, the digest of every file, that none is missing or too much, that every entry is in the log
    by its proof, and that the report names exactly these entries.

    Exits with 1 if something does not hold, with 2 if it could not be checked.
    """
    try:
        keys = [VerifierKey.parse(text) for text in key]
    except NoteInvalid as error:
        raise Usage(error.message, next_step="Copy the key as it was published: NAME+ID+KEY.") from error
    files = read_folder(directory)
    try:
        checked = check_folder(files, keys)
    except FolderUnknown as error:
        raise Usage(error.message, next_step=error.next_step) from error
    except (FolderInvalid, NoteInvalid, ProofInvalid) as error:
        run.out.error(error)
        return Exit.NO
    _told(run, checked)
    return Exit.DONE


def _told(run: Run, checked: CheckedFolder) -> None:
    head = checked.checkpoint
    if run.out.json:
        run.out.resource(
            {
                "report": checked.report,
                "id": checked.id,
                "sha256": checked.sha256,
                "files": checked.files,
                "entries": checked.entries,
                "origin": head.origin,
                "size": head.size,
                "root_hex": head.root.hex(),
            }
        )
        return
    run.out.data(f"OK         {checked.files} files as they were signed by {head.origin}")
    run.out.data(f"report     {checked.report}, {checked.id}, SHA-256 {checked.sha256}")
    run.out.data(f"entries    {checked.entries} of them, each in the log of size {head.size:,}")
    run.out.notice("The log has that digest in the entry report.made: loglease audit list --type report.made")
