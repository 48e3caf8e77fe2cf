"""Made-up secrets, each in a log line of some shape, and a search for them in everything that comes out.

A value is random and long enough that any twelve of its characters stand nowhere else. The search looks through escapes,
compression aside: what is found is a leak, whatever it is written in.
"""

from __future__ import annotations

import base64
import html
import json
import random
import re
import string
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from tests.promises.twins import luhn

ALNUM = string.ascii_letters + string.digits
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
PIECE = 9
STRIDE = 4
"""Pieces of nine bytes, one each four: every twelve bytes of a value in a row hold one of them."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A secret and where it stands.

    Attributes:
        shape: json, logfmt or plain.
        text: one line, or several for a key, without the time.
        value: the secret.
    """

    kind: str
    shape: str
    text: str
    value: str


def _some(chance: random.Random, count: int, letters: str = ALNUM) -> str:
    return "".join(chance.choices(letters, k=count))


def _github(chance: random.Random) -> str:
    body = _some(chance, 30)
    rest, tail = zlib.crc32(body.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        tail = BASE62[digit] + tail
    return f"ghp_{body}{tail}"


def _jwt(chance: random.Random) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": _some(chance, 18), "iat": chance.randrange(10**9, 2 * 10**9)})
    encoded = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts]
    return ".".join([*encoded, _some(chance, 43)])


def _card(chance: random.Random) -> str:
    body = "4" + _some(chance, 14, string.digits)
    return body + next(digit for digit in string.digits if luhn(body + digit) == 0)


def _iban(chance: random.Random) -> str:
    body = _some(chance, 18, string.digits)
    return f"DE{98 - int(body + '131400') % 97:02d}{body}"


def _email(chance: random.Random) -> str:
    return f"{_some(chance, 16, string.ascii_lowercase)}@{_some(chance, 12, string.ascii_lowercase)}.example.com"


def _password(chance: random.Random) -> str:
    return f"{_some(chance, 16)}{chance.randrange(10)}x"


KEYED: dict[str, tuple[tuple[str, ...], Callable[[random.Random], str]]] = {
    "password": (("password", "db_password", "userPassword", "PGPASSWORD", "passwd"), _password),
    "client secret": (("client_secret", "clientSecret", "webhook-secret"), lambda c: _some(c, 32)),
    "api key": (("x-api-key", "apiKey"), lambda c: _some(c, 28)),
    "aws secret": (("aws_secret_access_key", "SecretAccessKey"), lambda c: _some(c, 40)),
    "refresh token": (("refresh_token", "accessToken"), lambda c: _some(c, 30)),
}
PLAIN: dict[str, Callable[[random.Random], str]] = {
    "github": _github,
    "gitlab": lambda c: f"glpat-{_some(c, 20)}",
    "slack": lambda c: f"xoxb-{_some(c, 12, string.digits)}-{_some(c, 12, string.digits)}-{_some(c, 24)}",
    "stripe": lambda c: f"sk_live_{_some(c, 24)}",
    "aws key": lambda c: "AKIA" + _some(c, 16, string.ascii_uppercase + "234567"),
    "jwt": _jwt,
    "email": _email,
    "card": _card,
    "iban": _iban,
}
PERSONAL = ("email", "card", "iban")
ENCODED = ("password", "github", "aws key")
"""What is found in base64, too."""


def _to_encode(kind: str, value: str) -> bytes:
    return (f"password={value}" if kind == "password" else f"sent {value} on").encode()


def _json(chance: random.Random, kind: str, key: str, value: str) -> str:
    inner: dict[str, object] = {key: value} if kind in KEYED else {"note": f"by {value}, done"}
    text = f"{key}={value} ok" if kind in KEYED else f"sent {value} on"
    choices: list[object] = [
        {"msg": "a field", **inner},
        {"msg": "nested", "ctx": {"list": [{"n": 1, **inner}]}},
        {"msg": text, "status": 500},
        {"msg": json.dumps(inner), "duration": "5ms"},
        {"msg": json.dumps({"again": json.dumps(inner)})},
        {"_entry": text, "pod": "packed"},
    ]
    if kind == "card":
        choices.append({"msg": "a number", "paid_with": int(value), "n": 3})
    if kind in ENCODED:
        choices.append({"msg": "encoded", "data": base64.b64encode(_to_encode(kind, value)).decode()})
    if kind == "password":
        special = chance.choice(['"', "\\", "é", " ", "<b>", "&", ";", ",", "'", "}", "%", "\n", "⟦", "{{"])
        choices += [{"msg": "special", key: value[:9] + special + value[9:] + special + value[::-1]}] * 3
    found = chance.choice(choices)
    line = json.dumps(found, ensure_ascii=chance.random() < 0.7)
    if chance.random() < 0.15 and value in line:
        line = line.replace(value, "".join(f"\\u{ord(one):04x}" for one in value))
    return line


def _logfmt(chance: random.Random, kind: str, key: str, value: str) -> str:
    text = f"{key}={value}" if kind in KEYED else f"by {value} then"
    field = f'{key}="{value}"' if kind in KEYED else f'user="{value}"'
    choices = [
        f"level=warn {text} status=500" if kind in KEYED else f"level=warn user={value} status=500",
        f"level=error {field} duration=5ms bytes=3KB",
        f"level=info msg={json.dumps(field + ' at once')}",
        f'level=info msg="{text} failed" value=7',
    ]
    if kind in ENCODED:
        choices.append(f"level=info data={base64.b64encode(_to_encode(kind, value)).decode()}")
        choices.append(f"level=info data={_to_encode(kind, value).hex()}")
    return chance.choice(choices)


