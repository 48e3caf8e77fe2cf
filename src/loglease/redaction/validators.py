"""Validators: what a match has to satisfy beyond its form. Pure; they see the match and the text around it."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from loglease.redaction.checkdigits import NATIONAL, crc32_tail, luhn, mod97, verhoeff
from loglease.redaction.harmless import is_folder, is_message, is_open_address, is_reference, is_words
from loglease.redaction.kept import text_before
from loglease.redaction.randomness import (
    has_bits,
    has_letter_and_digit,
    is_digest,
    is_named_otherwise,
    is_opaque,
    is_placeholder,
    is_random,
    is_template,
    is_user_and_password,
    printable,
)
from loglease.redaction.telephone import apart, phone, phone_national, phone_no_other, phone_shape, whole_line

# text, start, end of the match in it.
Check = Callable[[bytes, int, int], bool]

_NOT_DIGIT: Final = re.compile(rb"[^0-9]")


# Issuer ranges: first digits from, to, and the lengths in use.
_ISSUERS: Final = (
    ("4", "4", {13, 16, 19}),
    ("51", "55", {16}),
    ("2221", "2720", {16}),
    ("34", "34", {15}),
    ("37", "37", {15}),
    ("300", "305", {14, 16, 17, 18, 19}),
    ("36", "36", {14, 15, 16, 17, 18, 19}),
    ("38", "39", {14, 16, 17, 18, 19}),
    ("6011", "6011", {16, 17, 18, 19}),
    ("644", "659", {16, 17, 18, 19}),
    ("3528", "3589", {16, 17, 18, 19}),
    ("62", "62", {16, 17, 18, 19}),
    ("5018", "5018", {13, 14, 15, 16, 17, 18, 19}),
    ("5020", "5020", {13, 14, 15, 16, 17, 18, 19}),
    ("5038", "5038", {13, 14, 15, 16, 17, 18, 19}),
    ("6304", "6304", {13, 14, 15, 16, 17, 18, 19}),
    ("6759", "6763", {13, 14, 15, 16, 17, 18, 19}),
    ("2200", "2204", {16, 17, 18, 19}),
)
_CARD_WORDS: Final = (b"card", b"visa", b"master", b"amex", b"maestro", b"pan", b"discover", b"unionpay")
_LONGEST_PLAIN: Final = 16


_GROUPED: Final = re.compile(
    rb"\d{4}(?:[ +-]\d{4}){2}(?:[ +-]\d{1,4}(?:[ +-]\d{1,3})?)?|\d{4}[ +-]\d{6}[ +-]\d{4,5}|\d{8}[ +-]\d{8}"
)


_ISSUED_BY_DIGIT: Final = tuple(
    tuple((low.encode(), high.encode(), len(low), sizes) for low, high, sizes in _ISSUERS if low[0] == digit)
    for digit in "0123456789"
)


def _issued(digits: bytes) -> bool:
    size = len(digits)
    for low, high, length, sizes in _ISSUED_BY_DIGIT[digits[0] - 48]:
        if low <= digits[:length] <= high and size in sizes:
            return True
    return False


_DIGIT_BEFORE: Final = re.compile(rb"[0-9]\.?\Z")
_DIGIT_BEHIND: Final = re.compile(rb"\.?[0-9]")
_GROUP_BEFORE: Final = re.compile(rb"[0-9A-Fa-f]-")
_GROUP_BEHIND: Final = re.compile(rb"-[0-9A-Fa-f]")


def _among_other_digits(text: bytes, start: int, end: int, separator: bytes) -> bool:
    """Tell whether the number is a part of something longer: a decimal, a UUID, a dotted name."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if _DIGIT_BEFORE.search(before) or _DIGIT_BEHIND.match(after):
        return True
    if before.endswith(b"_-"):
        return True
    joined = separator == b"-"
    return joined and bool(_GROUP_BEFORE.fullmatch(before) or _GROUP_BEHIND.fullmatch(after))


_LETTERS_AND_DIGITS: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_WORD_BEHIND: Final = re.compile(rb"[0-9A-Za-z]{0,128}")
_HEX_WORD: Final = re.compile(rb"(?:0[xX])?[0-9A-Fa-f]*")
_HEX_LETTERS: Final = re.compile(rb"[A-Fa-f]{1,4}")


def _in_hexadecimal(text: bytes, start: int, end: int) -> bool:
    """Tell whether the number is a part of a digest, an id or an address that is written in hexadecimal.

    Up to four letters on one side, as in ``cc4111…``, are a word glued to a number, unless that is as wide as ids are.
    """
    before = text[max(0, start - 128) : start]
    behind = _WORD_BEHIND.match(text, end)
    left, right = before[len(before.rstrip(_LETTERS_AND_DIGITS)) :], behind[0] if behind else b""
    around = left + right
    if not around or not _HEX_WORD.fullmatch(around):
        return False
    glued = _HEX_LETTERS.fullmatch(around) and (not left or not right)
    return not glued or (len(around) + end - start) % 8 == 0


