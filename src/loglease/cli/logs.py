"""Logs on the command line: where they are, whose keys count, which heads somebody kept, and how a verdict is told."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from loglease.audit.checkpoint import Checkpoint, head_of_line
from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import LogTampered, Read, read_head
from loglease.audit.note import MAX_NOTE_BYTES, NoteInvalid, SignedNote, VerifierKey
from loglease.audit.trust_policy import TrustPolicy, witnesses_of
from loglease.cli.errors import Exit, Usage
from loglease.cli.run import Run, flag

LOG: Final = Parameter(name="LOG", help="directory of a log, or the address (http, https) that its files are below")
Log = Annotated[str, LOG]
LogOrServer = Annotated[
    str | None, Parameter(name="LOG", help="directory or address of a log; default: the log of the server")
]
Keys = Annotated[list[str] | None, flag("public key of the log, NAME+ID+KEY, as its operator published it; repeatable")]
Policy = Annotated[Path | None, flag("trust policy: keys of logs, and which witnesses have to have cosigned")]

_LABEL: Final = 11
_ADDRESSES: Final = ("http://", "https://")
_MAX_POLICY: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Trusted:
    """Who is believed: keys of logs and, with a policy, witnesses."""

    keys: tuple[VerifierKey, ...]
    policy: TrustPolicy | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint that trusted keys signed.

    Attributes:
        note: its bytes.
        signers: the keys that signed it.
        witnesses: names of those that cosigned it, by the policy; None without one.
        others: keys of the log that signed it, too, by name and id, and that were not given: one is being replaced.
    """

    checkpoint: Checkpoint
    note: bytes
    signers: tuple[VerifierKey, ...]
    witnesses: tuple[str, ...] | None = None
    others: tuple[str, ...] = ()

    def text(self) -> str:
        """Say what it is, for people."""
        signed = ", ".join(key.key_id.hex() for key in self.signers)
        match self.witnesses:
            case None:
                seen = "no witness policy given"
            case ():
                seen = "no witness needed"
            case names:
                seen = f"cosigned by {', '.join(names)}"
        one = self.checkpoint
        return f"{one.origin}  size {one.size}  root {root_text(one)}  signed by {signed}, {seen}"

    def body(self) -> dict[str, Any]:
        """Return what it is, for programs."""
        one = self.checkpoint
        found: dict[str, Any] = {"origin": one.origin, "size": one.size, "root": root_text(one)}
        found["signed_by"] = [str(key) for key in self.signers]
        return found if self.witnesses is None else {**found, "witnesses": list(self.witnesses)}


class NotWitnessed(LogTampered):
    """Too few of the witnesses that a policy asks for have cosigned the checkpoint."""

    code = "log_not_witnessed"


def trusted(keys: Sequence[str] | None, policy: Path | None) -> Trusted:
    """Return who is believed.

    Raises:
        NoteInvalid: a key has another form.
        TrustPolicyInvalid: the policy has.
        Usage: nobody is named, or the policy cannot be read.
    """
    found = None if policy is None else TrustPolicy.parse(content_of(policy, _MAX_POLICY))
    known = [*keys_given(keys or ()), *([] if found is None else found.log_keys)]
    if not known:
        raise Usage(
            "No key of a log is named, so nothing can vouch for it.",
            next_step="Give --key NAME+ID+KEY, as the log's operator published it, or --policy FILE.",
        )
    return Trusted(tuple(known), found)


def keys_given(texts: Iterable[str]) -> tuple[VerifierKey, ...]:
    """Return public keys from the command line.

    Raises:
        NoteInvalid: one has another form; the error says where there are right ones.
    """
    try:
        return tuple(map(VerifierKey.parse, texts))
    except NoteInvalid as error:
        raise NoteInvalid(
            error.message,
            next_step="Give it whole, in quotes: NAME+ID+KEY. Its operator published it; `loglease serve` prints it.",
        ) from error


def log_at(run: Run, place: str | None) -> Read:
    """Return how the files of a log are read; without a place, those of the server's own log.

    Raises:
        LogUnreadable: there is no such directory.
    """
    if place is None:
        from loglease.cli.log_fetching import LogServer  # noqa: PLC0415 - a log in a directory needs no server

        return LogServer(run.client).file
    if not place.startswith(_ADDRESSES):
        return FileLog(Path(place))
    from loglease.audit.log_http import HttpLog  # noqa: PLC0415 - a log in a directory needs no HTTP

    ca_file = run.settings.ca_file
    return HttpLog(place, verify=True if ca_file is None else str(ca_file), timeout_s=run.settings.timeout_s)


