"""The layouts of ``printf``: text with verbs into which values are filled, as Go does it, its complaints included."""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from loglease.logql.templates.printing import written, written_float
from loglease.logql.templates.values import MAX_OUTPUT, Labels, Moment, TemplateFailed, Value, within_limit

_FLAGS = re.compile(r"[-+# 0]*")
_DIGITS = re.compile(r"\d*", re.ASCII)
_INDEX = re.compile(r"\[([^\]]*)\]")
_MOST: Final = 1_000_000
"""The widest that Go writes anything."""
_PLAIN_VERBS: Final = {bool: "t", int: "d", float: "g", str: "s", Moment: "s"}
_MOST_DIGITS: Final = 9
_KINDS: Final = {bool: "bool", int: "int", float: "float64", str: "string", Labels: "map[string]string"}


def formatted(layout: str, values: tuple[Value, ...]) -> str:
    """Fill values into the verbs of a layout, and say in Go's way what does not fit."""
    return _Filler(layout, values).filled()


class _Form(NamedTuple):
    """How a verb wants its value: the flags, the width, and the precision if there is one."""

    flags: str
    width: int
    precision: int | None

    @property
    def zeros(self) -> bool:
        """Whether it is filled up with zeros rather than spaces."""
        return "0" in self.flags and "-" not in self.flags

    def padded(self, shown: str, *, zeros: bool) -> str:
        """Fill up to the width."""
        if "-" in self.flags:
            return shown.ljust(self.width)
        return shown.rjust(self.width, "0" if zeros and self.zeros else " ")

    def cut(self, shown: str) -> str:
        """Cut to the precision."""
        return shown if self.precision is None else shown[: self.precision]


class _Filler:
    """Reads a layout from left to right."""

    def __init__(self, layout: str, values: tuple[Value, ...]) -> None:
        self._layout = layout
        self._values = values
        self._position = 0
        self._next = 0
        self._jumped = False
        self._fits = True
        self._pieces: list[str] = []
        self._size = 0

    def filled(self) -> str:
        layout = self._layout
        while self._position < len(layout):
            start = layout.find("%", self._position)
            if start < 0:
                self._put(layout[self._position :])
                break
            self._put(layout[self._position : start])
            self._position = start + 1
            self._fill_one()
        rest = self._values[self._next :]
        if rest and not self._jumped:
            self._put("%!(EXTRA " + ", ".join(map(_told, rest)) + ")")
        return "".join(self._pieces)

    def _put(self, piece: str) -> None:
        self._size = within_limit(self._size + len(piece))
        self._pieces.append(piece)

    def _fill_one(self) -> None:
        self._fits = True
        form = self._form()
        if self._position >= len(self._layout):
            self._put("%!(NOVERB)")
            return
        verb = self._layout[self._position]
        self._position += 1
        if verb == "%":
            self._put("%")
        elif not self._fits:
            self._put(f"%!{verb}(BADINDEX)")
        elif self._next >= len(self._values):
            self._put(f"%!{verb}(MISSING)")
        else:
            value = self._values[self._next]
            self._next += 1
            self._put(_shown(value, verb, form, MAX_OUTPUT - self._size))

    def _form(self) -> _Form:
        """Read what stands between the percent sign and the verb: flags, width and precision, each maybe by number."""
        match = _FLAGS.match(self._layout, self._position)
        flags = match[0] if match else ""
        self._position += len(flags)
        indexed = self._jump()
        width, starred = self._number("%!(BADWIDTH)")
        if width is not None and width < 0:
            width, flags = -width, flags.replace("0", "") + "-"
        if indexed and width is not None and not starred:
            self._fits = False
        indexed = indexed and not starred
        precision = None
        if self._layout[self._position : self._position + 1] == "." and self._position + 1 < len(self._layout):
            self._position += 1
            self._fits = self._fits and not indexed
            indexed = self._jump()
            precision, starred = self._number("%!(BADPREC)")
            indexed = indexed and not starred
            if not starred:
                precision = precision or 0
            elif precision is not None and precision < 0:
                precision = None
                self._put("%!(BADPREC)")
        if not indexed:
            self._jump()
        return _Form(flags, width or 0, precision)

    def _jump(self) -> bool:
        """Go to the value with the number in brackets; says whether there was one."""
        if self._layout[self._position : self._position + 1] != "[":
            return False
        self._jumped = True
        match = _INDEX.match(self._layout, self._position)
        if match is None:
            self._fits = False
            self._position += 1
            return False
        self._position = match.end()
        digits = match[1]
        is_number = digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS
        if is_number and 1 <= int(digits) <= len(self._values):
            self._next = int(digits) - 1
            return True
        self._fits = False
        return is_number

    def _number(self, complaint: str) -> tuple[int | None, bool]:
        """Read a width or precision, None if there is none, and whether a star takes it from the values."""
        if self._layout[self._position : self._position + 1] == "*":
            self._position += 1
            taken = self._values[self._next] if self._next < len(self._values) else None
            self._next += self._next < len(self._values)
            if isinstance(taken, bool) or not isinstance(taken, int) or abs(taken) > _MOST:
                self._put(complaint)
                return None, True
            return taken, True
        match = _DIGITS.match(self._layout, self._position)
        digits = match[0] if match else ""
        if len(digits.lstrip("0")) > _MOST_DIGITS or int(digits[:-1] or 0) > _MOST:
            self._position = len(self._layout)
            return None, False
        self._position += len(digits)
        return (int(digits) if digits else None), False