def card(text: bytes, start: int, end: int) -> bool:
    """Accept a payment card number: check digit, issuer and length known, separators alike."""
    value = text[start:end]
    digits = value if value.isdigit() else _NOT_DIGIT.sub(b"", value)
    if not luhn(digits) or len(set(digits)) == 1 or not _issued(digits):
        return False
    separators: set[bytes] = set() if digits is value else set(_NOT_DIGIT.findall(value))
    if len(separators) > 1 or (separators and not _GROUPED.fullmatch(value)):
        return False
    if len(digits) > _LONGEST_PLAIN:
        around = text_before(text, start, 32)
        if not any(word in around for word in _CARD_WORDS):
            return False
    if _among_other_digits(text, start, end, next(iter(separators), b"")):
        return False
    return not _in_hexadecimal(text, start, end)


def worded_card(text: bytes, start: int, end: int) -> bool:
    """Accept any 12 to 19 digits with the check digit of cards; for numbers that a card's name stands before."""
    digits = _NOT_DIGIT.sub(b"", text[start:end])
    if not 12 <= len(digits) <= 19 or len(set(digits)) < 3 or not luhn(digits):  # noqa: PLR2004 - ISO/IEC 7812; no filler
        return False
    return not _among_other_digits(text, start, end, b"")


_IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SD": 18,
    "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22,
    "VG": 24, "XK": 20,
}  # fmt: skip


_RUN_GOES_ON: Final = re.compile(rb"[0-9]{2}|[A-Z]{2}")


def iban(text: bytes, start: int, end: int) -> bool:
    """Accept a bank account number: the country's length and the check number, not the beginning of a longer run."""
    if _RUN_GOES_ON.match(text, end - 1):
        return False
    value = text[start:end].replace(b" ", b"")
    return _IBAN_LENGTHS.get(value[:2].decode("ascii", "replace").upper()) == len(value) and mod97(value)


def ssn(text: bytes, start: int, end: int) -> bool:
    """Accept a US social security number with an area, group and serial in use."""
    digits = _NOT_DIGIT.sub(b"", text[start:end])
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in {b"000", b"666"} or area[:1] == b"9" or group == b"00" or serial == b"0000":
        return False
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    return not re.search(rb"[\w.]-\Z|[0-9]\Z", before) and not re.match(rb"-\w|[0-9]", after)


_NO_DOMAINS: Final = frozenset(
    b"png jpg jpeg gif svg webp ico css js jsx mjs ts tsx map html json xml yaml yml py rb go rs java class jar so txt "
    b"log conf sock service socket timer target mount slice scope local internal lan localdomain".split()
)


_PASSWORD_BEFORE: Final = re.compile(rb"://[^\s/@\x22']{0,256}:\Z")
_LONGEST_LOCAL: Final = 64
_LOCAL_GOES_ON: Final = re.compile(rb"\w[.%+-]{0,63}\Z")


# Whom no person is behind: repositories, and what names the nodes of a cluster.
_NO_LOCALS: Final = frozenset((b"git", b"hg", b"svn", b"rabbit", b"celery"))
# Algorithms of SSH, and versions behind the name of a package.
_NO_ADDRESS: Final = re.compile(
    rb"(?:[a-z][a-z-]*[0-9][a-z0-9-]*|zlib|rijndael-cbc)@(?:openssh\.com|libssh\.org|ssh\.com|lysator\.liu\.se)"
    rb"|[^@]+@v?[0-9]+\.[0-9]+\..*"
)


def email(text: bytes, start: int, end: int) -> bool:
    """Accept an e-mail address; no file names, package versions, `git@host:` or units of a service manager."""
    local, _, domain = text[start:end].rpartition(b"@")
    last = domain.rpartition(b".")[2].lower()
    if last in _NO_DOMAINS or last.isdigit() or local in _NO_LOCALS:
        return False
    # A service's name in a realm of Kerberos: `HTTP/web.example.com@EXAMPLE.COM`.
    if domain.isupper() and text[start - 1 : start] == b"/":
        return False
    if _NO_ADDRESS.fullmatch(text, start, end):
        return False
    if local.startswith(b".") or local.endswith(b".") or b".." in local or b"-." in domain or b".-" in domain:
        return False
    if text[start - 1 : start] == b":" and _PASSWORD_BEFORE.search(text, max(0, start - 300), start):
        return False
    return len(local) >= _LONGEST_LOCAL or not _LOCAL_GOES_ON.search(text, max(0, start - _LONGEST_LOCAL), start)