def _plain(chance: random.Random, kind: str, key: str, value: str) -> str:
    named = f"{key}={value}" if kind in KEYED else f"to={value}"
    choices = [
        f"INFO {key}: {value}" if kind in KEYED else f"INFO sent {value} at last",
        f"GET /login?{named}&x=1 HTTP/1.1 500",
        f"INFO <{key}>{value}</{key}>" if kind in KEYED else f"WARN <to>{value}</to>",
        f"INFO run --{key} {value} -v" if kind in KEYED else f"INFO mail to {value}.",
        f"ERROR {named.replace('=', '%3D')}" if kind in KEYED else f"ERROR {quote(value, safe='')}",
        f"DEBUG \x1b[31m{named}\x1b[0m",
        f"DEBUG {html.escape('{' + json.dumps(key) + ':' + json.dumps(value) + '}')}",
        f"DEBUG {{'{key}': b'{value}', 'n': 3}}",
    ]
    if kind == "password":
        choices.append(f"INFO CREATE USER x IDENTIFIED BY '{value}'")
        choices.append(f"INFO connect postgres://app:{value}@db.internal:5432/x")
        choices.append(f"INFO Authorization: Bearer {value}{value[::-1]}")
    return chance.choice(choices)


def _private_key(chance: random.Random) -> tuple[str, str]:
    body = "\n".join(_some(chance, 64, ALNUM + "+/") for _ in range(chance.randrange(2, 6)))
    name = chance.choice(("RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY"))
    return f"-----BEGIN {name}-----\n{body}\n-----END {name}-----", body.replace("\n", "")


SHAPES = {"json": _json, "logfmt": _logfmt, "plain": _plain}


def planted(count: int, seed: int = 1) -> Iterator[Planted]:
    """Yield secrets of all kinds in lines of all shapes."""
    chance = random.Random(seed)  # noqa: S311 - made up, and the same each time
    kinds = [*KEYED, *PLAIN]
    for number in range(count):
        if number % 20 == 19:
            text, value = _private_key(chance)
            inside = chance.random() < 0.3
            line = json.dumps({"msg": text}) if inside else text
            yield Planted("private key", "json" if inside else "plain", line, value)
            continue
        kind = kinds[number % len(kinds)]
        keys, made = KEYED.get(kind, ((), PLAIN.get(kind)))
        value = made(chance)  # type: ignore[misc]
        shape = chance.choice(list(SHAPES))
        text = SHAPES[shape](chance, kind, chance.choice(keys) if keys else "", value)
        yield Planted(kind, shape, text, value)


def _forms(kind: str, value: str) -> Iterator[tuple[bytes, int]]:
    """Yield what of a value must not be seen, in each way to write it that is no escape, and how much of that is rare."""
    raw = value.encode()
    if kind == "card":
        raw = raw[:-4]  # the last four are conceded
    if kind == "email":
        raw = raw[: raw.index(b"@")]  # the domain is no secret
    for part in re.findall(rb"[A-Za-z0-9+/_-]+", raw):
        yield part, 12 if part.isdigit() or kind == "iban" else PIECE
    yield raw.hex().encode(), 20
    for ahead in range(3):
        yield base64.b64encode(b"\0" * ahead + raw)[4 if ahead else 0 : -4], 12


class Needles:
    """What is looked for.

    Args:
        secrets: kind and value of each.
    """

    def __init__(self, secrets: Iterable[tuple[str, str]]) -> None:
        self._of: dict[int, dict[bytes, tuple[str, str]]] = {}
        self._clean: set[bytes] = set()
        for kind, value in secrets:
            for form, size in _forms(kind, value):
                text, known = form.lower(), self._of.setdefault(size, {})
                for at in range(0, len(text) - size + 1, STRIDE if size == PIECE else 1):
                    if text[at : at + PIECE] not in _COMMON:
                        known[text[at : at + size]] = kind, value

    def found_in(self, data: bytes) -> set[tuple[str, str]]:
        """Return kind and value of every secret of which a part stands somewhere."""
        found: set[tuple[str, str]] = set()
        for view in _views(data):
            for run in set(re.findall(rb"[a-z0-9+/_-]{%d,}" % PIECE, view.lower())) - self._clean:
                seen = {known[part] for size, known in self._of.items() for part in _parts(run, size) if part in known}
                found |= seen
                if not seen:
                    self._clean.add(run)
        return found


def _parts(run: bytes, size: int) -> Iterator[bytes]:
    return (run[at : at + size] for at in range(len(run) - size + 1))


# What every signed token of ours has: its head, and how its middle begins.
_HEADER = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).rstrip(b"=")
_COMMON = frozenset(
    part
    for begun in (_HEADER, base64.urlsafe_b64encode(b'{"sub": "')[:-1])
    for form in (begun, begun.hex().encode(), *(base64.b64encode(b"\0" * ahead + begun) for ahead in range(3)))
    for part in _parts(form.lower(), PIECE)
)


def _views(data: bytes) -> Iterator[bytes]:
    """Yield the bytes as they are and without what may stand between the characters of a value."""
    yield data
    if b"%" in data:
        yield unquote_to_bytes(data)
    if b"\\" in data:
        yield re.sub(rb"\\{1,7}(?:u00|x)([0-9a-fA-F]{2})", lambda found: bytes([int(found[1], 16)]), data)
    if b"&" in data:
        yield html.unescape(data.decode("utf-8", "replace")).encode()
    if re.search(rb"[0-9][ .-][0-9]", data):
        yield re.sub(rb"(?<=[0-9])[ .-](?=[0-9])", b"", data)
