"""Check digits and checksums: what tells a number or token that somebody issued from one that only looks alike.

Pure functions of the value alone. Building blocks for packs, and the national numbers of Europe.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from zlib import crc32

_NOT_DIGIT: Final = re.compile(rb"[^0-9]")
# The digit that counts for a doubled one, as characters.
_DOUBLED: Final = bytes.maketrans(b"0123456789", b"0246813579")
_ZERO: Final = 48  # the character 0


def luhn(digits: bytes) -> bool:
    """Tell whether the digits end with the check digit of ISO/IEC 7812-1."""
    total = sum(digits[::-2]) + sum(digits[-2::-2].translate(_DOUBLED))
    return (total - _ZERO * len(digits)) % 10 == 0


# What each letter and digit counts for, as digits.
_COUNTS: Final = tuple(str(int(chr(byte), 36)) if chr(byte).isalnum() else "" for byte in range(128))


def mod97(value: bytes) -> bool:
    """Tell whether letters and digits satisfy ISO/IEC 7064 MOD 97-10, the first four moved to the end."""
    turned = value[4:] + value[:4]
    return turned.isalnum() and int("".join([_COUNTS[byte] for byte in turned])) % 97 == 1


# Verhoeff 1969: products in the dihedral group of order ten, and the permutation applied once for each place.
_PRODUCTS: Final = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTATION: Final = "1576283094"


def verhoeff(digits: bytes) -> bool:
    """Tell whether the digits end with Verhoeff's check digit."""
    check = "0"
    for place, char in enumerate(reversed(digits.decode("ascii"))):
        moved = char
        for _ in range(place % 8):
            moved = _PERMUTATION[int(moved)]
        check = _PRODUCTS[int(check)][int(moved)]
    return check == "0"


_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TAIL: Final = 6


def crc32_tail(value: bytes) -> bool:
    """Tell whether the last six characters are the CRC-32 of the others in base 62, padded with zeros.

    A prefix that ends with the last underscore does not count.
    """
    body = value.rpartition(b"_")[2]
    if len(body) <= _TAIL:
        return False
    rest, tail = crc32(body[:-_TAIL]), ""
    for _ in range(_TAIL):
        rest, digit = divmod(rest, len(_BASE62))
        tail = _BASE62[digit] + tail
    return tail.encode() == body[-_TAIL:]


def _digits(value: bytes) -> list[int]:
    return [byte - _ZERO for byte in _NOT_DIGIT.sub(b"", value)]


