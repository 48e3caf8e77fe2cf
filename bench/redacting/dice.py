"""Chance from a seed with the few draws that made-up values need, and marks that say what a part of a text is."""

from __future__ import annotations

import random
import string
import zlib
from typing import Final

LETTERS: Final = string.ascii_letters
WORD: Final = string.ascii_letters + string.digits
BASE64: Final = WORD + "+/"
URL_BASE64: Final = WORD + "-_"
BASE32: Final = string.ascii_uppercase + "234567"
_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase

SHORTEST_CARD: Final = 13

# Marks around a labelled part of a text: begin, then its name, then what it is, end. Characters for private use pass
# JSON and quoting unchanged and stand in no line of their own.
PLANTED: Final = "\ue000"
LOOK_ALIKE: Final = "\ue001"
NAMED: Final = "\ue002"
END: Final = "\ue003"
# Stands for a line end that is written as a backslash and an n.
WRITTEN_LF: Final = "\ue004"


class Dice(random.Random):
    """A source of chance whose draws depend on its seed alone."""

    def text(self, alphabet: str, length: int) -> str:
        """Return characters of an alphabet."""
        return "".join(self.choices(alphabet, k=length))

    def digits(self, length: int) -> str:
        """Return decimal digits."""
        return self.text(string.digits, length)

    def hexed(self, length: int) -> str:
        """Return hexadecimal digits, many of them never without a letter: decimal digits alone may be a card number."""
        while True:
            found = self.text("0123456789abcdef", length)
            if length < SHORTEST_CARD or not found.isdecimal():
                return found


def planted(name: str, value: str) -> str:
    """Mark a value that has to be masked."""
    return f"{PLANTED}{name}{NAMED}{value}{END}"


def look_alike(name: str, value: str) -> str:
    """Mark a value that has to be left alone."""
    return f"{LOOK_ALIKE}{name}{NAMED}{value}{END}"


def with_luhn(digits: str) -> str:
    """Put the check digit of ISO/IEC 7812-1 behind digits."""
    return next(digits + last for last in string.digits if luhn_holds(digits + last))


def luhn_holds(digits: str) -> bool:
    """Tell whether digits end with their check digit."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled // 10 + doubled % 10
    return total % 10 == 0


def with_crc(prefix: str, body: str) -> str:
    """Put the checksum of the body behind it, as GitHub and npm do: CRC-32 in six digits to the base 62."""
    number, tail = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        tail = _BASE62[digit] + tail
    return prefix + body + tail


def iban(country: str, account: str) -> str:
    """Return an account number with its check number by ISO/IEC 7064 MOD 97-10."""
    number = int("".join(str(int(char, 36)) for char in account + country + "00"))
    return f"{country}{98 - number % 97:02}{account}"


def iban_holds(value: str) -> bool:
    """Tell whether the check number of an account number is right."""
    return int("".join(str(int(char, 36)) for char in value[4:] + value[:4])) % 97 == 1
