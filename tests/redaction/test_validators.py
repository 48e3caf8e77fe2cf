"""Check digits, ranges and neighbours."""

import pytest

from loglease.redaction.checkdigits import luhn, mod97
from loglease.redaction.randomness import bits_per_byte
from loglease.redaction.validators import VALIDATORS, check_of


def accepts(name: str, text: str, value: str, **options: object) -> bool:
    at = text.index(value)
    return check_of(name, options)(text.encode(), at, at + len(value))


def test_check_digits() -> None:
    assert luhn(b"4111111111111111")
    assert not luhn(b"4111111111111112")
    assert luhn(b"79927398713")
    assert mod97(b"GB82WEST12345698765432")
    assert not mod97(b"GB83WEST12345698765432")


@pytest.mark.parametrize(
    ("name", "text", "value", "accepted"),
    [
        ("card", "n 4111111111111111", "4111111111111111", True),
        ("card", "n 4111-1111 11111111", "4111-1111 11111111", False),
        ("card", "n 1234567812345670", "1234567812345670", False),
        ("card", "0.4111111111111111", "4111111111111111", False),
        ("card", "x 4000000000000000006", "4000000000000000006", False),
        ("card", "card 4000000000000000006", "4000000000000000006", True),
        ("ssn", "536-22-8726", "536-22-8726", True),
        ("ssn", "666-22-8726", "666-22-8726", False),
        ("ssn", "1-536-22-8726", "536-22-8726", False),
        ("phone", "+4930123456", "+4930123456", True),
        ("phone", "1+4930123456", "+4930123456", False),
        ("phone", "+4930123456.7", "+4930123456", False),
        ("email", "a@b.example", "a@b.example", True),
        ("email", "logo@2x.png", "logo@2x.png", False),
        ("email", "git@github.com", "git@github.com", False),
        ("email", "git@github.com", "it@github.com", False),
        ("ipv4-public", "8.8.8.8", "8.8.8.8", True),
        ("ipv4-public", "Chrome/8.8.8.8", "8.8.8.8", False),
        ("ipv4-public", "http://8.8.8.8/", "8.8.8.8", True),
        ("ipv4-public", "1.8.8.8.8", "8.8.8.8", False),
        ("ipv4-public", "192.168.0.1", "192.168.0.1", False),
        ("ipv4-private", "192.168.0.1", "192.168.0.1", True),
        ("ipv6-public", "2001:db8::1", "2001:db8::1", True),
        ("ipv6-public", "fe80::1", "fe80::1", False),
        ("ipv6-private", "fe80::1", "fe80::1", True),
        ("ipv6-public", "12:34:56", "12:34:56", False),
        ("basic", "dXNlcjpwYXNz", "dXNlcjpwYXNz", True),
        ("basic", "authentication", "authentication", False),
        ("not-a-digest", "da39a3ee5e6b4b0d", "da39a3ee5e6b4b0d", False),
        ("entropy", "q9X8w7V6u5T4s3", "q9X8w7V6u5T4s3", True),
        ("entropy", "aaaaaaaaaaaaaa", "aaaaaaaaaaaaaa", False),
        ("entropy", "123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000", False),
    ],
)
def test_what_a_validator_accepts(name: str, text: str, value: str, accepted: bool) -> None:
    assert accepts(name, text, value) is accepted


def test_entropy_is_counted_in_bits() -> None:
    assert bits_per_byte(b"") == 0
    assert bits_per_byte(b"aaaa") == 0
    assert bits_per_byte(b"abcd") == 2


def test_options_that_a_validator_does_not_have_are_refused() -> None:
    with pytest.raises(TypeError):
        check_of("card", {"min": 3})
    assert set(VALIDATORS) >= {"card", "iban", "ssn", "phone", "email", "jwt", "entropy"}
