"""Telephone numbers as people of many countries write them, and what only looks like one."""

import re

import pytest
from tests.redaction.corpus import redacted

INTERNATIONAL = [
    "+4915112345678", "+1 732 555 0147", "+44 20 7946 0958", "+33 1 99 00 12 34", "+49 (0) 30 2345678", "+39 02 1234 5678",
    "+350 200 74062", "+(244) 923456789", "+7 (912) 345-67-89", "+81-3-1234-5678", "+55 (11) 96123-4567", "+49 30/2345678",
    "001-732-555-0147x208", "0049 30 2345678",
]  # fmt: skip
"""E.164, and what a country code may stand before."""

TRUNK = [
    "01.99.00.12.34", "030 2345678", "030/23 45 67 89", "0664 123 45 67", "0664 123456", "(06421) 123456", "06421 12 34 56",
    "07400 123456", "0121 234 5678", "020 7946 0958", "0412 345 678", "(02) 1234 5678", "02-1234-5678", "050-234-5678",
    "070-123 45 67", "08-123 456 78", "0470-12 34 56", "010 1234 5678", "0812-345-678", "021-2345678", "018 1234567",
    "06-12345678", "0495 12 34 56", "041-123-456", "011 2345-6789", "(0212) 345 67 89",
    "(912) 345 678 901",
]  # fmt: skip
"""The trunk prefix 0, as in most of Europe, Asia, Africa and Oceania, or an area code in parentheses."""

AMERICAN = [
    "732-555-0147",
    "732.555.0147",
    "(732) 555-0147",
    "(732)555-0147x208",
    "1-732-555-0147",
    "732-555-0147 ext. 208",
]

GROUPED = [
    "612 345 678",
    "51 234 56 78",
    "412 34 567",
    "20 49 12 34",
    "601 234 567",
    "22 45 3300",
    "99 123 4567",
    "21-2345-6789",
    "912-3456-7890",
]
"""Groups alone: nothing but a word or the place tells that somebody is called there."""

WORDED = ["555 2671", "2212-3456", "26-87-96-35", "99 123456"]
"""Too short or too plain to be told without a word."""

BESIDE = ["he wrote {} on the note", "Anna Berg, {}, Berlin", '{{"note":"{}"}}', "can you check {}?"]
ALONE = ["{}", "  {},"]
NAMED = ["Phone: {}", "please call me at {} tomorrow", "fax={} sent", "you can reach me on my number, {}."]
LABELLED = ["{} (mobile)", "{}-Fax", "{} Phone"]


def survives(number: str, frame: str) -> bool:
    """Tell whether a digit of the number is left."""
    out = redacted(frame.format(number).encode() + b"\n").decode()
    return bool(re.search(r"\d", re.sub("⟦[^⟧]*⟧", "", out)))


@pytest.mark.parametrize("frame", [*BESIDE, *ALONE, *NAMED, *LABELLED])
@pytest.mark.parametrize("number", [*INTERNATIONAL, *TRUNK, *AMERICAN])
def test_a_number_that_says_where_it_is_dialled_is_masked_anywhere(number: str, frame: str) -> None:
    assert not survives(number, frame)


@pytest.mark.parametrize("frame", [*ALONE, *NAMED, *LABELLED])
@pytest.mark.parametrize("number", GROUPED)
def test_a_number_in_groups_is_masked_alone_on_its_line_and_beside_a_word(number: str, frame: str) -> None:
    assert not survives(number, frame)


@pytest.mark.parametrize("frame", NAMED)
@pytest.mark.parametrize("number", WORDED)
def test_a_short_or_plain_number_is_masked_behind_a_word(number: str, frame: str) -> None:
    assert not survives(number, frame)


@pytest.mark.parametrize(
    "line",
    [
        "2026-07-31 10:00:05 done in 732 ms",
        "on 01 12 2026 and 01.12.2026",
        "part 732-555-0147, order 0664 123456, sku=473-818-3416",
        "part=473-818-34162",
        "dump 04 12 34 56 78 9a bc de f0",
        "00000000  04 12 34 56 78 90 12 34  01 23 45 67 89 01 23 45",
        "cells 0412 345 678 901 234 567",
        "read 1 05 61 22 70 48",
        "total 12.345.678 mobile users, 1.234.567.890 calls",
        "took 612 345 678 ns",
        "host 203-0-113-7, ip-10-20-30-40, 10.0.0.12",
        "0000 00 00 00",
        "id 123e4567-0123-4567-8901-426614174000",
        "GET /2026/07/31/0123/456 200",
        "v01.12.33.44.55.66",
        "sent 12 34 fax",
        "1532 555 cells",
        "load 0.12 0.34 0.56 1/234 56789",
    ],
)
def test_what_only_looks_like_a_telephone_number_stays(line: str) -> None:
    assert redacted(line.encode() + b"\n").decode() == line + "\n"