def head_of(read: Read, who: Trusted, path: str = "checkpoint") -> Head:
    """Return the head of a log.

    Raises:
        LogIncomplete: there is no checkpoint.
        LogTampered: it is none, or a signature does not hold.
        NotWitnessed: too few witnesses have cosigned it.
        KeyUnknown: no trusted key has signed it.
    """
    note = read(path)
    checkpoint, signers = read_head(lambda _: note, who.keys, path)
    signed = SignedNote.parse(note or b"")
    given = {(key.name, key.key_id) for key in signers}
    others = tuple(
        f"{one.name}+{one.key_id.hex()}"
        for one in signed.signatures
        if one.name == checkpoint.origin and (one.name, one.key_id) not in given
    )
    return Head(checkpoint, note or b"", tuple(signers), _witnesses(signed, checkpoint, who.policy, path), others)


def kept_head(path: Path, who: Trusted) -> Checkpoint | None:
    """Return the head that somebody kept in a file, as a checkpoint or as a line; None if there is no file.

    Raises:
        Usage: it cannot be read, is neither, or is a checkpoint that no trusted key signed.
    """
    if not path.exists():
        return None
    content = content_of(path, MAX_NOTE_BYTES)
    if content.startswith(b"audit head: "):
        return head_of_line(content.decode(errors="replace"))
    try:
        return read_head(lambda _: content, who.keys, path.name)[0]
    except LogTampered as error:
        raise Usage(f"{path} holds no head that can be compared with: {error.message}.") from error


def keep_head(path: Path, note: bytes) -> None:
    """Replace a file with a checkpoint, in one step that survives a crash.

    Raises:
        Usage: it cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Usage(f"{path} cannot be written: {error.strerror}.", next_step="Choose another file.") from error


def content_of(path: Path, most: int) -> bytes:
    """Return a file.

    Raises:
        Usage: it cannot be read, or is larger than it may be.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}.", next_step="Check path and mode.") from error
    if len(content) > most:
        raise Usage(f"{path} has more than {most:,} bytes.")
    return content


def same_log(head: Checkpoint, older: Checkpoint, name: str) -> None:
    """Refuse to compare two logs.

    Raises:
        Usage: the heads are of different logs.
    """
    if head.origin != older.origin:
        raise Usage(
            f"{name} is a head of {older.origin}, and this is {head.origin}: two logs cannot be compared.",
            next_step="A new generation of a log has a name of its own; verify the old one where it was left.",
        )


def told(run: Run, fault: LogTampered, found: dict[str, Any]) -> Exit:
    """Tell what does not hold, and return the exit code that says so.

    Args:
        run: the call.
        fault: what is wrong.
        found: what is told to programs beside it.
    """
    word = "NOT WITNESSED" if isinstance(fault, NotWitnessed) else "TAMPERED"
    if run.out.json:
        holds = None if fault.holds is None else {"from": fault.holds.start, "to": fault.holds[-1]}
        detail = {
            "code": fault.code,
            "place": fault.place,
            "detail": fault.detail,
            "first_bad": fault.index,
            "holds": holds,
        }
        run.out.resource({**found, "verdict": word.lower().replace(" ", "_"), "fault": detail})
    else:
        run.out.data(f"{run.out.paint(word, 'bad')}{' ' * max(2, _LABEL + 1 - len(word))}{fault.message}")
        if fault.next_step:
            run.out.notice(f"next: {fault.next_step}")
    return Exit.NO


def ok(run: Run, found: dict[str, Any], text: str = "") -> Exit:
    """Tell that all holds."""
    if run.out.json:
        run.out.resource({**found, "verdict": "ok"})
    else:
        run.out.data(f"{run.out.paint('OK', 'good')}{' ' * (_LABEL - 1) if text else ''}{text}")
    return Exit.DONE


def broken(run: Run, found: dict[str, Any]) -> Exit:
    """Tell that the entries, which are what was signed, do not keep the rules together."""
    if run.out.json:
        run.out.resource({**found, "verdict": "broken"})
    else:
        run.out.data(run.out.paint("BROKEN", "bad"))
    return Exit.NO


def fact(run: Run, name: str, text: str) -> None:
    """Tell people one thing that was found; programs get it at the end."""
    if not run.out.json:
        run.out.data(f"{name:<{_LABEL + 1}}{text}")


def telling(run: Run) -> Callable[[int, int], None] | None:
    """Return how progress is shown on a terminal; None where there is none."""
    if not run.out.stderr.isatty():
        return None

    def show(done: int, whole: int) -> None:
        run.out.stderr.write(f"\r{done:,} of {whole:,} entries" if done < whole else "\r\x1b[K")
        run.out.stderr.flush()

    return show


def root_text(head: Checkpoint) -> str:
    """Return a root as checkpoints write it."""
    return base64.b64encode(head.root).decode()


def _witnesses(note: SignedNote, head: Checkpoint, policy: TrustPolicy | None, path: str) -> tuple[str, ...] | None:
    if policy is None:
        return None
    try:
        names = tuple(one.name for one in witnesses_of(note, policy))
    except NoteInvalid as error:
        raise LogTampered(path, error.message) from error
    if not policy.met_by(names):
        there = ", ".join(names) or "no witness"
        raise NotWitnessed(
            path, f"the checkpoint of size {head.size} is cosigned by {there}; the policy asks for {policy.demand()}"
        )
    return names
