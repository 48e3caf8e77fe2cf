"""Private keys over several lines."""

import base64
import json
import urllib.parse
from collections.abc import Callable

import pytest
from tests.redaction.corpus import ENGINES, redacted, redactor

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


@pytest.mark.attack("RD-02")
def test_a_read_that_starts_inside_a_key_masks_its_lines() -> None:
    out = redacted("\n".join([*LINES[3:], END, ""]).encode())
    assert not [line for line in LINES[3:-1] if line in out.decode()]
    assert "⟦key-line⟧" in out.decode()


@pytest.mark.parametrize(
    "value",
    [
        "Da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "9F86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    ],
)
def test_a_commit_or_digest_in_letters_of_both_sizes_is_no_line_of_a_key(value: str) -> None:
    line = f"checked out {value}\n".encode()
    assert redacted(line) == line


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


def as_json(key: str, **more: object) -> Callable[[str], str]:
    return lambda line: json.dumps({key: line, **more}, separators=(",", ":"))


DRESSES: dict[str, Callable[[str], str]] = {
    "container JSON": lambda line: as_json("log", stream="stdout", time="2026-07-31T10:00:00.1Z")(line + "\n"),
    "container text": lambda line: "2026-07-31T10:00:00.123456789Z stdout F " + line,
    "JSON lines": as_json("msg", level="info", ts=1722420000),
    "logfmt": lambda line: f'ts=2026-07-31 msg="{line}" level=info caller=main.go:12',
    "syslog": lambda line: "<14>Jul 31 10:00:00 host app[12]: " + line,
    "joined in Java": lambda line: f'    "{line}\\n" +',
    "joined in Python": lambda line: f"    '{line}\\n'",
    "diff": lambda line: f'+   "{line}",',
    "where it was written": lambda line: line + " (main.go:12)",
    "table": lambda line: f"| {line} |",
    "element": lambda line: f"<line>{line}</line>",
    "colour": lambda line: f"\x1b[32m{line}\x1b[0m",
    "CR LF": lambda line: line + "\r",
}
# A line of payload that begins or ends a field can be told from others without the begin mark.
AT_THE_END = ["container JSON", "container text", "syslog", "joined in Java", "joined in Python", "diff", "CR LF"]
MORE = [BODY[at : at + 64] for at in range(0, 900, 64)] + ["oR4L6fFPPA=="]


def left(out: bytes) -> list[str]:
    text = out.decode()
    return [line for line in MORE if line[:12] in text or line[-12:] in text]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("how", DRESSES)
def test_no_line_of_a_key_is_left_in_any_dress(how: str, engine: str) -> None:
    text = "\n".join(DRESSES[how](line) for line in [BEGIN, *MORE, END]) + "\nafter the key\n"
    out = redacted(text.encode(), engine)
    assert not left(out)
    assert out.endswith(b"\nafter the key\n")
    assert out.count(b"\n") == text.count("\n")
    if "JSON" in how:
        assert all(json.loads(line) for line in out.splitlines()[:-1])


@pytest.mark.parametrize("how", DRESSES)
def test_a_key_that_is_cut_off_is_masked_and_what_follows_is_left(how: str) -> None:
    text = "\n".join(DRESSES[how](line) for line in [BEGIN, *MORE]) + "\nwords of another, \n" * 5 + "the end=1\n"
    out = redacted(text.encode())
    assert not left(out)
    assert out.endswith(b"words of another, \nthe end=1\n")


@pytest.mark.parametrize("how", AT_THE_END)
def test_a_read_that_starts_in_mid_key_masks_its_lines_in_a_dress(how: str) -> None:
    out = redacted("".join(DRESSES[how](line) + "\n" for line in MORE[2:-1]).encode())
    assert not left(out)
    assert "⟦key-line⟧" in out.decode()


@pytest.mark.attack("RD-02")
@pytest.mark.parametrize("others", [["INFO something happens here"], ["INFO something happens here", "DEBUG x=1 y=2"]])
def test_lines_of_others_in_between_do_not_end_a_key(others: list[str]) -> None:
    text = "".join("\n".join([line, *others]) + "\n" for line in [BEGIN, *MORE, END])
    out = redacted(text.encode())
    assert not left(out)
    assert out.count(b"INFO something happens here") == len(MORE) + 2