def _told(value: Value) -> str:
    return "<nil>" if value is None else f"{_kind(value)}={written(value)}"


def _kind(value: Value) -> str:
    if isinstance(value, Moment):
        return "time.Time"
    return _KINDS.get(type(value), "[]interface {}" if isinstance(value, list) else "map[string]interface {}")


def _shown(value: Value, verb: str, form: _Form, room: int) -> str:
    """Write a value for a verb; it takes no more than the room that is left."""
    if form.width + (form.precision or 0) > room:
        raise TemplateFailed
    if value is None:
        return form.padded("<nil>", zeros=True) if verb in "Tv" else f"%!{verb}(<nil>)"
    if verb == "T":
        return form.padded(form.cut(_kind(value)), zeros=True)
    if isinstance(value, (list, dict)):
        return _shown_group(value, verb, form, room)
    return _shown_one(value, verb, form)


def _shown_group(value: list[Value] | dict[str, Value], verb: str, form: _Form, room: int) -> str:
    if verb == "p":
        return f"%!{verb}({_told(value)})"
    as_source = verb == "v" and "#" in form.flags
    pieces = []
    members = [(None, one) for one in value] if isinstance(value, list) else sorted(value.items())
    for key, one in members:
        shown = "" if key is None else _shown_one(key, verb, form) + ":"
        if one is None:
            shown += "interface {}(nil)" if as_source else "<nil>"
        else:
            shown += _shown(one, verb, form, room)
        pieces.append(shown)
        room -= len(shown) + 1
    if as_source:
        return _kind(value) + "{" + ", ".join(pieces) + "}"
    return ("map[" if isinstance(value, dict) else "[") + " ".join(pieces) + "]"


def _shown_one(value: Value, verb: str, form: _Form) -> str:
    shown = None
    if isinstance(value, Moment):
        shown = _text(written(value), verb, form) if verb in "vsxXq" else None
    elif isinstance(value, bool):
        shown = form.padded(written(value), zeros=True) if verb in "tv" else None
    elif isinstance(value, str):
        shown = _text(value, verb, form)
    elif isinstance(value, int):
        shown = _whole(value, verb, form)
    elif isinstance(value, float):
        shown = _real(value, verb, form)
    return f"%!{verb}({_kind(value)}={_shown_one(value, _PLAIN_VERBS[type(value)], form)})" if shown is None else shown


def _text(value: str, verb: str, form: _Form) -> str | None:
    if verb == "v":
        return form.padded(quoted(form.cut(value)) if "#" in form.flags else form.cut(value), zeros=True)
    if verb == "s":
        return form.padded(form.cut(value), zeros=True)
    if verb == "q":
        value = form.cut(value)
        if "#" in form.flags and not _NOT_RAW.search(value):
            return form.padded(f"`{value}`", zeros=True)
        return form.padded(quoted(value, ascii_only="+" in form.flags), zeros=True)
    if verb not in "xX":
        return None
    raw = value.encode()[: form.precision]
    mark = "0x" if "#" in form.flags and raw else ""
    apart = " " + mark if " " in form.flags else ""
    shown = mark + apart.join(f"{one:02x}" for one in raw)
    return form.padded(shown.upper() if verb == "X" else shown, zeros=True)


