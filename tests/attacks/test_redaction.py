"""Redaction: whole lines, every field, mask at any limit. Rows RD of the attack catalogue."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.fakes.stack import Stack
from tests.gateway.world import T0, TOKEN, Line, call, line, world
from tests.promises.shared import LINE, Following, crowd, followed, granted

CARD = "4111111111111111"
EMAIL = "canary.person@example.org"
PASSWORD = "canarypassw0rd"
CANARIES = (CARD, EMAIL, PASSWORD)


async def served(tmp_path: Path, lines: list[Line], parameters: str = "", *headers: str) -> bytes:
    async with world(tmp_path, lines=lines) as made:
        grant = await made.grant(profile="pii-default@1")
        answer = await call(made, f"/g/{grant.id}/logs?start=0&direction=forward{parameters}", TOKEN, *headers)
        assert answer.status == 200
        assert answer.body.count(b'"type":"line"') == len(lines) or headers
        return answer.raw


def clean(raw: bytes) -> bool:
    return not [one for one in CANARIES if one.encode() in raw]


@pytest.mark.attack("RD-01")
async def test_rd_01_no_cut_of_ours_divides_a_canary(tmp_path: Path) -> None:
    """Lines whose canary lies across each byte of the slices that are handed over."""
    texts = ["x" * pad + f" {EMAIL} password={PASSWORD} {CARD} end" for pad in range(3_990, 4_100, 3)]
    lines = [line(T0 + n, text, service="a") for n, text in enumerate(texts)]
    assert clean(await served(tmp_path, lines))
    assert clean(await served(tmp_path / "text", lines, "", "Accept: text/plain"))


@pytest.mark.attack("RD-01")
def test_rd_01_a_line_that_is_written_in_two_is_looked_at_whole(server: Stack) -> None:
    people = crowd(server)
    log_file = server.logs / "in-two.log"
    log_file.write_text(LINE)
    grant = granted(people["alice"], people["bob"], '{service="in-two"}')
    tail = Following.opened(people["alice"], grant)
    text = f'{{"level":"info","msg":"in two: {EMAIL} paid with {CARD}"}}\n'.encode()

    def own() -> list[str]:
        return [one for one in tail.texts if "in two: " in one]

    with log_file.open("ab", buffering=0) as log:
        for offset in range(1, len(text), 2):
            log.write(text[:offset])
            time.sleep(0.002)  # not a wait: the source may look at any moment in between
            log.write(text[offset:])
    expected = len(range(1, len(text), 2))
    followed(lambda: len(own()) >= expected)
    people["bob"].call("POST", f"/grants/{grant}/revoke", {"reason": "x"})
    assert tail.end() == "revoked"
    assert not [one for one in tail.texts if EMAIL in one or CARD in one or EMAIL[5:] in one or CARD[:8] in one]
    assert len(own()) == expected


@pytest.mark.attack("RD-03")
@pytest.mark.parametrize("mebibytes", [1, 10])
async def test_rd_03_a_line_without_an_end_is_masked_whole(tmp_path: Path, mebibytes: int) -> None:
    text = "x" * (mebibytes << 20) + f" {EMAIL} password={PASSWORD} {CARD}"
    assert clean(await served(tmp_path, [line(T0, text, service="a")]))


def in_entities(text: str) -> str:
    return "".join(f"&#{ord(one)};" for one in text)


DISGUISES = {
    "escapes of JSON": lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
    "hexadecimal escapes": lambda text: "".join(f"\\x{ord(one):02x}" for one in text),
    "octal escapes": lambda text: "".join(f"\\{ord(one):03o}" for one in text),
    "percent": lambda text: "".join(f"%{ord(one):02X}" for one in text),
    "percent twice": lambda text: "".join(f"%25{ord(one):02X}" for one in text),
    "entities": in_entities,
    "zero-width spaces": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "colours": "\x1b[31m\x1b[0m".join,
    "combining marks": lambda text: "".join(one + "\u0301" for one in text),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"at": text})),
    "URL": lambda text: f"https://x.example/?q={quote(text, safe='')}",
}


@pytest.mark.attack("RD-05", "RD-06")
@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("canary", [CARD, EMAIL])
async def test_rd_05_06_a_disguise_does_not_help(tmp_path: Path, disguise: str, canary: str) -> None:
    hidden = DISGUISES[disguise](canary)
    raw = await served(tmp_path, [line(T0, f"user {hidden} paid", service="a")])
    text = json.loads(raw.partition(b'{"type":"line"')[2].partition(b"\n")[0].join([b'{"type":"line"', b""]))["line"]
    assert canary not in text
    assert hidden not in text
    assert "⟦" in text


@pytest.mark.attack("RD-05")
async def test_rd_05_a_password_in_base64_is_masked(tmp_path: Path) -> None:
    hidden = base64.b64encode(f"password={PASSWORD}".encode()).decode()
    assert hidden.encode() not in await served(tmp_path, [line(T0, f"data {hidden}", service="a")])


@pytest.mark.attack("RD-07")
async def test_rd_07_names_values_and_metadata_are_masked_too(tmp_path: Path) -> None:
    metadata = (("user", EMAIL), (EMAIL, "x"), ("card", CARD), ("password", PASSWORD))
    lines = [
        Line(T0, (("service", "a"), ("user", EMAIL)), b"one", metadata),
        Line(T0 + 1, ((CARD, "x"), ("service", "a")), b"two", metadata),
    ]
    for accept in ("application/x-ndjson", "text/event-stream", "text/plain"):
        assert clean(await served(tmp_path / accept.replace("/", "-"), lines, "", f"Accept: {accept}"))


@pytest.mark.attack("RD-07")
async def test_rd_07_an_error_repeats_nothing_of_a_line(tmp_path: Path) -> None:
    async with world(tmp_path, lines=[line(T0, f"{EMAIL} {CARD}", service="a")], loose=True) as made:
        grant = await made.grant(profile="pii-default@1")
        for query in ("{x", '{service="b"}', "| json | x >", "count_over_time({} | json [60y])"):
            answer = await call(made, f"/g/{grant.id}/logs?start=0&query={quote(query)}")
            assert answer.status >= 400
            assert clean(answer.raw)


@pytest.mark.attack("RD-10")
@pytest.mark.parametrize(
    "way",
    [
        "&redact=off",
        "&profile=raw",
        "&raw=true",
        "&redaction=raw@1",
        "X-Redact: off",
        "X-Profile: raw@1",
        "Cookie: profile=raw",
    ],
)
async def test_rd_10_nothing_that_a_client_says_changes_the_profile(tmp_path: Path, way: str) -> None:
    lines = [line(T0, f"{EMAIL} password={PASSWORD} {CARD}", service="a")]
    parameters, headers = (way, ()) if way.startswith("&") else ("", (way,))
    raw = await served(tmp_path, lines, parameters, *headers)
    assert clean(raw)
    assert "⟦email:".encode() in raw