_VERSION_BEFORE: Final = re.compile(
    rb"(?i)(?:[a-z][\w.+-]{0,31}/|ver(?:sion)?[ .:=\"']{0,4}"
    rb"|(?:build|oid|release|firmware|revision|edition|section|chapter|jdk)[ .:=]{0,3})$"
)


_VERSION_WORDS: Final = tuple(b"ver version build oid release firmware revision edition section chapter jdk".split())


_NAME_BEFORE: Final = re.compile(rb"[\w:~]$|[0-9A-Za-z]\.$")
_NAME_BEHIND: Final = re.compile(rb"\w|\.[0-9A-Za-z]|:[0-9A-Fa-f]{0,3}:")


def _is_address(text: bytes, start: int, end: int) -> bool:
    """Tell whether what stands around an address leaves it one: no version, no OID, no part of a name."""
    before, after = text[max(0, start - 40) : start], text[end : end + 2]
    if _NAME_BEFORE.search(before, max(0, len(before) - 2)) and not before.endswith(b"::ffff:"):
        return False
    if _NAME_BEHIND.match(after):
        return False
    # Cheap to tell, and seldom so.
    if not before.endswith(b"/") and not before.rstrip(b" .:=\"'").lower().endswith(_VERSION_WORDS):
        return True
    return not _VERSION_BEFORE.search(before) or before.endswith(b"//")


def _is_v6(text: bytes, start: int, end: int) -> bool:
    value = text[start:end]
    before, after = text[max(0, start - 1) : start], text[end : end + 2]
    if re.match(rb"[\w:.]", before) or re.match(rb"\w|:[0-9A-Fa-f:]", after):
        return False
    return any(48 <= byte < 58 for byte in value) and len(value) > 3  # noqa: PLR2004 - digits; `::1` is no name


_DOCUMENTED: Final = tuple(
    ipaddress.ip_network(one) for one in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
# Addresses that belong to no person or place, by how they begin: the special-purpose registries of RFC 6890, and from
# 224.0.0.0 on multicast and what is reserved.
_USUAL_V4: Final = re.compile(
    rb"(?:0|10|127|22[4-9]|2[345][0-9])\.|169\.254\.|172\.(?:1[6-9]|2[0-9]|3[01])\.|192\.(?:168|0\.0)\."
    rb"|100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|198\.1[89]\."
)


def _usual_v4(value: bytes) -> bool:
    return _USUAL_V4.match(value) is not None


def _usual_v6(address: ipaddress.IPv6Address) -> bool:
    """Tell whether an address is of no person or place: private, loopback, link-local, unspecified, multicast."""
    mapped = address.ipv4_mapped
    if mapped is not None:
        return _usual_v4(str(mapped).encode())
    if any(address in net for net in _DOCUMENTED):
        return False
    return not address.is_global or address.is_multicast


def _ipv4(*, public: bool) -> Check:
    """Return the check of a dotted address, whose octets the pattern has bounded."""

    def check(text: bytes, start: int, end: int) -> bool:
        return _usual_v4(text[start:end]) is not public and _is_address(text, start, end)

    return check


def _ipv6(*, public: bool) -> Check:
    def check(text: bytes, start: int, end: int) -> bool:
        if not _is_v6(text, start, end):
            return False
        try:
            address = ipaddress.IPv6Address(text[start:end].decode("ascii"))
        except ValueError:
            return False
        return _usual_v6(address) is not public

    return check


def _decoded(value: bytes) -> bytes | None:
    try:
        return base64.b64decode(
            value.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(value) % 4), validate=True
        )
    except (binascii.Error, ValueError):
        return None


def jwt(text: bytes, start: int, end: int) -> bool:
    """Accept a token whose header decodes to JSON with `alg`."""
    header = _decoded(text[start:end].split(b".")[0])
    if header is None:
        return False
    try:
        found = json.loads(header)
    except ValueError:
        return False
    return isinstance(found, dict) and ("alg" in found or "enc" in found)


def basic_credentials(text: bytes, start: int, end: int) -> bool:
    """Accept base64 of a name and a password."""
    decoded = _decoded(text[start:end].rstrip(b"="))
    return decoded is not None and b":" in decoded


def _entropy(*, min: float = 3.0, length: int = 12) -> Check:  # noqa: A002 - the option's public name
    def check(text: bytes, start: int, end: int) -> bool:
        value = printable(text[start:end])
        if len(value) < length or is_named_otherwise(value):
            return False
        return has_letter_and_digit(value) and has_bits(value, min)

    return check


def _github(*, entropy: float | None = None) -> Check:
    """Return the check of a token of GitHub's: its checksum, or as an alternative so many bits a byte.

    A token may be longer than those whose checksum is known.
    """
    looks_random = None if entropy is None else _entropy(min=entropy, length=14)

    def check(text: bytes, start: int, end: int) -> bool:
        return crc32_tail(text[start:end]) or (looks_random is not None and looks_random(text, start, end))

    return check