PLAIN = "\n".join([BEGIN, *MORE, END])
IN_ONE_LINE = {
    "base64": "data: " + base64.b64encode(PLAIN.encode()).decode(),
    "hexadecimal": "key " + PLAIN.encode().hex(),
    "percent": "key=" + urllib.parse.quote(PLAIN, safe="") + "&x=1",
    "form": "key=" + urllib.parse.quote_plus(PLAIN) + "&x=1",
    "form without its escapes": "key=" + PLAIN.replace(" ", "+").replace("\n", "%0A") + "&x=1",
    "entities": "<k>" + PLAIN.replace("\n", "&#10;") + "</k>",
    "no line ends": "".join([BEGIN, *MORE, END]),
    "cut off in JSON": json.dumps({"k": "\n".join([BEGIN, *MORE]), "u": "a"}),
    "base64 in JSON in percent": "s="
    + urllib.parse.quote(json.dumps({"k": base64.b64encode(PLAIN.encode()).decode()})),
}


@pytest.mark.parametrize("how", IN_ONE_LINE)
def test_a_key_in_one_line_is_masked_however_it_is_written(how: str) -> None:
    out = redacted(IN_ONE_LINE[how].encode() + b"\n")
    assert not left(out)
    assert "⟦private-key⟧" in out.decode()
    for line in MORE:
        assert base64.b64encode(line.encode())[4:-4] not in out
        assert urllib.parse.quote(line, safe="").encode() not in out
        assert line.encode().hex().encode() not in out


KINDS = {
    "PGP": ["-----BEGIN PGP PRIVATE KEY BLOCK-----", "Version: GnuPG v2", "", *MORE[:-1], "=njUN", "-----END PGP PRIVATE KEY BLOCK-----"],
    "encrypted": ["-----BEGIN RSA PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0F1E2D3C", "", *MORE, END],
    "PuTTY": ["PuTTY-User-Key-File-3: ssh-rsa", "Private-Lines: 14", *MORE, "Private-MAC: none"],
    "SSH2": ["---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", *MORE, "---- END SSH2 ENCRYPTED PRIVATE KEY ----"],
    "key store": ["-----BEGIN PKCS12-----", *MORE, "-----END PKCS12-----"],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_block_is_masked(kind: str) -> None:
    out = redacted("\n".join([*KINDS[kind], "after", ""]).encode())
    assert not left(out)
    assert b"njUN" not in out
    assert b"0F1E" not in out
    assert out.endswith(b"\nafter\n")


def test_a_java_key_store_is_masked() -> None:
    out = redacted(b"jks: /u3+7QAAAAIAAAABAAAAAQ" + BODY.encode() + b" ok\n")
    assert out == "jks: ⟦key-store⟧ ok\n".encode()


def test_a_begin_mark_is_seen_across_every_border_of_chunks() -> None:
    text = "".join(DRESSES["container JSON"](line) + "\n" for line in [BEGIN, *MORE[:3], END]).encode()
    expected = redacted(text)
    for at in range(len(text)):
        stream = redactor().open()
        assert stream.feed(text[:at]).out + stream.feed(text[at:]).out + stream.close().out == expected


def test_streams_that_take_turns_keep_their_own_blocks() -> None:
    streams = [redactor().open() for _ in range(3)]
    outs = [b"", b"", b""]
    for line in [BEGIN, *MORE, END, "after"]:
        for number, stream in enumerate(streams):
            outs[number] += stream.feed((line if number != 1 else "short word").encode() + b"\n").out
    assert outs[0] == outs[2]
    assert not left(outs[0])
    assert outs[1] == b"short word\n" * (len(MORE) + 3)


def test_a_begin_mark_of_another_kind_inside_a_block_changes_nothing() -> None:
    form = "-----BEGIN+RSA+PRIVATE+KEY-----%0AMIIEpAIBAAKCAQEA-----END+RSA+PRIVATE+KEY-----"
    out = redacted(f"{form} {BEGIN}\n{form}\n{MORE[0]}\n{END} {form}\nafter {MORE[0][:12]}\n".encode()).decode()
    assert out.split("\n")[2:] == [
        "⟦private-key⟧",
        f"{END} {form[:31]}⟦private-key⟧{form[-29:]}",
        f"after {MORE[0][:12]}",
        "",
    ]
