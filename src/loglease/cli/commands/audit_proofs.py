"""`audit prove`, `audit check` and `audit checkpoint`: one entry, shown to whoever has the log's public key."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

from cyclopts import Parameter

from loglease.audit.checkpoint import Checkpoint, head_line
from loglease.audit.disclosure import MAX_BYTES
from loglease.audit.entry import entry_of
from loglease.audit.interface import EntryInvalid
from loglease.audit.log_reading import LogTampered, Read, index_of, unsigned_head
from loglease.audit.log_reading import prove as prove_entry
from loglease.audit.merkle import ProofInvalid, check_inclusion, leaf_hash
from loglease.audit.note import NoteInvalid, SignedNote
from loglease.audit.proof import SUFFIX, InclusionProof
from loglease.cli.client import API
from loglease.cli.disclosures import check_disclosure, looks_like_disclosure
from loglease.cli.errors import Exit, NotFoundHere, Usage
from loglease.cli.logs import Keys, LogOrServer, Policy, content_of, head_of, log_at, ok, root_text, told, trusted
from loglease.cli.run import Here, Run, flag

_MAX_ENTRY: Final = 0xFFFF
_MAX_PROOF: Final = 1 << 20
_STDOUT: Final = "-"
_PLAIN_ID: Final = re.compile("ent_[0-9A-Za-z]{1,40}")


def prove(
    log: LogOrServer = None,
    /,
    *,
    id_: Annotated[str | None, flag("the entry with this id, ent_…", name="--id")] = None,
    index: Annotated[int | None, flag("the entry at this index")] = None,
    extra: Annotated[bool, flag("put the bytes of the entry into the proof")] = False,
    file: Annotated[
        str | None, flag("where the proof goes, - for standard output; default: ENTRY.tlog-proof", stdin=True)
    ] = None,
    entry: Annotated[Path | None, flag("write the bytes of the entry to this file")] = None,
    run: Here,
) -> Exit:
    """Write a proof that an entry is in a log, for people who have neither.

    The proof is a file of the public form tlog-proof: place, hashes and the signed head. Whoever has it, the bytes of
    the entry and the log's public key can check it with `loglease audit check`, or with programs of others. Without LOG
    the server is asked, which proves entries that you may read.
    """
    if (id_ is None) == (index is None):
        raise Usage("Name one entry.", next_step="Give --id or --index.")
    try:
        if log is None:
            proof, content = _from_server(run, id_ or str(index))
        else:
            read = log_at(run, log)
            proof, content = prove_entry(read, _place(read, id_) if index is None else index)
    except LogTampered as fault:
        return told(run, fault, {})
    proof = replace(proof, extra=content if extra else None)
    name = _name(content, proof.index)
    target = file or f"{name}{SUFFIX}"
    if entry is not None:
        _write(entry, content)
    if target == _STDOUT:
        _print(run, proof.encode())
        return Exit.DONE
    _write(Path(target), proof.encode())
    _told(run, proof, name, target)
    return Exit.DONE


def check(
    file: Annotated[Path, Parameter(name="FILE", help="the proof, or a text that was disclosed")],
    /,
    *,
    entry: Annotated[
        Path | None, flag("file with the bytes of the entry; default: those that the proof carries")
    ] = None,
    key: Keys = None,
    policy: Policy = None,
    run: Here,
) -> Exit:
    """Check a proof that an entry is in a log, or a text of one that was disclosed, without the log.

    Of a text it says which entry and which field it is from, what it says, and that the entry commits to it. Exits with
    0 if all holds, with 1 if the file does not show it, with 2 if that cannot be told.
    """
    who = trusted(key, policy)
    raw = content_of(file, MAX_BYTES)
    if looks_like_disclosure(raw):
        if entry is not None:
            raise Usage("A disclosure carries its entry.", next_step="Leave out --entry.")
        return check_disclosure(run, file, raw, who)
    given = None if entry is None else content_of(entry, _MAX_ENTRY)
    found: dict[str, Any] = {}
    try:
        proof = _parsed(file, raw)
        content = proof.extra if given is None else given
        if content is None:
            raise Usage("The proof carries no entry.", next_step="Give the file with its bytes: --entry FILE.")
        head = head_of(lambda _: proof.checkpoint, who, f"the checkpoint in {file}")
        found = {"index": proof.index, "hashes": len(proof.hashes), "checkpoint": head.body()}
        _included(file, proof, content, head.checkpoint)
        kind = _kind(content, proof.index)
    except LogTampered as fault:
        return told(run, fault, found)
    found["type"] = kind
    return ok(
        run,
        found,
        f"entry {proof.index} ({kind}) is in the log of size {head.checkpoint.size}; {_count(len(proof.hashes))}",
    )


def checkpoint(log: LogOrServer = None, /, *, key: Keys = None, policy: Policy = None, run: Here) -> Exit:
    """Print the newest signed head of a log.

    Without LOG it is the server's, for auditors.
    With --key or --policy it is checked first, and not printed if it does not hold.
    """
    read = log_at(run, log)
    try:
        head, note = unsigned_head(read)
        if key or policy is not None:
            head_of(lambda _: note, trusted(key, policy))
    except LogTampered as fault:
        return told(run, fault, {})
    if run.out.json:
        found = {"origin": head.origin, "size": head.size, "root": root_text(head)}
        run.out.resource({**found, "audit_head": head_line(head), "note": note.decode()})
    else:
        _print(run, note)
    return Exit.DONE


def _place(read: Read, entry_id: str | None) -> int:
    size = unsigned_head(read)[0].size
    found = index_of(read, entry_id or "", size)
    if found is None:
        raise NotFoundHere(f"There is no entry {entry_id} in this log of size {size}.", next_step="Give its whole id.")
    return found


def _from_server(run: Run, entry: str) -> tuple[InclusionProof, bytes]:
    """Return the server's proof of an entry, and the entry; that it shows the entry is checked here."""
    raw = b""
    with run.client.stream(
        f"{API}/audit/entries/{quote(entry, safe='')}/proof", query={"extra": True}, headers={}
    ) as answer:
        for piece in answer.iter_bytes():
            raw += piece
            if len(raw) > _MAX_PROOF:
                break
    place = f"the proof from {run.settings.server}"
    proof = _parsed(place, raw)
    content = proof.extra or b""
    try:
        head = Checkpoint.parse(SignedNote.parse(proof.checkpoint).text)
    except NoteInvalid as error:
        raise LogTampered(place, f"{place} has no signed head: {error.message}") from error
    _included(place, proof, content, head)
    return proof, content


