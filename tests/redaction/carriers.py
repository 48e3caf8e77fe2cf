"""Carriers: every dress in which a secret travels through a log, and how much of the matrix of them a redactor masks.

A carrier makes lines of a value and says which part of each line has to go. `matrix` runs all of it; `bench` prints it.
"""

from __future__ import annotations

import base64
import html
import json
import random
import shlex
import string
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from loglease.redaction import Redacted, Redactor
from loglease.redaction.controls import control_edits

Kind = Literal["password", "e-mail", "card", "aws-key-id", "github-token"]
Demand = Literal["must", "should"]
KINDS: Final[tuple[Kind, ...]] = ("password", "e-mail", "card", "aws-key-id", "github-token")
_LETTERS: Final = string.ascii_letters + string.digits
_BASE32: Final = string.ascii_uppercase + "234567"
_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


class Dressed(NamedTuple):
    """One line in three parts; the middle one has to go, down to its last letter and digit."""

    before: str
    hidden: str
    after: str = ""

    @property
    def line(self) -> str:
        """Return the whole line."""
        return self.before + self.hidden + self.after


class Cell(NamedTuple):
    """What a carrier and a kind of value came to: how many lines were tried, and those not masked in full."""

    demand: Demand
    tried: int
    leaked: tuple[str, ...]


Carrier = Callable[[Kind, str, random.Random], Iterator[Dressed]]


def value_of(kind: Kind, chance: random.Random) -> str:
    """Make up a value that its own checks accept."""
    if kind == "password":
        size = chance.randrange(6, 21)
        return chance.choice(_LETTERS) + "".join(chance.choice(_LETTERS + "-_.!$*~^") for _ in range(size)) + "9z"
    if kind == "e-mail":
        names = ["anna", "b.ottesen", "k_mueller", "dev-ops", "x" + str(chance.randrange(10**5))]
        hosts = ["example.com", "mail.example.org", "example.net", "shop.example.co.uk", "intern.example.de"]
        return f"{chance.choice(names)}{chance.randrange(1000)}@{chance.choice(hosts)}"
    if kind == "card":
        return _card(chance)
    if kind == "aws-key-id":
        return chance.choice(["AKIA", "ASIA"]) + "".join(chance.choice(_BASE32) for _ in range(16))
    body = "".join(chance.choice(_LETTERS) for _ in range(30))
    number, tail = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        tail = _BASE62[digit] + tail
    return chance.choice(["ghp_", "gho_", "ghs_"]) + body + tail.rjust(6, "0")


def _card(chance: random.Random) -> str:
    digits = chance.choice(["4", "51", "55", "2221"])
    digits += "".join(chance.choice(string.digits) for _ in range(15 - len(digits)))
    total = sum(int(digit) if place % 2 else sum(divmod(2 * int(digit), 10)) for place, digit in enumerate(digits))
    digits += str(-total % 10)
    gap = chance.choice(["", " ", "-"])
    return gap.join(digits[at : at + 4] for at in range(0, 16, 4))


def _key(kind: Kind) -> str:
    return "password" if kind == "password" else "note"


def _named(kind: Kind, value: str) -> str:
    return f"password={value}" if kind == "password" else value