_NOT_RAW = re.compile("[\x00-\x08\x0a-\x1f`\x7f\ufeff]")
_BASES: Final = {"v": "d", "d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_MARKS: Final = {"b": "0b", "x": "0x", "X": "0X"}


def _whole(value: int, verb: str, form: _Form) -> str | None:
    if verb == "c":
        return form.padded(_character(value), zeros=True)
    if verb == "q":
        shown = "'" + "".join(_escaped(one, "'", ascii_only="+" in form.flags) for one in _character(value)) + "'"
        return form.padded(shown, zeros=True)
    if verb == "U":
        return form.padded(_code_point(value, form), zeros=False)
    if verb not in _BASES:
        return None
    if form.precision == 0 and value == 0:
        return " " * form.width
    sign = "-" if value < 0 else "+" if "+" in form.flags and verb != "v" else " " if " " in form.flags else ""
    least = form.precision or 0
    if form.precision is None and form.zeros:
        least = form.width - len(sign)
    digits = format(abs(value), _BASES[verb]).rjust(least, "0")
    if "#" in form.flags and verb in _MARKS:
        digits = _MARKS[verb] + digits
    if verb in "oO" and "#" in form.flags and digits[0] != "0":
        digits = "0" + digits
    if verb == "O":
        digits = "0o" + digits
    return form.padded(sign + digits, zeros=False)


def _code_point(value: int, form: _Form) -> str:
    shown = "U+" + format(value % (1 << 64), "X").rjust(max(4, form.precision or 0), "0")
    if "#" in form.flags and 0 <= value <= _LAST_CHARACTER and _character(value).isprintable():
        shown += f" '{_character(value)}'"
    return shown


_LAST_CHARACTER: Final = 0x10FFFF


def _character(code: int) -> str:
    surrogate = 0xD800 <= code <= 0xDFFF  # noqa: PLR2004 - Unicode's surrogates
    return "\ufffd" if surrogate or not 0 <= code <= _LAST_CHARACTER else chr(code)


def _real(value: float, verb: str, form: _Form) -> str | None:
    if verb not in "vgGeEfF":
        return None
    shown = _digits(value, verb, form)
    if shown[0] not in "+-":
        shown = "+" + shown
    shows_plus = "+" in form.flags and verb != "v"
    if shown[0] == "+" and " " in form.flags and not shows_plus:
        shown = " " + shown[1:]
    if not math.isfinite(value):
        if math.isnan(value) and not shows_plus and " " not in form.flags:
            shown = shown[1:]
        return form.padded(shown, zeros=False)
    if shows_plus or shown[0] != "+":
        if form.zeros:
            return shown[0] + shown[1:].rjust(form.width - 1, "0")
        return form.padded(shown, zeros=True)
    return form.padded(shown[1:], zeros=True)


def _digits(value: float, verb: str, form: _Form) -> str:
    if not math.isfinite(value):
        return written_float(value)
    kind = "g" if verb == "v" else verb.lower()
    if kind == "g" and form.precision is None:
        shown = written_float(value)
    else:
        shown = format(value, f".{6 if form.precision is None else form.precision}{kind}")
    if "#" in form.flags and verb != "v":
        shown = _with_point(shown, (6 if form.precision is None else form.precision) if kind == "g" else 0)
    return shown.upper() if verb in "EG" else shown


def _with_point(shown: str, digits: int) -> str:
    """Put the point and the zeros behind it back, up to so many digits that count."""
    mantissa, mark, exponent = shown.partition("e")
    counted = len(mantissa.lstrip("+-0.").replace(".", ""))
    if "." not in mantissa:
        counted += mantissa.lstrip("+-") == "0"
        mantissa += "."
    return mantissa + "0" * max(0, digits - counted) + mark + exponent


_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}


def quoted(value: str, *, ascii_only: bool = False) -> str:
    """Write a text in double quotes, what cannot be printed escaped."""
    return '"' + "".join(_escaped(one, '"', ascii_only=ascii_only) for one in value) + '"'


def _escaped(one: str, quote: str, *, ascii_only: bool) -> str:
    if one == quote:
        return "\\" + quote
    if one in _ESCAPES:
        return _ESCAPES[one]
    if one.isprintable() and (one.isascii() or not ascii_only):
        return one
    code = ord(one)
    if code < 0x80:  # noqa: PLR2004 - one byte
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - two bytes
