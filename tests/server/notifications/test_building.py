"""Channels from settings: every mistake has its place, secrets are files, texts are scrubbed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.receivers import SECRET, secret_file

from loglease.redaction import Withheld
from loglease.server.engines import Engines
from loglease.server.notifications.building import WITHHELD, channels_of, missing, scrubber, ways_of
from loglease.server.notifications.settings import NotificationSettings
from loglease.server.settings import SettingsInvalid

MAIL = {"host": "127.0.0.1", "sender": "loglease@example.com"}
HOOK = {"kind": "webhook", "url": "https://hooks.example.com/x", "secret_file": "hook.secret"}


def read(**areas: Any) -> NotificationSettings:
    return NotificationSettings.model_validate(areas)


def test_without_settings_nobody_is_written_to(tmp_path: Path) -> None:
    assert channels_of(read(), tmp_path, FakeClock()) == {}
    ways = ways_of(read())
    assert (ways.email, ways.subscribers, ways.operators) == (False, {}, ())


def test_all_that_is_configured_is_there(tmp_path: Path) -> None:
    secret_file(tmp_path)
    secret_file(tmp_path, "mail.password", "pass word")
    secret_file(tmp_path, "ca.pem")
    settings = read(
        email={**MAIL, "user": "us", "password_file": "mail.password", "ca_file": "ca.pem"},
        channels={
            "audit-hook": {**HOOK, "events": ["*"]},
            "security": {"kind": "email", "to": ["security@example.com"]},
        },
        operators=["channel:security", "group:sre", "user:erin"],
    )
    channels = channels_of(settings, tmp_path, FakeClock())
    assert {name: one.kind for name, one in channels.items()} == {
        "email": "email",
        "audit-hook": "webhook",
        "security": "email",
    }
    assert ways_of(settings).subscribers == {"audit-hook": frozenset({"*"})}
    assert missing(channels, frozenset({"security", "incident"})) == ["incident"]


@pytest.mark.parametrize(
    ("areas", "why"),
    [
        ({"channels": {"hook": {**HOOK, "url": "http://hooks.example.com"}}}, "https"),
        ({"channels": {"hook": {**HOOK, "url": "ftp://hooks.example.com"}}}, "no address"),
        ({"channels": {"hook": {**HOOK, "url": "https://me:pw@hooks.example.com"}}}, "no address"),
        ({"channels": {"hook": {"kind": "webhook", "url": "https://hooks.example.com"}}}, "secret_file"),
        ({"channels": {"hook": {**HOOK, "to": ["a@example.com"]}}}, "url and secret_file"),
        ({"channels": {"mail": {"kind": "email", "to": ["a@example.com"]}}}, "the mail server"),
        (
            {"email": MAIL, "channels": {"mail": {"kind": "email", "to": ["a@b.c"], "private_network": True}}},
            "webhooks",
        ),
        ({"email": MAIL, "channels": {"mail": {"kind": "email", "to": ["not one"]}}}, "pattern"),
        ({"email": MAIL, "channels": {"email": {"kind": "email", "to": ["a@example.com"]}}}, "called email"),
        ({"channels": {"No Name": HOOK}}, "pattern"),
        ({"email": {**MAIL, "user": "us"}}, "belong together"),
        ({"email": {**MAIL, "user": "us", "password_file": "x", "security": "none"}}, "without TLS"),
        ({"email": {**MAIL, "sender": "nobody"}}, "pattern"),
        ({"operators": ["channel:nowhere"]}, "no configured channel"),
        ({"operators": ["agent:bot"]}, "channel:, group: or user:"),
    ],
)
def test_each_mistake_is_refused(areas: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        read(**areas)


def test_secrets_that_are_none_are_refused_together(tmp_path: Path) -> None:
    secret_file(tmp_path, "short.secret", "whsec_c2hvcnQ=")
    secret_file(tmp_path, "three.secret", f"{SECRET} {SECRET} {SECRET}")
    secret_file(tmp_path, "empty.secret", "")
    (tmp_path / "open.secret").write_text(SECRET)
    (tmp_path / "open.secret").chmod(0o644)
    files = ("short.secret", "three.secret", "empty.secret", "open.secret", "absent.secret")
    channels = {f"hook-{number}": {**HOOK, "secret_file": name} for number, name in enumerate(files)}
    channels["hook-5"] = {**HOOK, "secret_file": "three.secret", "ca_file": "absent.pem"}
    with pytest.raises(SettingsInvalid) as refused:
        channels_of(read(channels=channels), tmp_path, FakeClock())
    assert {one.pointer for one in refused.value.faults} == {
        *(f"notifications.channels.hook-{number}.secret_file" for number in range(6)),
        "notifications.channels.hook-5.ca_file",
    }
    assert SECRET not in str([one.detail for one in refused.value.faults])


def test_secrets_in_a_text_are_masked_and_what_cannot_be_checked_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = Engines("python", b"m" * 16)
    scrub = scrubber(engines, b"k" * 32, FakeRandom())
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    assert token not in scrub(f"cards fail, with {token}")
    assert scrub("cards fail\nsince nine") == "cards fail\nsince nine"

    def withheld(*_: Any) -> None:
        raise Withheld("engine_error")

    monkeypatch.setattr("loglease.redaction.Redactor.value", withheld)
    assert scrub("cards fail") == WITHHELD