# How the text of a line is written around a value. `code` writes a text as the carrier does.
def _in_json(depth: int) -> Carrier:
    def dressed(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
        for document in ({"level": "info", _key(kind): "\0", "n": 1}, {"msg": f"got {_named(kind, chr(0))} there"}):
            text, inner = json.dumps(document), value
            for _level in range(depth):
                text = json.dumps({"inner": text, "n": 2})
            text = text.replace("\\" * (2**depth - 1) + "\\u0000", "\0")
            for _level in range(depth + 1):
                inner = json.dumps(inner)[1:-1]
            before, _, after = text.partition("\0")
            yield Dressed(before, inner, after)

    return dressed


def _plain(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
    named = "the password: " if kind == "password" else "seen "
    yield Dressed(named, value, " here")
    yield Dressed("password=" if kind == "password" else "", value)


def _logfmt(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
    if " " not in value:
        yield Dressed(f"level=info {_key(kind)}=", value, " status=200")
    yield Dressed(f'level=info {_key(kind)}="', value, '" status=200')


def _yaml(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
    for quote in ("", "'", '"'):
        yield Dressed(f"  {_key(kind)}: {quote}", value, quote)
    yield Dressed(f"- {_key(kind)}: ", value)


def _printed(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
    for mark in ("b'", "'", 'b"', "u'"):
        yield Dressed(f"{{'user': 7, '{_key(kind)}': {mark}", value, f"{mark[-1]}, 'n': 1}}")


def _element(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
    yield Dressed(f"<db><{_key(kind)}>", escape(value), f"</{_key(kind)}></db>")
    yield Dressed(f"<ns:{_key(kind)} xml:lang='en'>" if kind != "password" else "<ns:password>", escape(value), "</x>")


def _attribute(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
    yield Dressed(f'<db {_key(kind)}="', quoteattr(value)[1:-1], '" n="1"/>')
    yield Dressed(f"<db n='1' {_key(kind)} = '", escape(value), "'/>")


def _option(between: str) -> Carrier:
    def dressed(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
        quoted = shlex.quote(value)
        edge = "'" if quoted != value else ""
        yield Dressed(f"run --{_key(kind)}{between}{edge}", value, f"{edge} --host x")
        yield Dressed(f'run --db-{_key(kind)}{between}"', value, '"')

    return dressed


def _user_part(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
    written = urllib.parse.quote(value, safe="!$*~^")
    if kind == "password":
        yield Dressed("postgres://app:", written, "@db.example:5432/x")
        yield Dressed("dial redis://:", written, "@cache.example")
    else:
        yield Dressed("dial https://", written, "@db.example/x")
        yield Dressed("postgres://app:", written, "@db.example:5432/x")


def _query(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
    for written in {urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value, safe="@!$*")}:
        yield Dressed(f"GET /login?a=1&{_key(kind)}=", written, "&next=/ HTTP/1.1")
        yield Dressed(f'"POST /x?{_key(kind)}=', written, ' HTTP/1.1" 200')


def _cookie(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
    yield Dressed(f"Cookie: theme=dark; {_key(kind)}=", value, "; x=1")
    yield Dressed(f"Set-Cookie: {_key(kind)}=", value, "; Path=/; HttpOnly")
    yield Dressed(f'cookies="theme=dark; {_key(kind)}=', value, '; x=1"')


def _coded(code: Callable[[str, random.Random], str], *, whole: bool = True) -> Carrier:
    """Write key and value in a code of single characters; `whole`: also the value alone."""

    def dressed(kind: Kind, value: str, chance: random.Random) -> Iterator[Dressed]:
        named = code("password=" if kind == "password" else "x ", chance)
        yield Dressed("got " + named, code(value, chance), " there")
        if whole:
            clear = "password=" if kind == "password" else ""
            yield Dressed(f"got {clear}", code(value, chance), " there")
        quoted = '{"password":"' if kind == "password" else '{"note":"'
        yield Dressed("got " + code(quoted, chance), code(value, chance), code('"}', chance))

    return dressed


def _percent(text: str, _: random.Random) -> str:
    return urllib.parse.quote(text, safe="")


def _percent_each(text: str, _: random.Random) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def _twice(code: Callable[[str, random.Random], str]) -> Callable[[str, random.Random], str]:
    return lambda text, chance: urllib.parse.quote(code(text, chance), safe="")


def _each(pattern: str, share: float = 1.0) -> Callable[[str, random.Random], str]:
    """Write each character, or a share of them, by its number."""
    return lambda text, chance: "".join(pattern.format(ord(char)) if chance.random() < share else char for char in text)


def _by_name(text: str, _: random.Random) -> str:
    names = {
        "@": "commat", ".": "period", "_": "lowbar", "=": "equals", ":": "colon", '"': "quot", " ": "nbsp", "-": "hyphen",
        "!": "excl", "$": "dollar", "*": "ast", "^": "Hat", "~": "tilde", "{": "lcub", "}": "rcub",
    }  # fmt: skip
    return "".join(f"&{names[char]};" if char in names else html.escape(char) for char in text)


def _sown(*marks: str) -> Callable[[str, random.Random], str]:
    """Sow marks between the characters: here and there, never none."""

    def code(text: str, chance: random.Random) -> str:
        places = {chance.randrange(1, len(text)), *(at for at in range(1, len(text)) if chance.random() < 0.3)}
        return "".join((chance.choice(marks) if at in places else "") + char for at, char in enumerate(text))

    return code


def _over_struck(text: str, chance: random.Random) -> str:
    return "".join(f"{chance.choice([char, '_'])}\b{char}" for char in text)


def _accented(text: str, chance: random.Random) -> str:
    return "".join(char + chance.choice(["\u0301", "\u0336", "\u0301\u0323", ""]) for char in text) + "\u0301"


def _full_width(text: str, _: random.Random) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def _arabic(text: str, _: random.Random) -> str:
    return "".join(chr(0x660 + int(char)) if char in string.digits else char for char in text)


def _mathematical(text: str, _: random.Random) -> str:
    return text.translate(
        {ord(char): 0x1D7CE + place for place, char in enumerate(string.digits)}
        | {ord(char): 0x1D400 + place for place, char in enumerate(string.ascii_uppercase)}
        | {ord(char): 0x1D41A + place for place, char in enumerate(string.ascii_lowercase)}
    )


def _no_break(kind: Kind, value: str, chance: random.Random) -> Iterator[Dressed]:
    for gap in ("\u00a0", "\u202f", "\u2007"):
        named = f"the password:{gap}" if kind == "password" else f"seen{gap}"
        yield Dressed(named, value.replace(" ", gap), f"{gap}here")


def _quoted_printable(text: str, _: random.Random) -> str:
    return "".join(f"={ord(char):02X}" if char in '=@"{}' or char == "." else char for char in text)


def _run(encode: Callable[[str], str]) -> Carrier:
    def dressed(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
        document = {"user": 7, _key(kind): value}
        for text in (f"{_named(kind, value)} was sent", json.dumps(document)):
            for shift in range(3):
                yield Dressed("blob=", encode("~" * shift + text), " end")
                yield Dressed('{"data":"', encode("~" * shift + text), '"}')

    return dressed


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _base64_bare(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _both(*carriers: Carrier) -> Carrier:
    def dressed(kind: Kind, value: str, chance: random.Random) -> Iterator[Dressed]:
        for carrier in carriers:
            yield from carrier(kind, value, chance)

    return dressed


def _number(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
    digits = value.replace(" ", "").replace("-", "")
    yield Dressed('{"card":', digits, ',"n":1}')
    yield Dressed('{"m":"{\\"card\\": [7, ', digits, ']}"}')


def _sql(words: str) -> Carrier:
    def dressed(kind: Kind, value: str, _: random.Random) -> Iterator[Dressed]:
        yield Dressed(f"ALTER USER bob {words} '", value.replace("'", "''"), "' REQUIRE SSL")
        yield Dressed(f"alter user bob {words.lower()} '", value.replace("'", "''"), "';")

    return dressed


Demands = dict[Kind, Demand]
_ALL: Final[Demands] = dict.fromkeys(KINDS, "must")
_TEXT: Final[Demands] = {
    "password": "must",
    "e-mail": "should",
    "card": "must",
    "aws-key-id": "should",
    "github-token": "should",
}
_WHOLE: Final[Demands] = {
    "password": "must",
    "e-mail": "should",
    "card": "should",
    "aws-key-id": "must",
    "github-token": "must",
}

CARRIERS: Final[dict[str, tuple[Demands, Carrier]]] = {
    "plain": (_ALL, _plain),
    "logfmt": (_ALL, _logfmt),
    "JSON string": (_ALL, _in_json(0)),
    "YAML": (_ALL, _yaml),
    "JSON in JSON": (_ALL, _in_json(1)),
    "JSON in JSON twice": (_ALL, _in_json(2)),
    "printed structure": (_ALL, _printed),
    "XML element": (_ALL, _element),
    "XML attribute": (_ALL, _attribute),
    "--password X": (_ALL, _option(" ")),
    "--password=X": (_ALL, _option("=")),
    "URL user part": (_ALL, _user_part),
    "query string": (_ALL, _query),
    "cookie": (_ALL, _cookie),
    "percent": (_ALL, _both(_coded(_percent), _coded(_percent_each))),
    "percent twice": (_ALL, _both(_coded(_twice(_percent)), _coded(_twice(_percent_each)))),
    "\\u00hh": (_ALL, _both(_coded(_each("\\u{:04x}")), _coded(_each("\\u{:04X}", 0.4)), _coded(_each("\\u{{{:x}}}")))),
    "\\xhh": (_ALL, _both(_coded(_each("\\x{:02x}")), _coded(_each("\\x{:02X}", 0.4)))),
    "entities by name": (_ALL, _coded(_by_name)),
    "entities in decimal": (_ALL, _both(_coded(_each("&#{};")), _coded(_each("&#{:03};", 0.4)))),
    "entities in hex": (_ALL, _both(_coded(_each("&#x{:x};")), _coded(_each("&#X{:04X};", 0.4)))),
    "zero-width": (_ALL, _coded(_sown("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"))),
    "soft hyphen": (_ALL, _coded(_sown("\u00ad"))),
    "colour inside": (_ALL, _coded(_sown("\x1b[31m", "\x1b[0m", "\x1b[1;38;5;200m"))),
    "no-break space": (_ALL, _no_break),
    "full-width": (_TEXT, _coded(_full_width)),
    "Arabic-Indic": (_TEXT, _coded(_arabic)),
    "mathematical": (_TEXT, _coded(_mathematical)),
    "base64": (_WHOLE, _both(_run(_base64), _run(_base64_bare))),
    "hex": (_WHOLE, _both(_run(lambda text: text.encode().hex()), _run(lambda text: text.encode().hex().upper()))),
    "JSON number": ({"card": "must"}, _number),
    "SQL IDENTIFIED BY": ({"password": "must"}, _sql("IDENTIFIED BY")),
    "SQL PASSWORD": ({"password": "must"}, _sql("WITH PASSWORD")),
    "octal": (_ALL, _both(_coded(_each("\\{:03o}")), _coded(_each("\\{:03o}", 0.4)))),
    "over-strike": (_ALL, _coded(_over_struck)),
    "combining marks": (_ALL, _coded(_accented)),
    "quoted-printable": (_TEXT, _both(_coded(_quoted_printable), _coded(_each("={:02X}")))),
}


def shown(text: str) -> str:
    """Return a text as it leaves where nothing in it is masked."""
    data, out, at = text.encode(), b"", 0
    for start, end, replacement in control_edits(data):
        out += data[at:start] + replacement
        at = end
    return (out + data[at:]).decode()


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def is_masked(result: Redacted, dressed: Dressed) -> bool:
    """Tell whether nothing is left of the hidden part: what stays are letters and digits of a beginning of the line and of its end."""
    left, at = b"", 0
    for span in result.spans:
        left += result.out[at : span.start]
        left += result.out[span.start : span.end] if span.kind == "control" else b""
        at = span.end
    rest = (left + result.out[at:]).decode()
    rest, before, after = (_letters(text) for text in (rest, shown(dressed.before), shown(dressed.after)))
    kept = 0
    while kept < min(len(rest), len(before)) and rest[kept] == before[kept]:
        kept += 1
    return any(after.endswith(rest[place:]) for place in range(kept + 1))


def dressings(carrier: str, kind: Kind, *, seed: int, values: int) -> Iterator[Dressed]:
    """Yield the lines of one cell, for so many random values."""
    chance = random.Random(f"{carrier} {kind} {seed}")  # noqa: S311 - made-up values
    for _ in range(values):
        yield from CARRIERS[carrier][1](kind, value_of(kind, chance), chance)


def cell(redactor: Redactor, carrier: str, kind: Kind, *, seed: int = 1, values: int = 4) -> Cell:
    """Try one cell."""
    lines = list(dressings(carrier, kind, seed=seed, values=values))
    leaked = []
    for dressed in lines:
        data = dressed.line.encode()
        if not is_masked(redactor.open().feed(data, [len(data)]), dressed):
            leaked.append(dressed.line)
    return Cell(CARRIERS[carrier][0][kind], len(lines), tuple(leaked))


def matrix(redactor: Redactor, *, seed: int = 1, values: int = 4) -> dict[tuple[str, Kind], Cell]:
    """Try every cell that is promised, by carrier and kind; a cell without leaks is fully masked."""
    return {
        (carrier, kind): cell(redactor, carrier, kind, seed=seed, values=values)
        for carrier, (demands, _) in CARRIERS.items()
        for kind in demands
    }


def summary(cells: dict[tuple[str, Kind], Cell]) -> dict[str, int]:
    """Count cells and fully masked ones, those that must be and those that should be."""
    counted = {"must": 0, "must masked": 0, "should": 0, "should masked": 0}
    for one in cells.values():
        counted[one.demand] += 1
        counted[f"{one.demand} masked"] += not one.leaked
    return counted


def report(cells: dict[tuple[str, Kind], Cell]) -> str:
    """Return the matrix as a table, with the count of masked cells below; S marks a cell that should be masked."""
    rows = ["| carrier | " + " | ".join(KINDS) + " |", "| --- |" + " --- |" * len(KINDS)]
    for carrier in CARRIERS:
        row = []
        for kind in KINDS:
            one = cells.get((carrier, kind))
            word = "–" if one is None else ("**NO**" if one.leaked else "yes")
            row.append(word + (" (S)" if one is not None and one.demand == "should" else ""))
        rows.append(f"| {carrier} | " + " | ".join(row) + " |")
    counted = summary(cells)
    rows.append(
        f"{len(cells)} cells of {len(CARRIERS)} carriers: {counted['must masked']} of {counted['must']} that must be "
        f"masked are, {counted['should masked']} of {counted['should']} that should be."
    )
    return "\n".join(rows)
