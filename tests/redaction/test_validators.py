"""Check digits, ranges and neighbours."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.redaction.corpus import redacted

from loglease.redaction.checkdigits import NATIONAL, crc32_tail, luhn, mod97, verhoeff
from loglease.redaction.randomness import (
    bits_per_byte,
    has_bits,
    is_opaque,
    is_placeholder,
    is_random,
    is_template,
    is_user_and_password,
)
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


@pytest.mark.parametrize(
    "token", ["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", "ghs_ababababababababababababababab1Xla0B"]
)
def test_a_token_of_github_whose_checksum_holds_needs_no_entropy(token: str) -> None:
    check = check_of("github", {"entropy": 2.5})
    assert check(token.encode(), 0, len(token))
    assert not check(token.replace("1", "2").encode(), 0, len(token))
    assert redacted(f"used {token}\n".encode()).decode() == "used ⟦github-token⟧\n"


def test_entropy_is_counted_in_bits() -> None:
    assert bits_per_byte(b"") == 0
    assert bits_per_byte(b"aaaa") == 0
    assert bits_per_byte(b"abcd") == 2


@given(st.binary(max_size=64) | st.text("abc01", max_size=40).map(str.encode), st.floats(0, 8))
def test_enough_bits_are_told_as_by_counting_them(value: bytes, least: float) -> None:
    counted = bits_per_byte(value)
    assume(abs(counted - least) > 1e-6)
    assert has_bits(value, least) is (counted >= least)


def test_options_that_a_validator_does_not_have_are_refused() -> None:
    with pytest.raises(TypeError):
        check_of("card", {"min": 3})
    assert set(VALIDATORS) >= {"card", "iban", "ssn", "phone", "email", "jwt", "entropy"}


def test_verhoeff_notices_every_changed_digit_and_swapped_neighbours() -> None:
    good = b"236"
    assert verhoeff(good)
    changed = [good[:at] + digit + good[at + 1 :] for at in range(3) for digit in (b"%d" % one for one in range(10))]
    assert [value for value in changed if verhoeff(value)] == [good] * 3
    assert not verhoeff(b"326")


def test_a_checksum_of_six_characters_ends_a_token() -> None:
    token = b"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"
    assert crc32_tail(token)
    assert not crc32_tail(token[:-1] + b"~")
    assert not crc32_tail(token.replace(b"kT3", b"kT4"))
    assert not crc32_tail(b"short")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at-svnr", "1237010180"),
        ("be-rrn", "85.07.30-033.28"),
        ("ch-ahv", "756.9217.0769.85"),
        ("de-tax-id", "86095742719"),
        ("es-dni", "12345678Z"),
        ("es-dni", "X1234567L"),
        ("fi-hetu", "131052-308T"),
        ("fr-nir", "2 55 08 14 168 025 38"),
        ("gb-nhs", "943 476 5919"),
        ("ie-pps", "1234567T"),
        ("it-cf", "RSSMRA85T10A562S"),
        ("nl-bsn", "111222333"),
        ("no-fnr", "13097248022"),
        ("pl-pesel", "44051401359"),
        ("pt-nif", "123456789"),
        ("se-pnr", "811218-9876"),
    ],
)
def test_national_numbers_by_the_examples_of_those_who_issue_them(name: str, value: str) -> None:
    assert accepts(name, f"x {value} y", value)
    assert NATIONAL[name](value.encode())
    at = next(at for at, char in enumerate(value) if char.isdigit())
    others = [value[:at] + str(digit) + value[at + 1 :] for digit in range(10) if str(digit) != value[at]]
    assert not any(NATIONAL[name](other.encode()) for other in others if name != "es-dni" or other[0] != "X")


@pytest.mark.parametrize(
    ("value", "opaque", "random"),
    [
        (b"3f9a1c7e5b2d8f604a1c3e5d7f9b2a4c", True, False),
        (b"0d4e8a37-5c19-4b62-9e7f-1a2b3c4d5e6f", True, False),
        (b"kT3vQ9xLm2Rb7Wc5Yd8Ze1Nf4Gh6JpAs", True, True),
        (b"acme_kT3vQ9xLm2Rb7Wc5Yd8Ze1Nf4Gh6JpAs", True, True),
        (b"kubernetes-dashboard-certificates", False, False),
        (b"default-token-x7k2p", False, False),
        (b"aaaaaaaaaaaaaaaaaaaaaaaa", False, False),
        (b"https://example.com/a1b2c3d4e5f6a7b8", False, False),
        (b"DOCUMENTS_Vector_5_32", False, False),
    ],
)
def test_what_looks_drawn_at_random(value: bytes, opaque: bool, random: bool) -> None:
    assert (is_opaque(value), is_random(value)) == (opaque, random)


@pytest.mark.parametrize(
    ("value", "placeholder", "template"),
    [
        (b"${DB_PASSWORD}", True, True),
        (b"{{ secret }}", True, True),
        (b"<your password>", True, True),
        (b"$DB_PASSWORD", True, True),
        (b"$ecret77", True, False),
        (b"os.environ", True, False),
        (b"Buffer.from(", True, False),
        (b"XXXX-XXXX", True, False),
        (b"hunter2", False, False),
        (b"p$(x", False, False),
    ],
)
def test_what_only_stands_for_a_value(value: bytes, placeholder: bool, template: bool) -> None:
    assert (is_placeholder(value), is_template(value)) == (placeholder, template)


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (b"bob:s3cret77", True),
        (b"kT3vQ9xLm2Rb:", True),
        (b"bob:", False),
        (b"user:password", False),
        (b"$USER:$PASS", False),
        (b"bob:${PASS}", False),
    ],
)
def test_a_name_and_a_password(value: bytes, accepted: bool) -> None:
    assert is_user_and_password(value) is accepted


@pytest.mark.parametrize(
    ("name", "text", "value", "accepted"),
    [
        ("aws-key-id", "AKIAEDT4SYWB5WKH7DNS", "AKIAEDT4SYWB5WKH7DNS", True),
        ("aws-key-id", "AKIA0000000000000001", "AKIA0000000000000001", False),
        ("worded-card", "card 6304771829005", "6304771829005", False),
        ("phone", "ask 732-555-0147x208", "732-555-0147x208", True),
        ("phone-shape", "at 2026-07-31", "2026-07-31", False),
        ("phone-shape", "at 203.0.113.7", "203.0.113.7", False),
        ("phone-shape", "at 0731 552 60 18", "0731 552 60 18", True),
        ("apart", "1 05 61 22", "05 61 22", False),
        ("apart", "at 05 61 22", "05 61 22", True),
        ("apart", "05 61 22 9a", "05 61 22", False),
        ("whole-line", "  05 61 22 ", "05 61 22", True),
        ("whole-line", "at 05 61 22", "05 61 22", False),
        ("email", "amqp://bob:pass@db.example.com/x", "pass@db.example.com", False),
        ("not-a-word", "failed", "failed", False),
        ("not-a-word", "s3cret", "s3cret", True),
    ],
)
def test_what_stands_around_and_inside(name: str, text: str, value: str, accepted: bool) -> None:
    assert accepts(name, text, value) is accepted


def test_a_name_without_some_words() -> None:
    assert accepts("named", 'shop_key="abc"', "abc", without=["cache"])
    assert not accepts("named", 'CACHE_key="abc"', "abc", without=["cache"])
    assert accepts("named", 'cache shop_key="abc"', "abc", without=["cache"])
