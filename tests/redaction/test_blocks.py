"""Private keys over several lines."""

import base64
import json

import pytest
from tests.redaction.corpus import redacted, redactor

BODY = base64.encodebytes(bytes(range(256)) * 3).replace(b"\n", b"").decode()
LINES = [BODY[at : at + 64] for at in range(0, len(BODY), 64)]
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
KEY = "\n".join([BEGIN, *LINES, END])


def leaks(out: bytes) -> list[str]:
    return [line for line in LINES if line in out.decode()]


@pytest.mark.parametrize("prefix", ["", "2026-07-31 10:00:00 ", "1785492000123456789 ", "    ", "+ "])
def test_a_key_is_masked_and_the_lines_own_prefix_stays(prefix: str) -> None:
    text = "\n".join(prefix + line for line in KEY.split("\n")) + "\nafter\n"
    out = redacted(text.encode())
    assert not leaks(out)
    lines = out.decode().split("\n")
    assert lines[1] == prefix + "⟦private-key⟧"
    assert lines[-3:-1] == [prefix + END, "after"]
    assert out.count(b"\n") == text.count("\n")


@pytest.mark.parametrize(
    "text", [json.dumps({"key": KEY}), json.dumps({"a": json.dumps({"key": KEY})}), KEY.replace("\n", "\\n")]
)
def test_a_key_inside_one_line_is_masked(text: str) -> None:
    out = redacted(text.encode() + b"\nafter\n")
    assert not leaks(out)
    assert out.endswith(b"\nafter\n")
    if text.startswith("{"):
        json.loads(out.split(b"\n")[0])


def test_a_block_goes_on_in_the_next_chunk_and_not_in_another_stream() -> None:
    one, other = redactor().open(), redactor().open()
    one.feed(f"{BEGIN}\n{LINES[0]}\n".encode())
    assert b"short" not in other.feed(b"word\n").out
    assert not leaks(one.feed(f"{LINES[1]}\n".encode()).out)


def test_a_block_without_an_end_ends_by_itself() -> None:
    text = f"{BEGIN}\n{LINES[0]}\n" + "an ordinary line, with words.\n" * 5 + "tail dGhpcyBpcw==\n"
    out = redacted(text.encode()).decode()
    assert out.endswith("tail dGhpcyBpcw==\n")
    endless = f"{BEGIN}\n" + (LINES[0] + "\n") * 500
    assert redacted(endless.encode()).count("⟦private-key⟧".encode()) == 400


def test_a_read_that_starts_inside_a_key_masks_its_lines() -> None:
    out = redacted("\n".join([*LINES[3:], END, ""]).encode())
    assert not [line for line in LINES[3:-1] if line in out.decode()]
    assert "⟦key-line⟧" in out.decode()


def test_certificates_and_public_keys_are_no_secret() -> None:
    text = "-----BEGIN CERTIFICATE-----\nMIIDazCC short\n-----END CERTIFICATE-----\n"
    assert redacted(text.encode()) == text.encode()
