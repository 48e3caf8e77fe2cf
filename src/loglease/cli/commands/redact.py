"""`redact`: mask a stream of text, locally."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Annotated, BinaryIO, Final, Literal

from cyclopts import Parameter

from loglease.cli.errors import CliError, Usage
from loglease.cli.run import Here, Run, flag
from loglease.cli.secret_files import read_secret
from loglease.cli.terminal import json_text
from loglease.redaction import (
    KEY_BYTES,
    Counters,
    Keys,
    Redacted,
    RedactionError,
    Redactor,
    parse_profile,
    profiles,
    redactor_for,
)

_CHUNK: Final = 256 << 10
_MARKER_BYTES: Final = 16


class NotRedacted(CliError):
    """Text was withheld, or profile, engine or key cannot be used; the code is that of the cause."""

    def __init__(self, error: RedactionError) -> None:
        super().__init__(str(error), next_step="Nothing more is printed. See: loglease redact --help")
        self.code = error.code  # type: ignore[misc]  # this error has the code of its cause


def redact(
    *files: Annotated[Path, Parameter(name="FILE", help="files to read; default: standard input")],
    profile: Annotated[
        str, flag("a redaction profile by name, or a file with one; default pii-default")
    ] = "pii-default",
    engine: Annotated[
        Literal["auto", "hyperscan", "re2", "python"], flag("what finds the places; default auto")
    ] = "auto",
    key_file: Annotated[Path | None, flag("32 bytes as hex, mode 0600; else a random key is used")] = None,
    tokens: Annotated[
        Literal["neutralise", "keep"], flag("what to do with tokens that are in the text; default neutralise")
    ] = "neutralise",
    explain: Annotated[bool, flag("say on stderr what was masked where, and by which rule")] = False,
    run: Here,
) -> None:
    """Mask secrets and personal data in text, without a server.

    Reads standard input or files of any length and writes standard output, in constant memory. With one key equal
    values get equal tokens.
    """
    try:
        redactor = _redactor(profile, engine, key_file, tokens)
        counts = Counters()
        if not files:
            _copy(run, redactor, run.stdin.buffer, "-", counts, explain=explain)
        for name in files:
            with _opened(name) as source:
                _copy(run, redactor, source, str(name), counts, explain=explain)
    except RedactionError as error:
        raise NotRedacted(error) from error
    if explain:
        _summary(run, counts, redactor.engine)


def _redactor(profile: str, engine: str, key_file: Path | None, tokens: Literal["neutralise", "keep"]) -> Redactor:
    known, pin = None, profile
    if "/" in profile or profile.endswith((".yaml", ".yml")):
        try:
            own = parse_profile(Path(profile).read_bytes())
        except OSError as error:
            raise Usage(f"The profile {profile} cannot be read.", next_step="Check path and mode.") from error
        known, pin = [*profiles(), own], own.pin
    return redactor_for(
        [pin],
        keys=Keys(_key(key_file)),
        marker=token_hex(_MARKER_BYTES).encode(),
        engine=engine,
        profiles=known,
        tokens=tokens,
    )


def _key(file: Path | None) -> bytes:
    if file is None:
        return token_bytes(KEY_BYTES)
    text = read_secret(file)
    try:
        key = bytes.fromhex((text or "").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise Usage(
            f"{file} holds no key of {KEY_BYTES} bytes as hex.",
            next_step=f"(umask 077; openssl rand -hex {KEY_BYTES} > {file})",
        )
    return key


@contextmanager
def _opened(name: Path) -> Iterator[BinaryIO]:
    try:
        source = name.open("rb", buffering=0)
    except OSError as error:
        raise Usage(f"{name}: {error.strerror}.", next_step="Check path and mode.") from error
    with source:
        yield source


def _copy(run: Run, redactor: Redactor, source: BinaryIO, name: str, counts: Counters, *, explain: bool) -> None:
    """Redact one stream; what is complete leaves at once, so that a slow pipe is not held up."""
    stream = redactor.open()
    sink = run.out.stdout.buffer
    # What a pipe holds now, not a full buffer; a raw file has no read1 and never reads more than there is.
    read = getattr(source, "read1", source.read)
    line = 1
    while chunk := read(_CHUNK):
        line = _written(run, stream.feed(chunk), sink, name, line, counts, explain=explain)
    _written(run, stream.close(), sink, name, line, counts, explain=explain)


def _written(
    run: Run, found: Redacted, sink: BinaryIO, name: str, line: int, counts: Counters, *, explain: bool
) -> int:
    sink.write(found.out)
    sink.flush()
    counts.add(found.counters)
    if not explain:
        return line
    for at, (_, spans) in enumerate(found.entries()):
        for span in spans:
            place = {"file": name, "line": line + at, "start": span.start, "end": span.end, "kind": span.kind}
            if run.out.json:
                run.out.stderr.write(
                    json_text({**place, "rule": span.rule, "class": span.cls, "treatment": span.treatment}) + "\n"
                )
            else:
                run.out.notice(f"{name}:{line + at}:{span.start}-{span.end} {span.rule} ({span.cls}) {span.treatment}")
    return line + found.out.count(b"\n")


def _summary(run: Run, counts: Counters, engine: str) -> None:
    if run.out.json:
        return
    masks = ", ".join(f"{rule} {count:,}" for rule, count in Counter(counts.masks).most_common()) or "nothing"
    run.out.notice(f"{counts.lines:,} lines by {engine}; masked: {masks}")
