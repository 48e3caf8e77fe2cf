"""What a command prints: data on stdout, notices on stderr; tables for people, resources as JSON for programs."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

from rich.cells import cell_len

from loglease.cli.configuration import Color, OutputForm
from loglease.cli.errors import Refused, code_of, problem_of
from loglease.cli.terminal import json_text, one_line, safe
from loglease.model.errors import LogLeaseError

_STYLES = {"head": "1", "good": "32", "bad": "31", "wait": "33", "dim": "2"}
SENTENCE: Final = "WHAT"
"""The header of a last column that needs no name to be understood."""

_FACT_INDENT: Final = 11
_NARROWEST: Final = 20
_STATE_STYLES = {
    "active": "good",
    "approved": "good",
    "ok": "good",
    "pending": "wait",
    "scheduled": "wait",
    "suspended": "wait",
    "revoked": "bad",
    "denied": "bad",
    "fail": "bad",
}


class Output:
    """The two streams of one call and how they are written to."""

    def __init__(self, *, stdout: TextIO, stderr: TextIO, form: OutputForm, color: Color) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.json = form is OutputForm.JSON
        self.markdown = form is OutputForm.MARKDOWN
        self._color = color
        self.audit_head: Callable[[], str | None] = lambda: None
        """Returns the head of the audit log that answers to changes had; it goes into what is printed of them."""

    def resource(self, body: Any) -> None:
        """Print a resource as JSON, indented; one that was changed carries the head of the audit log."""
        head = self.audit_head()
        if head is not None and isinstance(body, dict):
            body = {**body, "audit_head": head}
        self.stdout.write(json_text(body, indent=2) + "\n")
        self.stdout.flush()

    def record(self, body: Any) -> None:
        """Print one object as one line of JSON."""
        self.stdout.write(json_text(body) + "\n")
        self.stdout.flush()

    def data(self, text: str = "") -> None:
        """Print text for people on stdout; it may have several lines."""
        self.stdout.write(safe(text) + "\n")
        self.stdout.flush()

    def raw(self, text: str) -> None:
        """Print text as it is. Only where `--no-escape` or a pipe was asked for."""
        self.stdout.write(text)
        self.stdout.flush()

    def notice(self, text: str) -> None:
        """Tell the person something that is no data: on stderr, in both forms."""
        self.stderr.write(safe(text) + "\n")
        self.stderr.flush()

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]], *, none: str) -> None:
        """Print rows under headers; `none` is said on stderr if there is no row.

        On a terminal that is too narrow for them, each row becomes a block of lines.
        """
        cells = [[one_line(cell) for cell in row] for row in rows]
        if not cells:
            self.notice(none)
            return
        widths = [max(map(cell_len, column)) for column in zip(headers, *cells, strict=True)]
        if self._columns is not None and sum(widths) + 2 * (len(widths) - 1) > self._columns:
            self.stdout.writelines(self._block(headers, row, self._columns) for row in cells)
            self.stdout.flush()
            return
        lines = [self._row(headers, widths, head=True), *(self._row(row, widths) for row in cells)]
        self.stdout.write("\n".join(lines) + "\n")
        self.stdout.flush()

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Print name and value pairs, one a line; pairs without a value are left out."""
        for name, value in pairs:
            if value:
                first, *others = [
                    part for line in safe(value).split("\n") for part in self._wrapped(line, _FACT_INDENT)
                ]
                self.stdout.write(f"{self.paint(f'{name:<10}', 'head')} {first}\n")
                self.stdout.writelines(f"{'':<{_FACT_INDENT}}{line}\n" for line in others)
        self.stdout.flush()

    def error(self, error: LogLeaseError) -> None:
        """Print an error on stderr: what, which rule, what next; for programs the problem as JSON."""
        if self.json:
            self.stderr.write(json_text(problem_of(error), indent=2) + "\n")
            return
        lines = [
            f"{self.paint('error:', 'bad', stream=self.stderr)} {safe(error.message)} [{one_line(code_of(error))}]"
        ]
        if error.rule:
            lines.append(f"rule: {one_line(error.rule)}")
        lines += [f"  {one_line(detail)}" for detail in _faults(error)]
        if error.next_step:
            lines.append(f"next: {safe(error.next_step)}")
        if isinstance(error, Refused) and error.problem.get("trace_id"):
            lines.append(f"trace: {one_line(str(error.problem['trace_id']))}")
        self.stderr.write("\n".join(lines) + "\n")

    def paint(self, text: str, style: str, *, stream: TextIO | None = None) -> str:
        """Return text with a colour, if this stream is coloured; colour never carries meaning alone."""
        if not self.colored(stream or self.stdout):
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def colored(self, stream: TextIO) -> bool:
        """Say whether a stream is coloured."""
        return self._color is Color.ALWAYS or (self._color is Color.AUTO and stream.isatty())

    @property
    def _columns(self) -> int | None:
        """The width of the terminal that data goes to; None if it goes elsewhere."""
        return shutil.get_terminal_size().columns if self.stdout.isatty() else None

    def _wrapped(self, line: str, indent: int) -> list[str]:
        """Return a line as those that fit beside an indent; words stay whole, so that what is copied is right."""
        if self._columns is None:
            return [line]
        width = max(_NARROWEST, self._columns - indent)
        return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [line]

    def _block(self, headers: Sequence[str], row: Sequence[str], columns: int) -> str:
        """Return a row as its first cell, then the others with their names; a sentence comes last, without one."""
        named = list(zip(headers, row, strict=True))[1:]
        sentence = named.pop()[1] if headers[-1] == SENTENCE else ""
        lines = [self.paint(row[0], "head")]
        for part in [f"{header.lower()} {cell}" for header, cell in named if cell]:
            longer = f"{lines[-1]} · {part}"
            if len(lines) > 1 and cell_len(longer) <= columns:
                lines[-1] = longer
            else:
                lines += [f"  {piece}" for piece in self._wrapped(part, 2)]
        if sentence:
            lines += [f"  {piece}" for piece in self._wrapped(sentence, 2)]
        return "\n".join(lines) + "\n"

    def _row(self, cells: Sequence[str], widths: Sequence[int], *, head: bool = False) -> str:
        padded = []
        for cell, width in zip(cells, widths, strict=True):
            style = "head" if head else _STATE_STYLES.get(cell)
            space = " " * (width - cell_len(cell))
            padded.append((self.paint(cell, style) if style else cell) + space)
        return "  ".join(padded).rstrip()


def _faults(error: LogLeaseError) -> list[str]:
    if isinstance(error, Refused):
        found = error.problem.get("errors") or ()
        return [
            f"{one.get('pointer', '')} {one.get('detail', '')}".strip() for one in found if isinstance(one, Mapping)
        ]
    return [f"{one.pointer}: {one.detail}" for one in error.faults]


def moment(text: str | None) -> str:
    """Return an instant of the API as people read it in a table: date and time in UTC, to the second."""
    return "" if not text else text[:19].replace("T", " ")


def size_text(size: int) -> str:
    """Write a number of bytes: ``31 KiB``, ``255.9 MiB``."""
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004 - the factor between these units
            return f"{size:,} bytes" if unit == "bytes" else f"{amount:,.1f} {unit}"
        amount /= 1024
    return f"{amount:,.1f} GiB"
