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


def in_json(line: str) -> str:
    return json.dumps({"level": "info", "msg": line, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"})


def in_logfmt(line: str) -> str:
    return f'ts=1 msg="{line}" trace_id=4bf92f3577b34da6a3ce929d0e0e4736'


def in_docker(line: str) -> str:
    return json.dumps({"log": line + "\n", "stream": "stdout", "time": "2026-07-31T10:00:00.123456789Z"})


def at_the_end_of_logfmt(line: str) -> str:
    return f'ts=1 msg="{line}"'


@pytest.mark.parametrize(
    "frame", [in_json, in_logfmt, in_docker, at_the_end_of_logfmt], ids=lambda frame: frame.__name__
)
def test_a_key_whose_lines_stand_in_a_field_each_is_masked_to_its_short_last_line(frame) -> None:
    lines = [BEGIN, *LINES[:4], "Zm9vYg==", END]
    out = redacted("".join(frame(line) + "\n" for line in [*lines, "worker started"]).encode()).decode()
    assert [line for line in lines[1:-1] if line in out] == []
    assert out.split("\n")[0] == frame(BEGIN)
    assert out.split("\n")[1] == frame(LINES[0]).replace(LINES[0], "⟦private-key⟧")
    assert out.split("\n")[-3:] == [frame(END), frame("worker started"), ""]


def test_a_key_before_what_a_logger_puts_at_the_end_of_lines_is_masked() -> None:
    out = redacted("".join(f"{line} [main]\n" for line in KEY.split("\n")).encode())
    assert not leaks(out)
    assert out.count("⟦private-key⟧ [main]".encode()) == len(LINES)


def test_fields_beside_a_key_that_never_ends_stay() -> None:
    after = "".join(in_json(f"request {number} done") + "\n" for number in range(8))
    assert redacted((in_json(BEGIN) + "\n" + in_json(LINES[0]) + "\n" + after).encode()).decode().endswith(after)


def test_a_block_in_one_line_keeps_the_time_stamps_of_its_lines() -> None:
    line = (
        b'{"log":"2026-07-31 10:00:00 -----BEGIN PRIVATE KEY-----\\r\\n2026-07-31 10:00:01 MIIEpAIBAAKCAQEAxYz0\\r\\n'
        b'2026-07-31 10:00:01 q7Rb2Wc5Yd8Ze1==\\r\\n2026-07-31 10:00:02 -----END PRIVATE KEY-----"}\n'
    )
    token = "⟦private-key⟧".encode()
    expected = line.replace(b"MIIEpAIBAAKCAQEAxYz0", token).replace(b"q7Rb2Wc5Yd8Ze1==", token)
    assert redacted(line) == expected