def _parsed(place: Path | str, raw: bytes) -> InclusionProof:
    try:
        return InclusionProof.parse(raw)
    except ProofInvalid as error:
        raise LogTampered(str(place), f"{place} is no proof: {error.message}") from error


def _included(place: Path | str, proof: InclusionProof, content: bytes, head: Checkpoint) -> None:
    try:
        check_inclusion(leaf_hash(content), proof.index, head.size, head.root, proof.hashes)
    except ProofInvalid as error:
        detail = f"this is not entry {proof.index} of the log of size {head.size}: {error.message}"
        raise LogTampered(str(place), detail) from error


def _kind(content: bytes, index: int) -> str:
    try:
        return entry_of(content).draft.type
    except EntryInvalid as error:
        raise LogTampered(
            f"entry {index}", f"entry {index} is in the log, and has not the form of one: {error.message}", index=index
        ) from error


def _name(content: bytes, index: int) -> str:
    """Return what a file about the entry may be called: its id, if that is nothing but one."""
    try:
        found = entry_of(content).draft.id
    except EntryInvalid:
        return f"entry-{index}"
    return found if _PLAIN_ID.fullmatch(found) else f"entry-{index}"


def _told(run: Run, proof: InclusionProof, name: str, target: str) -> None:
    size = Checkpoint.parse(SignedNote.parse(proof.checkpoint).text).size
    if run.out.json:
        run.out.resource({"file": target, "index": proof.index, "size": size, "hashes": len(proof.hashes)})
        return
    run.out.data(
        f"Wrote {target}: entry {proof.index} ({name}) is in the log of size {size}; {_count(len(proof.hashes))}."
    )


def _print(run: Run, note: bytes) -> None:
    """Print a file as it is; on a terminal without anything that such a file could do to it."""
    text = note.decode()
    if run.out.stdout.isatty():
        run.out.data(text.removesuffix("\n"))
    else:
        run.out.raw(text)


def _count(hashes: int) -> str:
    return "1 hash" if hashes == 1 else f"{hashes} hashes"


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Usage(f"{path} cannot be written: {error.strerror}.", next_step="Choose another file.") from error
