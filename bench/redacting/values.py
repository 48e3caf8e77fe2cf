"""How made-up secrets and personal data are drawn: of the right form, with right check digits, and nobody's."""

from __future__ import annotations

import base64
import ipaddress
import json
import string
from collections.abc import Callable
from typing import Final

from bench.redacting.dice import (
    BASE32,
    BASE64,
    LETTERS,
    URL_BASE64,
    WORD,
    WRITTEN_LF,
    Dice,
    iban,
    planted,
    with_crc,
    with_luhn,
)

PASSWORD: Final = WORD + "!#$*-_.~^"


def token(prefix: str, alphabet: str, length: int) -> Callable[[Dice], str]:
    """Return what draws a prefix and characters behind it."""
    return lambda dice: prefix + dice.text(alphabet, length)


def github(dice: Dice) -> str:
    """Draw a classic GitHub token with its checksum."""
    return with_crc(dice.choice(["ghp_", "gho_", "ghs_", "ghu_"]), dice.text(WORD, 30))


def signed_token(dice: Dice) -> str:
    """Draw a JWT."""
    header = {"alg": dice.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"}
    claims = {"sub": dice.digits(8), "iat": 1_790_000_000 + dice.randrange(10**6), "scope": "orders:read"}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    return ".".join([*parts, dice.text(URL_BASE64, 43)])


_CARDS: Final = (("4", 16), ("51", 16), ("55", 16), ("2305", 16), ("34", 15), ("37", 15), ("6011", 16), ("3530", 16))


def card(dice: Dice) -> str:
    """Draw a card number with its check digit, in groups or not."""
    prefix, length = dice.choice(_CARDS)
    digits = with_luhn(prefix + dice.digits(length - len(prefix) - 1))
    groups = [4, 6, 5] if length == 15 else [4, 4, 4, 4]
    separator = dice.choice(["", "", " ", "-"])
    parts, at = [], 0
    for size in groups:
        parts.append(digits[at : at + size])
        at += size
    return separator.join(parts)


def plain_card(dice: Dice) -> str:
    """Draw a card number without separators."""
    return card(dice).replace(" ", "").replace("-", "")


_COUNTRIES: Final = (
    ("DE", "", 18),
    ("GB", "WXYZ", 14),
    ("NL", "ABCD", 10),
    ("ES", "", 20),
    ("NO", "", 11),
    ("AT", "", 16),
)


def bank_account(dice: Dice) -> str:
    """Draw an IBAN, in groups or not."""
    country, bank, digits = dice.choice(_COUNTRIES)
    value = iban(country, bank + dice.digits(digits))
    if dice.random() < 0.5:
        return value
    return " ".join(value[at : at + 4] for at in range(0, len(value), 4))


def social_security_number(dice: Dice) -> str:
    """Draw a US social security number with area, group and serial in use."""
    area = dice.choice([one for one in range(1, 900) if one != 666])
    return f"{area:03}-{dice.randrange(1, 100):02}-{dice.randrange(1, 10000):04}"


def phone(dice: Dice) -> str:
    """Draw a telephone number."""
    return dice.choice(
        [
            f"+1 {dice.randrange(201, 990)} {dice.randrange(200, 999)} {dice.digits(4)}",
            f"+1{dice.randrange(201, 990)}{dice.randrange(200, 999)}{dice.digits(4)}",
            f"+49 {dice.choice(['30', '40', '89', '171'])} {dice.randrange(1, 10)}{dice.digits(6)}",
            f"+44 20 {dice.randrange(3000, 9000)} {dice.digits(4)}",
            f"({dice.randrange(201, 990)}) {dice.randrange(200, 999)}-{dice.digits(4)}",
        ]
    )


_NAMES: Final = (
    "anna", "berg", "carlos", "diaz", "emma", "fuchs", "george", "hansen", "ines", "jung", "karl", "lopez", "maria",
    "novak", "olga", "perez", "sara", "weiss",
)  # fmt: skip
_DOMAINS: Final = ("example.com", "mail.example.org", "example.co.uk", "post.example.de", "shop-mail.example.net")


def email(dice: Dice) -> str:
    """Draw an address."""
    first, last = dice.choice(_NAMES), dice.choice(_NAMES)
    local = dice.choice([f"{first}.{last}", f"{first}{dice.randrange(1000)}", f"{first[0]}_{last}", f"{first}+{last}"])
    return f"{local}@{dice.choice(_DOMAINS)}"


def ipv4(dice: Dice) -> str:
    """Draw a public address."""
    while True:
        address = ipaddress.IPv4Address(dice.getrandbits(32))
        if address.is_global and not address.is_multicast:
            return str(address)


def ipv6(dice: Dice) -> str:
    """Draw a public address."""
    groups = [
        dice.choice(["2a00", "2a02", "2600", "2001", "2003"]),
        *(f"{dice.randrange(1, 1 << 16):x}" for _ in range(3)),
    ]
    tail = [f"{dice.randrange(1, 1 << 16):x}" for _ in range(dice.choice([1, 2, 4]))]
    if groups[0] == "2001":
        groups[1] = "4860"
    return ":".join(groups) + (":" if len(tail) == 4 else "::") + ":".join(tail)


def password(dice: Dice) -> str:
    """Draw a password."""
    return dice.choice(LETTERS) + dice.text(PASSWORD, dice.randrange(6, 20)) + dice.choice(string.digits)


def basic_credentials(dice: Dice) -> str:
    """Draw name and password in base64."""
    return base64.b64encode(f"{dice.choice(_NAMES)}:{password(dice)}".encode()).decode()


def key_lines(dice: Dice) -> tuple[str, list[str], str]:
    """Return the begin mark, the payload by lines, and the end mark of a private key."""
    kind = dice.choice(["RSA ", "", "EC ", "OPENSSH "])
    count = 4 if kind == "EC " else dice.randrange(12, 26)
    begin = {"OPENSSH ": "b3BlbnNzaC1rZXktdjE", "EC ": "MHcCAQEEI"}.get(kind, "MIIEowIBAAKCAQEA")
    lines = [dice.text(BASE64, 64) for _ in range(count)]
    lines[0] = begin + lines[0][len(begin) :]
    lines.append(dice.text(BASE64, dice.randrange(12, 60)) + "==")
    return f"-----BEGIN {kind}PRIVATE KEY-----", lines, f"-----END {kind}PRIVATE KEY-----"


def inline_key(dice: Dice) -> str:
    """Draw a private key in one line, its line ends written."""
    begin, lines, end = key_lines(dice)
    return WRITTEN_LF.join([begin, planted("private-key-inline", WRITTEN_LF.join(lines)), end, ""])


def aws_pair(dice: Dice) -> str:
    """Draw both halves of a key pair, each behind its name."""
    key = planted("aws-key-id", "AKIA" + dice.text(BASE32, 16))
    secret = planted("aws-secret", dice.text(BASE64, 40))
    return dice.choice(
        [
            f"AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret}",
            f"aws_access_key_id: {key}, aws_secret_access_key: {secret}",
        ]
    )


def argon2(dice: Dice) -> str:
    """Draw a password hash."""
    return f"$argon2id$v=19$m=65536,t=3,p=4${dice.text(BASE64, 22)}${dice.text(BASE64, 43)}"