def _least(*, bytes: int) -> Check:  # noqa: A002 - the option's public name
    return lambda text, start, end: len(printable(text[start:end])) >= bytes


def _opaque(*, length: int = 16) -> Check:
    def check(text: bytes, start: int, end: int) -> bool:
        value = printable(text[start:end])
        return len(value) >= length and not is_placeholder(value) and is_opaque(value)

    return check


_NAME: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_BEHIND_NAME: Final = b" \t\"'`=:>])"


def _named(*, without: Sequence[str]) -> Check:
    words = tuple(word.lower().encode() for word in without)

    def check(text: bytes, start: int, end: int) -> bool:  # noqa: ARG001 - the shape of a check
        before = text[max(0, start - 80) : start].rstrip(_BEHIND_NAME)
        name = before[len(before.rstrip(_NAME)) :].lower()
        for word in words:  # noqa: SIM110 - a generator costs more than the words do
            if word in name:
                return False
        return True

    return check


def not_a_digest(text: bytes, start: int, end: int) -> bool:
    """Accept what is not a UUID and not written in hexadecimal alone."""
    return not is_digest(text[start:end])


def aws_key_id(text: bytes, start: int, end: int) -> bool:
    """Accept an access key id whose part behind the prefix decodes as base32."""
    try:
        base64.b32decode(text[start + 4 : end])
    except (binascii.Error, ValueError):
        return False
    return True


def _of_value(check: Callable[[bytes], bool]) -> Check:
    return lambda text, start, end: check(text[start:end])


def _of_digits(check: Callable[[bytes], bool]) -> Check:
    return lambda text, start, end: check(_NOT_DIGIT.sub(b"", text[start:end]))


def not_a_number(text: bytes, start: int, end: int) -> bool:
    """Accept what is not a decimal number, nor a hexadecimal one that says so."""
    return not re.fullmatch(rb"[0-9]+|0[xX][0-9A-Fa-f]+", text[start:end])


def _simple(check: Check) -> Callable[..., Check]:
    return lambda: check


VALIDATORS: Final[Mapping[str, Callable[..., Check]]] = MappingProxyType(
    {
        "card": _simple(card),
        "iban": _simple(iban),
        "ssn": _simple(ssn),
        "phone": phone,
        "phone-national": _simple(phone_national),
        "phone-no-other": _simple(phone_no_other),
        "phone-shape": _simple(phone_shape),
        "apart": _simple(apart),
        "whole-line": _simple(whole_line),
        "worded-card": _simple(worded_card),
        "has-a-digit": _simple(_of_value(lambda value: any(48 <= byte < 58 for byte in value))),  # noqa: PLR2004 - ASCII digits
        "email": _simple(email),
        "ipv4-public": _simple(_ipv4(public=True)),
        "ipv4-private": _simple(_ipv4(public=False)),
        "ipv6-public": _simple(_ipv6(public=True)),
        "ipv6-private": _simple(_ipv6(public=False)),
        "jwt": _simple(jwt),
        "basic": _simple(basic_credentials),
        "not-a-digest": _simple(not_a_digest),
        "not-a-number": _simple(not_a_number),
        "aws-key-id": _simple(aws_key_id),
        "luhn": _simple(_of_digits(luhn)),
        "mod97": _simple(_of_value(mod97)),
        "verhoeff": _simple(_of_digits(verhoeff)),
        "crc32-tail": _simple(_of_value(crc32_tail)),
        "github": _github,
        "random": _simple(_of_value(is_random)),
        "not-a-placeholder": _simple(_of_value(lambda value: not is_placeholder(value))),
        "not-a-template": _simple(_of_value(lambda value: not is_template(value))),
        "not-a-message": _simple(_of_value(lambda value: not is_message(value))),
        "not-a-reference": _simple(_of_value(lambda value: not is_reference(value))),
        "not-a-folder": _simple(_of_value(lambda value: not is_folder(value))),
        "not-words": _simple(_of_value(lambda value: not is_words(value))),
        "not-an-open-address": _simple(_of_value(lambda value: not is_open_address(value))),
        "not-a-word": _simple(_of_value(lambda value: not re.fullmatch(rb"[A-Z]?[a-z-]+[.:]?", value))),
        "user-and-password": _simple(_of_value(is_user_and_password)),
        "opaque": _opaque,
        "named": _named,
        "entropy": _entropy,
        "least": _least,
        **{name: _simple(_of_value(check)) for name, check in NATIONAL.items()},
    }
)


def check_of(name: str, options: Mapping[str, Any]) -> Check:
    """Return a validator with its options.

    Raises:
        KeyError: there is none of that name.
        TypeError: it does not have such an option.
    """
    return VALIDATORS[name](**options)