def _weighted(digits: list[int], weights: tuple[int, ...]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


def _is_date(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31  # noqa: PLR2004 - a calendar


def austrian_insurance(value: bytes) -> bool:
    """Austria, Sozialversicherungsnummer: ten digits, the fourth a check digit modulo 11, the last six a date."""
    digits = _digits(value)
    if len(digits) != 10 or digits[0] == 0:  # noqa: PLR2004 - its length
        return False
    check = _weighted(digits, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11
    return check == digits[3] and _is_date(digits[6] * 10 + digits[7], digits[4] * 10 + digits[5])


def belgian_register(value: bytes) -> bool:
    """Belgium, Rijksregisternummer: eleven digits, a date first, the last two 97 minus the rest modulo 97."""
    digits = bytes(_NOT_DIGIT.sub(b"", value))
    if len(digits) != 11 or not _is_date(int(digits[2:4]), int(digits[4:6])):  # noqa: PLR2004 - its length
        return False
    return int(digits[9:]) in {97 - int(digits[:9]) % 97, 97 - int(b"2" + digits[:9]) % 97}


def dutch_service(value: bytes) -> bool:
    """Netherlands, burgerservicenummer: nine digits, the eleven test with a last weight of -1."""
    digits = _digits(value)
    if len(digits) != 9 or len(set(digits)) < 3:  # noqa: PLR2004 - its length; no filler
        return False
    return _weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def finnish_identity(value: bytes) -> bool:
    """Finland, henkilötunnus: a date, a sign of the century, a number, a check character modulo 31."""
    day, month, number = int(value[:2]), int(value[2:4]), value[:6] + value[7:10]
    return _is_date(month, day) and b"0123456789ABCDEFHJKLMNPRSTUVWXY"[int(number) % 31] == value[10]


def french_insurance(value: bytes) -> bool:
    """France, numéro de sécurité sociale: thirteen characters, a month among them, and a key of 97 minus modulo 97."""
    plain = value.replace(b" ", b"").upper().replace(b"2A", b"19", 1).replace(b"2B", b"18", 1)
    if len(plain) != 15 or not plain.isdigit() or not plain[3:5] <= b"42":  # noqa: PLR2004 - its length
        return False
    return int(plain[13:]) == 97 - int(plain[:13]) % 97


def german_tax(value: bytes) -> bool:
    """Germany, Steuer-Identifikationsnummer: eleven digits by ISO/IEC 7064 MOD 11,10, one of the first ten repeated."""
    digits = _digits(value)
    if len(digits) != 11 or digits[0] == 0:  # noqa: PLR2004 - its length
        return False
    repeats = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    product = 10
    for digit in digits[:10]:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return repeats[-1] in {2, 3} and repeats[:-1] == [1] * (len(repeats) - 1) and (11 - product) % 10 == digits[10]


_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def italian_tax(value: bytes) -> bool:
    """Italy, codice fiscale: sixteen characters, the last a check letter over odd and even places."""
    total = 0
    for place, char in enumerate(value[:15].decode("ascii").upper()):
        number = int(char) if char.isdigit() else ord(char) - 65
        total += number if place % 2 else _ODD[number]
    return chr(65 + total % 26) == chr(value[15]).upper()


def polish_register(value: bytes) -> bool:
    """Poland, PESEL: eleven digits, a date first, a check digit modulo 10."""
    digits = _digits(value)
    if len(digits) != 11 or not _is_date((digits[2] % 2) * 10 + digits[3], digits[4] * 10 + digits[5]):  # noqa: PLR2004 - its length
        return False
    return _weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def portuguese_tax(value: bytes) -> bool:
    """Portugal, número de contribuinte: nine digits, a check digit modulo 11."""
    digits = _digits(value)
    if len(digits) != 9 or digits[0] in {0, 4} or len(set(digits)) < 3:  # noqa: PLR2004 - its length; no filler
        return False
    check = 11 - _weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return digits[8] == (0 if check > 9 else check)  # noqa: PLR2004 - one digit


def norwegian_birth(value: bytes) -> bool:
    """Norway, fødselsnummer: eleven digits, a date first, two check digits modulo 11."""
    digits = _digits(value)
    if len(digits) != 11 or not _is_date(digits[2] % 4 * 10 + digits[3], digits[0] % 4 * 10 + digits[1]):  # noqa: PLR2004 - its length
        return False
    first = _weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    return first == 0 and _weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def spanish_identity(value: bytes) -> bool:
    """Spain, DNI and NIE: eight digits, or X, Y or Z and seven, and a letter modulo 23."""
    plain = value.upper().replace(b"-", b"").replace(b" ", b"").translate(bytes.maketrans(b"XYZ", b"012"), b"")
    letter = value[-1:].upper()
    number = plain[:-1]
    return number.isdigit() and len(set(number)) > 1 and b"TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == letter[0]


def swedish_identity(value: bytes) -> bool:
    """Sweden, personnummer: a date, three digits, a check digit as of cards."""
    digits = _NOT_DIGIT.sub(b"", value)[-10:]
    day = int(digits[4:6])
    return len(digits) == 10 and _is_date(int(digits[2:4]), day - 60 if day > 60 else day) and luhn(digits)  # noqa: PLR2004 - coordination numbers add 60


def swiss_insurance(value: bytes) -> bool:
    """Switzerland, AHV number: thirteen digits from 756 on, a check digit as of bar codes."""
    digits = _digits(value)
    return len(digits) == 13 and _weighted(digits, (1, 3) * 7) % 10 == 0  # noqa: PLR2004 - its length


def british_health(value: bytes) -> bool:
    """United Kingdom, NHS number: ten digits, a check digit modulo 11."""
    digits = _digits(value)
    if len(digits) != 10 or len(set(digits)) < 3:  # noqa: PLR2004 - its length; no filler
        return False
    return _weighted(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def irish_service(value: bytes) -> bool:
    """Ireland, PPS number: seven digits, a check letter modulo 23, perhaps a second letter that counts nine times."""
    letters = value[7:].upper()
    total = _weighted(_digits(value[:7]), (8, 7, 6, 5, 4, 3, 2))
    if len(letters) > 1 and letters[1:] != b"W":
        total += (letters[1] - 64) * 9
    return b"WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == letters[0]


NATIONAL: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "at-svnr": austrian_insurance,
    "be-rrn": belgian_register,
    "ch-ahv": swiss_insurance,
    "de-tax-id": german_tax,
    "es-dni": spanish_identity,
    "fi-hetu": finnish_identity,
    "fr-nir": french_insurance,
    "gb-nhs": british_health,
    "ie-pps": irish_service,
    "it-cf": italian_tax,
    "nl-bsn": dutch_service,
    "no-fnr": norwegian_birth,
    "pl-pesel": polish_register,
    "pt-nif": portuguese_tax,
    "se-pnr": swedish_identity,
}
