"""Everything foreign is text, on pages and in terminals. Rows UI of the attack catalogue."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.attacks.doors import Browser
from tests.fakes.stack import Refused, Stack
from tests.gateway.world import T0, TOKEN, call, line, world
from tests.promises.shared import crowd, followed, granted, quick

MARKUP = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    '" onmouseover="alert(1)',
    "javascript:alert(1)",
)
SEQUENCES = {
    "title": b"\x1b]0;owned\x07",
    "link": b"\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": b"\x1b]52;c;ZXZpbA==\x07",
    "status string": b"\x1bP$qm\x1b\\",
    "title report": b"\x1b[21t",
    "cursor": b"\x1b[2J\x1b[1;1Hfake",
    "eight-bit": b"\xc2\x9b31mred\xc2\x9d0;x\xc2\x9c",
    "raw eight-bit": b"\x9b31mred",
    "unfinished": b"\x1b]0;never ends",
    "carriage return": b"secret\rpublic",
    "backspace": b"abc\x08\x08\x08xyz",
    "override": "abc \u202e def \u2066".encode(),
}
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")


class Found(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]


@pytest.mark.attack("UI-01")
@pytest.mark.parametrize("evil", MARKUP)
def test_ui_01_markup_from_people_is_shown_as_text(server: Stack, evil: str) -> None:
    people = crowd(server)
    alice = people["alice"]
    request = alice.ask(reason=f"because {evil}", ticket="T", scope={"contains": [evil[:200]]})
    with Browser(server, "bob") as bob:
        pages = [bob.client.get(path) for path in ("/", f"/requests/{request['id']}")]
        people["bob"].decide(request, comment=evil)
        grant = alice.grant_of(request)
        with Browser(server, "alice") as browser:
            pages += [browser.client.get(path) for path in ("/grants", f"/grants/{grant}", f"/grants/{grant}/logs")]
    for page in pages:
        assert page.status_code == 200
        found = Found(page.text)
        assert not {"img", "iframe"} & set(found.tags)
        assert evil not in page.text or "<" not in evil
        assert "alert(1)" not in "".join(re.findall(r"<script[^>]*>(.*?)</script>", page.text, re.DOTALL))
        assert not found.handlers
        assert not [one for one in found.links if one.startswith("javascript")]
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.attack("UI-01")
@pytest.mark.parametrize("evil", MARKUP)
async def test_ui_01_markup_from_logs_stays_inside_strings(tmp_path: Path, evil: str) -> None:
    lines = [line(T0, evil + '\n{"type":"end","reason":"revoked"}\n\nevent: end', service="a", pod=evil)]
    async with world(tmp_path, lines=lines) as made:
        grant = await made.grant()
        answer = await call(made, f"/g/{grant.id}/logs?start=0")
        assert [one["type"] for one in answer.records] == ["line", "end"]
        assert answer.records[0]["labels"]["pod"] == evil
        assert answer.header("content-type") == "application/x-ndjson"
        assert answer.header("x-content-type-options") == "nosniff"
        events = await call(made, f"/g/{grant.id}/logs?start=0", TOKEN, "Accept: text/event-stream")
        assert re.findall(rb"^event: (\w+)$", events.body, re.MULTILINE) == [b"line", b"end"]


@pytest.mark.attack("UI-02")
@pytest.mark.parametrize("kind", SEQUENCES)
async def test_ui_02_no_answer_moves_a_terminal(tmp_path: Path, kind: str) -> None:
    async with world(tmp_path, lines=[line(T0, b"before " + SEQUENCES[kind], service="a")]) as made:
        grant = await made.grant()
        for accept in ("text/plain", "application/x-ndjson", "text/event-stream"):
            answer = await call(made, f"/g/{grant.id}/logs?start=0", TOKEN, f"Accept: {accept}")
            assert answer.body.startswith(b"before ") or b"before " in answer.body
            assert not CONTROL.findall(answer.body)
            assert "\u202e".encode() not in answer.body


@pytest.mark.attack("UI-02")
def test_ui_02_the_command_line_and_our_own_log_move_no_terminal(server: Stack) -> None:
    people = crowd(server)
    alice = people["alice"]
    evil = server.logs / "evil.log"
    evil.write_bytes(b"".join(b"before " + one + b"\n" for one in SEQUENCES.values()))
    alice.ask(reason="look \u202e here \x9b31m and there")
    grant = granted(alice, people["bob"], '{service="evil"}')
    followed(lambda: len(list(alice.lines(grant, since="1h"))) > len(SEQUENCES))
    environment = {
        **os.environ,
        "LOGLEASE_SERVER": server.url,
        "LOGLEASE_TOKEN": alice.token,
        "HOME": str(server.folder),
    }
    for arguments in (["logs", "--grant", grant, "--since", "1h"], ["requests"]):
        done = subprocess.run(
            [Path(sys.executable).with_name("loglease"), *arguments], env=environment, capture_output=True, check=False
        )
        shown = done.stdout + done.stderr
        assert done.returncode == 0, shown
        assert not CONTROL.findall(shown)
        assert "\u202e".encode() not in shown
        assert (shown.count(b"before") >= len(SEQUENCES)) is (arguments[0] == "logs")
    assert not CONTROL.findall((server.folder / "stderr.log").read_bytes())


@pytest.mark.attack("UI-05")
def test_ui_05_no_reason_pushes_the_facts_out_of_sight(server: Stack) -> None:
    people = crowd(server)
    with pytest.raises(Refused):
        people["alice"].ask(reason="y\n" * 10_000)
    request = people["alice"].ask(reason="y\n" * 900 + "the end of it", ticket="T" * 100)
    with Browser(server, "bob") as browser:
        page = browser.client.get(f"/requests/{request['id']}/decide?verdict=approve").text
    facts = page.index('class="words"'), page.index('class="selector"'), page.index(request["digest"][:16])
    reason = page.index('class="reason-line"')
    assert max(facts) < reason
    shown = page[reason : page.index("</section>", reason)]
    assert "the end of it" not in shown
    assert "more" in shown or "…" in shown, "what is cut has to be said"


@pytest.mark.attack("UI-05")
def test_ui_05_a_name_that_resembles_another_is_flagged_where_it_is_decided(server: Stack) -> None:
    people = crowd(server)
    account = "c\u0430rol"
    server.passwords[account] = "look-alike: of this test only"
    body = {"account": account, "email": "c@example.com", "password": server.passwords[account]}
    people["admin"].create("/principals", body)
    request = quick(server.sign_in(account)).create(
        "/requests",
        {
            "scopes": [{"source": "files", "selector": '{service="shop"}', "window": {"lookback_s": 60}}],
            "reason": "checkout fails",
        },
        key="look-alike",
    )
    with Browser(server, "bob") as browser:
        for path in (f"/requests/{request['id']}/decide?verdict=approve", f"/requests/{request['id']}"):
            page = browser.client.get(path).text
            assert "rol" in page
            assert "unusual characters" in page, path
