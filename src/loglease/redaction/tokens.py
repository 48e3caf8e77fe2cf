"""Tokens: what stands in the place of a masked value, and the keyed pseudonyms in them."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from loglease.redaction.errors import Withheld

KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
_GRANT_INFO: Final = b"loglease/pseudonym/1\0"
_TEAM_DAY_INFO: Final = b"loglease/pseudonym/team-day/1"
_DEPLOYMENT_INFO: Final = b"loglease/pseudonym/deployment/1"
_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
# What ten bits are in base32.
_PAIRS: Final = tuple(first + second for first in _BASE32 for second in _BASE32)
_TEN_BITS: Final = 1023
# What HMAC does to a key, which it fills up with zeros to a block of 64 bytes: its two constants on each byte.
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
_INNER_REST: Final = b"\x36" * (64 - KEY_BYTES)
_OUTER_REST: Final = b"\x5c" * (64 - KEY_BYTES)
OPEN: Final = "⟦".encode()
CLOSE: Final = "⟧".encode()
# Every form that `token_of` writes, and no other.
TOKEN: Final = re.compile(
    rb"\xe2\x9f\xa6(?:[a-z][a-z0-9-]{0,39}(?::[a-z2-7]{10})?"
    rb"|[a-z][a-z0-9-]{0,39} (?:\xe2\x80\xa6[0-9]{4}|\xe2\x80\xa6@[A-Za-z0-9.-]{1,255}|[0-9a-f.:]{2,45}/[0-9]{1,3})"
    rb")\xe2\x9f\xa7"
)


@dataclass(frozen=True, slots=True)
class Keys:
    """The key of pseudonyms: that of one grant, or one that grants share where policy wants that."""

    pseudonym: bytes = field(repr=False)

    @classmethod
    def derived(cls, master: bytes, *, salt: bytes, grant_id: str) -> Keys:
        """Derive the key of a grant; without its salt, tokens can never again be linked to values.

        Args:
            master: the deployment's key, 32 bytes or more.
            salt: 32 random bytes stored with the grant and erased when its retention ends.
            grant_id: the grant.

        Raises:
            Withheld: ``key_missing``, if master key or salt are too short.

        Source: HKDF, RFC 5869.
        """
        return cls(_derived(master, salt, _GRANT_INFO + grant_id.encode()))

    @classmethod
    def of_team_day(cls, master: bytes, *, salt: bytes, policy: str, day: str) -> Keys:
        """Derive the key that the grants of one policy share that were made on one day.

        Args:
            master: the deployment's key, 32 bytes or more.
            salt: 32 random bytes that these grants share.
            policy: its id.
            day: of UTC, like ``2026-11-27``.

        Raises:
            Withheld: ``key_missing``, as `derived`.
        """
        return cls(_derived(master, salt, b"\0".join((_TEAM_DAY_INFO, policy.encode(), day.encode()))))

    @classmethod
    def of_deployment(cls, master: bytes, *, salt: bytes) -> Keys:
        """Derive the key that all grants share whose policy lets pseudonyms reach over the whole deployment.

        Raises:
            Withheld: ``key_missing``, as `derived`.
        """
        return cls(_derived(master, salt, _DEPLOYMENT_INFO))


def _derived(master: bytes, salt: bytes, info: bytes) -> bytes:
    if len(master) < KEY_BYTES or len(salt) != SALT_BYTES:
        raise Withheld("key_missing")
    # HKDF for as many bytes as its hash has is two HMACs.
    return hmac.digest(hmac.digest(salt, master, "sha256"), info + b"\x01", "sha256")


def pseudonym(canonical: bytes, *, cls: str, label: str, key: bytes) -> str:
    """Return the token that stands for a value: equal for equal values under one key, unlinkable without it.

    Args:
        canonical: UTF-8, in the canonical form of its class.
        cls: class of the find, hashed too: equal bytes of two classes get different tokens.
        key: 32 bytes.

    Returns:
        The label and ten characters, always ten: 50 bits.

    Raises:
        Withheld: ``key_missing``. There is no token without a key.

    Source: HMAC, RFC 2104; base32, RFC 4648 section 6.
    """
    return pseudonym_under(hashed_of(cls, canonical), label=label, key=key)


def hashed_of(cls: str, canonical: bytes) -> bytes:
    """Return what is hashed of a value, under whatever key."""
    return cls.encode() + b"\0" + canonical


def pseudonym_under(hashed: bytes, *, label: str, key: bytes) -> str:
    """Return the token of what is hashed of a value, as `pseudonym` does.

    Raises:
        Withheld: ``key_missing``. There is no token without a key.
    """
    if len(key) != KEY_BYTES:
        raise Withheld("key_missing")
    return _token(label, hmac.digest(key, hashed, "sha256"))


def under_grants(hashed: Collection[tuple[str, bytes]], master: bytes) -> Callable[[bytes, str], Sequence[str]]:
    """Return what gives the tokens of a value under a grant, by its salt and id; for those who need very many.

    They are those of `pseudonym_under` with the key of `Keys.derived`. What takes time is to call HMAC three times:
    here it is written out, as SHA-256 of a block that the key makes and what follows it.

    Args:
        hashed: label, and what is hashed, of each form that the value has.
        master: the deployment's key.

    Raises (what is returned):
        Withheld: ``key_missing``, if master key or salt are too short.
    """
    inner_master, inner_info = _INNER_REST + master, _INNER_REST + _GRANT_INFO
    is_long = len(master) >= KEY_BYTES

    def tokens(salt: bytes, grant_id: str) -> Sequence[str]:
        if not is_long or len(salt) != SALT_BYTES:
            raise Withheld("key_missing")
        inside = sha256(salt.translate(_INNER) + inner_master).digest()
        key = sha256(salt.translate(_OUTER) + _OUTER_REST + inside).digest()
        inside = sha256(key.translate(_INNER) + inner_info + grant_id.encode() + b"\x01").digest()
        key = sha256(key.translate(_OUTER) + _OUTER_REST + inside).digest()
        inner, outer = key.translate(_INNER) + _INNER_REST, key.translate(_OUTER) + _OUTER_REST
        return tuple([_token(label, sha256(outer + sha256(inner + one).digest()).digest()) for label, one in hashed])

    return tokens


def _token(label: str, digest: bytes) -> str:
    bits = int.from_bytes(digest[:7], "big") >> 6
    return (
        f"⟦{label}:{_PAIRS[bits >> 40]}{_PAIRS[bits >> 30 & _TEN_BITS]}{_PAIRS[bits >> 20 & _TEN_BITS]}"
        f"{_PAIRS[bits >> 10 & _TEN_BITS]}{_PAIRS[bits & _TEN_BITS]}⟧"
    )


_NOT_DIGITS: Final = bytes(byte for byte in range(256) if not 48 <= byte < 58)  # noqa: PLR2004 - ASCII digits
_OCTET: Final = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_DOTTED: Final = re.compile(_OCTET + rb"(?:\." + _OCTET + rb"){3}")


def _digits(value: bytes) -> bytes:
    return value.translate(None, _NOT_DIGITS)


def _phone(value: bytes) -> bytes:
    return (b"+" if value.lstrip().startswith(b"+") else b"") + _digits(value)


def _address(value: bytes) -> bytes:
    if _DOTTED.fullmatch(value):
        return value
    try:
        address = ipaddress.ip_address(value.decode("ascii", "replace"))
    except ValueError:
        return value.lower()
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address).encode()


def _text(value: bytes) -> bytes:
    if value.isascii():
        return value
    return value.decode("utf-8", "replace").encode()


# By class prefix, longest first: the form in which equal values have equal bytes.
_CANONICAL: Final[Mapping[str, Callable[[bytes], bytes]]] = MappingProxyType(
    {
        "pii.email": bytes.lower,
        "pii.iban": lambda value: re.sub(rb"[^0-9A-Za-z]", b"", value).upper(),
        "pii.phone": _phone,
        "pii.ssn": _digits,
        "pci.card": _digits,
        "net.ip": _address,
    }
)


def canonical_of(cls: str, value: bytes) -> bytes:
    """Return the canonical form of a value that a class defines; UTF-8 in any case."""
    return _text(_form_of(cls)(value))


@lru_cache(maxsize=1024)
def _form_of(cls: str) -> Callable[[bytes], bytes]:
    for prefix, form in _CANONICAL.items():
        if cls == prefix or cls.startswith(prefix + "."):
            return form
    return bytes


def _last4(value: bytes) -> str | None:
    digits = _digits(value).decode()
    return f"…{digits[-4:]}" if len(digits) >= 12 else None  # noqa: PLR2004 - a shorter number would be mostly shown


def _domain(value: bytes) -> str | None:
    found = re.fullmatch(rb"[^@]+@([A-Za-z0-9.-]{1,255})", value)
    return f"…@{found[1].decode().lower()}" if found else None


def _network(value: bytes) -> str | None:
    try:
        address = ipaddress.ip_address(_address(value).decode())
    except ValueError:
        return None
    bits = 24 if address.version == 4 else 48  # noqa: PLR2004 - versions of IP
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


# The parts that a profile may concede; a value that does not have the part is masked whole.
PARTS: Final[Mapping[str, Callable[[bytes], str | None]]] = MappingProxyType(
    {
        "last4": _last4,
        "domain": _domain,
        "network": _network,
    }
)


@lru_cache(maxsize=1024)
def mask_token(label: str) -> bytes:
    """Return the token that tells the label alone."""
    return f"⟦{label}⟧".encode()


def partial_token(label: str, part: str, value: bytes) -> bytes:
    """Return the token with the conceded part, or the plain one where the value has no such part."""
    shown = PARTS[part](value)
    return mask_token(label) if shown is None else f"⟦{label} {shown}⟧".encode()
