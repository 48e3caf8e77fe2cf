"""`redact`: mask a stream of text, locally."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Annotated, BinaryIO, Final, Literal

from cyclopts import Parameter

from loglease.cli.errors import CliError, Usage
from loglease.cli.redact_bench import bench
from loglease.cli.rule_files import Plugins, extensions_named, rule_files
from loglease.cli.run import Here, Run, flag
from loglease.cli.secret_files import read_secret
from loglease.cli.terminal import json_text
from loglease.model.errors import FieldFault
from loglease.redaction import (
    KEY_BYTES,
    Counters,
    Keys,
    Library,
    Pack,
    ProfileInvalid,
    Redacted,
    RedactionError,
    RedactionStream,
    Redactor,
    RulesInvalid,
    builtin_library,
    load_library,
    profile_named,
    redactor_for,
)
from loglease.redaction.explain import ExplainingStream, Explanation
from loglease.redaction.proof import everything_masked

_CHUNK: Final = 256 << 10
_EXPLAINED: Final = 16 << 10
_MARKER_BYTES: Final = 16


class NotRedacted(CliError):
    """Text was withheld, or profile, rules, engine or key cannot be used; the code is that of the cause."""

    def __init__(self, error: RedactionError) -> None:
        faults = error.faults if isinstance(error, RulesInvalid | ProfileInvalid) else ()
        super().__init__(
            f"The rules have {len(faults)} mistake{'s' * (len(faults) != 1)}." if faults else str(error),
            next_step=(
                "Correct them: loglease rules check shows each." if faults
                else "Nothing more is printed. See: loglease redact --help"
            ),
            faults=tuple(
                FieldFault(f"{one.file}:{one.line}:{one.column}", "", f"{one.where}: {one.detail}") for one in faults
            ),
        )  # fmt: skip
        self.code = error.code  # type: ignore[misc]  # this error has the code of its cause


def redact(
    *files: Annotated[Path, Parameter(name="FILE", help="files to read; default: standard input")],
    profile: Annotated[
        str, flag("a redaction profile by name, or a file with one; default pii-default")
    ] = "pii-default",
    rules: Annotated[list[Path] | None, flag("packs and profiles of your own: a file or directory; repeatable")] = None,
    engine: Annotated[
        Literal["auto", "hyperscan", "re2", "python"], flag("what finds the places; default auto")
    ] = "auto",
    key_file: Annotated[Path | None, flag("32 bytes as hex, mode 0600; else a random key is used")] = None,
    tokens: Annotated[
        Literal["neutralise", "keep"], flag("what to do with tokens that are in the text; default neutralise")
    ] = "neutralise",
    explain: Annotated[bool, flag("say on stderr what was masked where and why, and what was turned down")] = False,
    show_values: Annotated[bool, flag("with --explain: show the values, too")] = False,
    bench_: Annotated[bool, flag("measure on this text instead of printing it", name="--bench")] = False,
    plugin: Plugins = None,
    run: Here,
) -> None:
    """Mask secrets and personal data in text, without a server.

    Reads standard input or files of any length and writes standard output, in constant memory. With one key equal
    values get equal tokens. `--explain` names line, place in it, rule, class, treatment and disguise of each span, and
    why a candidate was left alone.
    """
    if show_values and not explain:
        raise Usage("--show-values shows what --explain explains.", next_step="Add --explain.")
    try:
        library, pin = _library(profile, rules or (), plugin)
        _say_unused(run, library, pin)
        redactor = redactor_for(
            [pin],
            keys=Keys(_key(key_file)),
            marker=_marker(),
            engine=engine,
            profiles=library.profiles,
            packs=library.packs,
            tokens=tokens,
        )
        if bench_:
            bench(run, redactor, _sources(run, files))
            return
        writer = _Writer(run, redactor, explain=explain, show_values=show_values)
        for name, source in _sources(run, files):
            writer.copy(source, name)
    except RedactionError as error:
        raise NotRedacted(error) from error
    if explain:
        writer.summary()


def _library(profile: str, rules: Sequence[Path], plugins: Sequence[str] | None) -> tuple[Library, str]:
    """Return packs and profiles, and the profile to use by name and version."""
    is_file = "/" in profile or profile.endswith((".yaml", ".yml"))
    files = rule_files([*rules, *([Path(profile)] if is_file else [])])
    extensions = extensions_named(plugins)
    library = load_library(files, extensions=extensions) if files else builtin_library(extensions)
    if not is_file:
        return library, profile_named(profile, library.profiles).pin
    pin = library.files[str(Path(profile))]
    if pin not in {one.pin for one in library.profiles}:
        raise Usage(f"{profile} holds no profile.", next_step="A profile begins with profile: and its name.")
    return library, pin


def _say_unused(run: Run, library: Library, pin: str) -> None:
    used = profile_named(pin, library.profiles).packs
    unused = [pack.pin for pack in library.packs if pack.pin in library.own and pack.pin not in used]
    if unused:
        run.out.notice(f"warning: the profile {pin} does not name {', '.join(unused)}, so their rules are not used")


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


def _sources(run: Run, files: Sequence[Path]) -> Iterator[tuple[str, BinaryIO]]:
    if not files:
        yield "-", run.stdin.buffer
    for name in files:
        with _opened(name) as source:
            yield str(name), source


@contextmanager
def _opened(name: Path) -> Iterator[BinaryIO]:
    try:
        source = name.open("rb", buffering=0)
    except OSError as error:
        raise Usage(f"{name}: {error.strerror}.", next_step="Check path and mode.") from error
    with source:
        yield source


class _Writer:
    """Writes redacted text to standard output, and explanations to standard error."""

    def __init__(self, run: Run, redactor: Redactor, *, explain: bool, show_values: bool) -> None:
        self._run = run
        self._redactor = redactor
        self._explain = explain
        self._show_values = show_values
        self._counts = Counters()

    def copy(self, source: BinaryIO, name: str) -> None:
        """Redact one stream; what is complete leaves at once, so that a slow pipe is not held up."""
        stream: RedactionStream = ExplainingStream(self._redactor) if self._explain else self._redactor.open()
        # What a pipe holds now, not a full buffer; a raw file has no read1 and never reads more than there is.
        read = getattr(source, "read1", source.read)
        size = _EXPLAINED if self._explain else _CHUNK
        while chunk := read(size):
            self._write(stream.feed(chunk), stream, name)
        self._write(stream.close(), stream, name)

    def _write(self, found: Redacted, stream: RedactionStream, name: str) -> None:
        sink = self._run.out.stdout.buffer
        sink.write(found.out)
        sink.flush()
        self._counts.add(found.counters)
        if isinstance(stream, ExplainingStream):
            _print_taken(self._run, name, stream, show_values=self._show_values)

    def summary(self) -> None:
        """Say how much of what was masked."""
        if self._run.out.json:
            return
        masks = ", ".join(f"{rule} {count:,}" for rule, count in Counter(self._counts.masks).most_common())
        self._run.out.notice(f"{self._counts.lines:,} lines by {self._redactor.engine}; masked: {masks or 'nothing'}")


def print_explanation(run: Run, name: str, one: Explanation, *, show_values: bool) -> None:
    """Write on standard error why one range was masked or left alone; its value only if that was asked for."""
    shown = one.value.decode("utf-8", "replace") if show_values else None
    if run.out.json:
        row = {
            "file": name, "line": one.line, "start": one.start, "end": one.end, "kind": one.kind, "rule": one.rule,
            "class": one.cls, "treatment": one.treatment, "view": one.view, "reason": one.reason, "value": shown,
        }  # fmt: skip
        run.out.stderr.write(json_text({key: value for key, value in row.items() if value not in ("", None)}) + "\n")
        return
    what = f"rejected by {one.reason}" if one.reason else one.treatment
    value = f"  {shown}" if shown is not None else ""
    run.out.notice(f"{name}:{one.line}:{one.start}-{one.end} {one.rule} ({one.cls}) {what} [{one.view}]{value}")


@cache
def _marker() -> bytes:
    """Return the mark of this process's canary: random, and the same while it runs."""
    return token_hex(_MARKER_BYTES).encode()


def found_in(run: Run, file: Path, packs: Sequence[Pack], *, show_values: bool) -> None:
    """Say on standard error what some packs alone find in a file.

    Raises:
        NotRedacted: an engine failed.
    """
    profile = everything_masked(packs)
    try:
        redactor = redactor_for([profile.pin], keys=None, marker=_marker(), profiles=[profile], packs=packs)
        stream = ExplainingStream(redactor)
        with _opened(file) as source:
            while chunk := source.read(_EXPLAINED):
                stream.feed(chunk)
                _print_taken(run, str(file), stream, show_values=show_values)
        stream.close()
        _print_taken(run, str(file), stream, show_values=show_values)
    except RedactionError as error:
        raise NotRedacted(error) from error


def _print_taken(run: Run, name: str, stream: ExplainingStream, *, show_values: bool) -> None:
    for one in stream.taken():
        print_explanation(run, name, one, show_values=show_values)
