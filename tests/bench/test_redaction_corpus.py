"""The labelled corpus that redaction is measured on: its labels are right, and the same seed writes the same lines."""

import base64
import ipaddress
import json
import re
import zlib
from bisect import bisect_right
from collections import Counter
from functools import cache
from typing import Any

import pytest
from bench.redacting.corpus import DENSITIES, KEY_LINES, generated
from bench.redacting.dice import iban_holds, luhn_holds

LINES = 2_500
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@cache
def corpus(density="full", seed=3):
    return generated(density, LINES, seed=seed)


def values(labels, text):
    found: dict[str, list[str]] = {}
    for label in labels:
        found.setdefault(label.kind, []).append(text[label.start : label.end].decode())
    return found


def plain(value):
    """Undo the escapes of an address."""
    return re.sub(r"%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), value)


def crc_holds(value):
    body, tail = value[4:-6], value[-6:]
    number = sum(BASE62.index(char) * 62**place for place, char in enumerate(reversed(tail)))
    return zlib.crc32(body.encode()) == number


def header_names_its_algorithm(value):
    header = value.split(".")[0]
    return "alg" in json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))


PLANTED: dict[str, Any] = {
    "github-token": crc_holds,
    "npm-token": crc_holds,
    "github-fine": re.compile(r"github_pat_\w{82}").fullmatch,
    "aws-key-id": re.compile(r"A[KS]IA[A-Z2-7]{16}").fullmatch,
    "aws-secret": re.compile(r"[\w/+]{40}").fullmatch,
    "slack-token": re.compile(r"xoxb-\d{12}-\d{12}-\w{24}").fullmatch,
    "stripe-key": re.compile(r"[sr]k_live_\w{24}").fullmatch,
    "jwt": header_names_its_algorithm,
    "card": lambda value: luhn_holds(re.sub(r"[ -]", "", value)),
    "card-number": luhn_holds,
    "iban": lambda value: iban_holds(value.replace(" ", "")),
    "ssn": re.compile(r"(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}").fullmatch,
    "phone": re.compile(r"(?:\+\d|\(\d{3}\))[\d -]{7,}").fullmatch,
    "email": re.compile(r"[\w.+]+@[\w.-]+").fullmatch,
    "ipv4": lambda value: ipaddress.IPv4Address(value).is_global,
    "ipv6": lambda value: ipaddress.IPv6Address(value).is_global,
    "private-key": re.compile(r"[\w+/]{12,64}={0,2}").fullmatch,
    "private-key-inline": re.compile(r"(?:[\w+/]{64}\\n)+[\w+/]+==").fullmatch,
    "otp": re.compile(r"\d{6}").fullmatch,
    "cvv": re.compile(r"\d{3}").fullmatch,
}
LOOK_ALIKE: dict[str, Any] = {
    "card-shaped": lambda value: len(value) == 16 and not luhn_holds(value),
    "iban-shaped": lambda value: not iban_holds(value),
    "private-address": lambda value: ipaddress.IPv4Address(value).is_private,
    "digest": re.compile(r"sha256:[0-9a-f]{64}").fullmatch,
    "trace-id": re.compile(r"[0-9a-f]{32}").fullmatch,
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_value_is_of_its_kind(kind):
    found = values(corpus().planted, corpus().text)[kind]
    assert found
    assert [value for value in found if not PLANTED[kind](plain(value))] == []


@pytest.mark.parametrize("kind", LOOK_ALIKE)
def test_a_look_alike_is_of_its_kind(kind):
    found = values(corpus().look_alikes, corpus().text)[kind]
    assert found
    assert [value for value in found if not LOOK_ALIKE[kind](plain(value))] == []


def test_kinds_are_many_and_equally_frequent():
    counts = Counter(label.kind for label in corpus().planted if label.kind != KEY_LINES)
    assert len(counts) >= 19
    assert max(counts.values()) < 4 * min(counts.values())


@pytest.mark.parametrize("density", DENSITIES)
def test_labels_are_sorted_disjoint_and_within_lines(density):
    one = corpus(density)
    at = 0
    for label in sorted([*one.planted, *one.look_alikes]):
        assert at <= label.start < label.end
        assert b"\n" not in one.text[label.start : label.end]
        at = label.end


def test_the_lines_of_a_key_are_one_value():
    sizes = Counter(label.value for label in corpus().planted if label.kind == KEY_LINES)
    assert len(sizes) > 8
    assert all(5 <= size <= 27 for size in sizes.values())


def test_no_mark_is_left_in_the_text():
    assert re.search("[\ue000-\uf8ff]", corpus().text.decode()) is None
    assert b"%EE%80" not in corpus().text


@pytest.mark.parametrize("density", DENSITIES)
def test_the_same_seed_writes_the_same_corpus(density):
    assert generated(density, 300, seed=3) == generated(density, 300, seed=3)
    assert generated(density, 300, seed=4).text != generated(density, 300, seed=3).text


def test_frames_have_their_shares():
    lines = corpus("sparse").text.splitlines()
    share = Counter(
        "json" if line.startswith(b"{") else "logfmt" if line.startswith(b"ts=") else "rest" for line in lines
    )
    assert 0.43 < share["json"] / len(lines) < 0.47
    assert 0.23 < share["logfmt"] / len(lines) < 0.27


def test_every_json_line_parses():
    lines = [line for line in corpus().text.splitlines() if line.startswith(b"{")]
    assert [line for line in lines if not isinstance(json.loads(line), dict)] == []


def held(labels, text):
    """Return the numbers of the lines that hold a label."""
    ends = [found.start() for found in re.finditer(b"\n", text)]
    return {bisect_right(ends, label.start) for label in labels}


def lines_with(labels, text):
    return len(held(labels, text))


@pytest.mark.parametrize(("density", "low", "high"), [("sparse", 0.015, 0.04), ("dense", 0.27, 0.38)])
def test_a_density_says_how_many_lines_hold_a_planted_value(density, low, high):
    one = corpus(density)
    assert low < lines_with(one.planted, one.text) / one.lines < high


def test_in_a_full_corpus_all_lines_hold_one_but_what_follows_an_exception_or_frames_a_key():
    one = corpus("full")
    numbers = held(one.planted, one.text)
    without = [line for number, line in enumerate(one.text.splitlines()) if number not in numbers]
    assert [line for line in without if not re.match(rb"\tat |.*-----(?:BEGIN|END) |.*loaded signing key", line)] == []


def test_look_alikes_stand_on_most_lines_and_card_shaped_numbers_on_eight_of_a_hundred():
    one = corpus("sparse")
    assert lines_with(one.look_alikes, one.text) / one.lines > 0.8
    shaped = [label for label in one.look_alikes if label.kind == "card-shaped"]
    assert 0.06 < lines_with(shaped, one.text) / one.lines < 0.1


def test_escapes_come_on_every_so_many_entries():
    text = generated("sparse", 1_000, escapes_every=10).text
    assert 80 < text.count(b"caf%C3%A9") < 120
