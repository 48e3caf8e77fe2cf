"""Checking files that `audit disclose` made: which entry, which of its texts, what it says, and under which head."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from loglease.audit.disclosure import Disclosure, DisclosureInvalid
from loglease.audit.log_reading import LogTampered
from loglease.audit.merkle import ProofInvalid, check_inclusion, leaf_hash
from loglease.cli.errors import Exit
from loglease.cli.logs import Head, Trusted, fact, head_of, ok, told
from loglease.cli.run import Run
from loglease.cli.terminal import one_line
from loglease.model.instant import instant_text


def looks_like_disclosure(content: bytes) -> bool:
    """Say whether a file is meant to be a disclosure; a proof begins with its name."""
    return content.lstrip()[:1] == b"{"


def check_disclosure(run: Run, file: Path, content: bytes, who: Trusted) -> Exit:
    """Check a disclosure against the keys of those who are trusted, and tell what it shows.

    Raises:
        KeyUnknown: none of them has signed its head.
    """
    found: dict[str, Any] = {}
    try:
        disclosed = _parsed(file, content)
        head = head_of(lambda _: disclosed.proof.checkpoint, who, f"the checkpoint in {file}")
        found["checkpoint"] = head.body()
        _require_included(file, disclosed, head)
        found |= _told(run, file, disclosed, head)
    except LogTampered as fault:
        return told(run, fault, found)
    index, size, hashes = disclosed.proof.index, head.checkpoint.size, len(disclosed.proof.hashes)
    count = "1 hash" if hashes == 1 else f"{hashes} hashes"
    return ok(run, found, f"the text is what entry {index} of the log of size {size} commits to; {count}")


def _parsed(file: Path, content: bytes) -> Disclosure:
    try:
        return Disclosure.parse(content)
    except DisclosureInvalid as error:
        raise LogTampered(str(file), f"{file} is no disclosure: {error.message}") from error


def _require_included(file: Path, disclosed: Disclosure, head: Head) -> None:
    one, index = head.checkpoint, disclosed.proof.index
    try:
        check_inclusion(leaf_hash(disclosed.content), index, one.size, one.root, disclosed.proof.hashes)
    except ProofInvalid as error:
        detail = f"what {file} calls the entry is not entry {index} of the log of size {one.size}: {error.message}"
        raise LogTampered(str(file), detail) from error


def _told(run: Run, file: Path, disclosed: Disclosure, head: Head) -> dict[str, Any]:
    try:
        entry = disclosed.entry()
    except DisclosureInvalid as error:
        raise LogTampered(str(file), error.message, index=disclosed.proof.index) from error
    draft, name = entry.draft, disclosed.field.partition(":")[0]
    fact(run, "checkpoint", head.text())
    fact(run, "entry", f"#{disclosed.proof.index}  {draft.id}  {draft.type} by {draft.actor}  {instant_text(entry.at)}")
    fact(run, name, one_line(disclosed.text))
    fact(run, "commitment", f"{disclosed.commitment}  holds")
    return {
        "index": disclosed.proof.index,
        "hashes": len(disclosed.proof.hashes),
        "entry": draft.id,
        "type": draft.type,
        "actor": draft.actor,
        "at": instant_text(entry.at),
        "field": disclosed.field,
        "text": disclosed.text,
        "clear": base64.b64encode(disclosed.clear).decode(),
        "salt": disclosed.salt.hex(),
        "commitment": disclosed.commitment,
    }
