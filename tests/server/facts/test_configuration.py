from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from loglease.server.facts.configuration import provider_configurations
from loglease.server.facts.http import HttpConfig
from loglease.server.facts.rotas import RotaConfig
from loglease.server.settings import Settings, SettingsInvalid, load_settings

EVERYTHING = """
[facts.providers.people]
kind = "static"
values = [
    { fact = "ctx.on_call", value = true, accounts = ["maria"], groups = ["sre"], labels = ["pay-api"] },
    { fact = "approver.tenure", value = "90d" },
]

[facts.providers.incidents]
kind = "http"
url = "https://incidents.example/api/{label}?user={account}"
method = "GET"
headers = { Accept = "application/json", Authorization = { file = "token", prefix = "Bearer " }, X-Key = { env = "KEY" } }
absent_when = [404, "missing"]
timeout_s = 1.0
keep_s = 0
ca_file = "ca.pem"

[facts.providers.incidents.facts."ctx.incident"]
value = "/open/0"
observed_at = "/at"
reference = "/open/0/url"
fields = { id = "/key" }

[facts.providers.rota]
kind = "icalendar"
zone = "Europe/Berlin"
domain = "example.com"
people = { "Maria M." = "maria" }
refresh_s = 30
max_age_s = 600

[facts.providers.rota.rotas.payments-manager]
file = "payments.ics"
by = "summary"
labels = { service = ["pay-*"] }

[facts.providers.rota.rotas.sre]
url = { env = "ROTA_URL" }
"""


def test_everything_can_be_said_and_no_secret_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loglease.toml").write_text(EVERYTHING)
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "ca.pem").touch()
    monkeypatch.setenv("KEY", "k3y")
    monkeypatch.setenv("ROTA_URL", "https://calendar.example/private-s3cret/basic.ics")
    settings = load_settings(environment={"LOGLEASE_DATA_DIR": str(tmp_path)})
    people, incidents, rota = provider_configurations(settings)
    assert isinstance(incidents, HttpConfig)
    assert isinstance(rota, RotaConfig)
    assert (people.name, incidents.origin) == ("people", "https://incidents.example")
    assert incidents.secret_headers == (("Authorization", "Bearer s3cret"), ("X-Key", "k3y"))
    assert rota.people == {"maria m.": "maria"}
    assert rota.rotas[0].file == tmp_path / "payments.ics"
    assert rota.rotas[1].url == "https://calendar.example/private-s3cret/basic.ics"
    assert "s3cret" not in repr((incidents, rota))
    assert "k3y" not in repr(incidents)


def faults(folder: Path, **providers: Any) -> dict[str, str]:
    settings = Settings(data_dir=folder, facts={"providers": providers})  # type: ignore[arg-type] # as a file has it
    with pytest.raises(SettingsInvalid) as refused:
        provider_configurations(settings)
    assert "s3cret" not in str(refused.value)
    assert not any("s3cret" in fault.detail for fault in refused.value.faults)
    return {fault.pointer.removeprefix("facts.providers."): fault.detail for fault in refused.value.faults}


HTTP: dict[str, Any] = {"kind": "http", "url": "https://x.example/{label}", "facts": {"ctx.incident": {}}}
ROTA: dict[str, Any] = {"kind": "icalendar", "domain": "example.com", "rotas": {"sre": {"file": "sre.ics"}}}
STATIC: dict[str, Any] = {"kind": "static", "values": [{"fact": "ctx.on_call", "value": True}]}


def test_little_is_enough(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, facts={"providers": {"a": HTTP, "b": ROTA, "c": STATIC}})  # type: ignore[arg-type] # as a file has it
    assert [one.name for one in provider_configurations(settings)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"kind": "s3cret"}, "kind"),
        ({"url": "s3cret"}, "url"),
        ({"url": "ftp://x.example/"}, "url"),
        ({"url": "https://maria:s3cret@x.example/"}, "url"),
        ({"url": "https://x.example/#s3cret"}, "url"),
        ({"url": "https://{label}.example/"}, "url"),
        ({"url": "https://x.example/{size}"}, "url"),
        ({"url": "https://x.example/a b"}, "url"),
        ({"url": "https://x.example/ü"}, "url"),
        ({"url": "https://x.example:99999/"}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "http://[::1]:80/"}, "url"),
        ({"url": "http://localhost/"}, "url"),
        ({"url": "http://169.254.169.254/", "private_network": True}, "url"),
        ({"url": 7}, "url"),
        ({"method": "PUT"}, "method"),
        ({"method": "POST"}, "body"),
        ({"body": "{}"}, "body"),
        ({"method": "POST", "body": 7}, "body"),
        ({"headers": {"Host": "s3cret"}}, "headers.Host"),
        ({"headers": {"a b": "s3cret"}}, "headers.a b"),
        ({"headers": {"X-Key": "s3cret\n"}}, "headers.X-Key"),
        ({"headers": {"X-Key": {"file": "nowhere"}}}, "headers.X-Key.file"),
        ({"headers": {"X-Key": {"file": "open"}}}, "headers.X-Key.file"),
        ({"headers": {"X-Key": {"file": "lines"}}}, "headers.X-Key"),
        ({"headers": {"X-Key": {"env": "NOT_SET"}}}, "headers.X-Key.env"),
        ({"headers": {"X-Key": {"env": "LOGLEASE_KEY"}}}, "headers.X-Key.env"),
        ({"headers": {"X-Key": {"env": "A", "file": "b"}}}, "headers.X-Key"),
        ({"headers": {"X-Key": {"secret": "s3cret"}}}, "headers.X-Key.secret"),
        ({"url": "http://x.example/", "headers": {"X-Key": {"file": "closed"}}}, "url"),
        ({"facts": {}}, "facts"),
        ({"facts": {"incident": {}}}, "facts.incident"),
        ({"facts": {"ctx.incident": {"value": "open"}}}, "facts.ctx.incident.value"),
        ({"facts": {"ctx.incident": {"valeu": "/open"}}}, "facts.ctx.incident.valeu"),
        ({"facts": {"ctx.incident": {"fields": {"id": "id"}}}}, "facts.ctx.incident.fields.id"),
        ({"absent_when": 500}, "absent_when"),
        ({"absent_when": [401]}, "absent_when"),
        ({"absent_when": "never"}, "absent_when"),
        ({"absent_when": True}, "absent_when"),
        ({"timeout_s": 3}, "timeout_s"),
        ({"timeout_s": "1"}, "timeout_s"),
        ({"keep_s": -1}, "keep_s"),
        ({"ca_file": "nowhere"}, "ca_file"),
        ({"private_network": "yes"}, "private_network"),
        ({"retries": 3}, "retries"),
    ],
)
def test_mistakes_of_an_http_provider(tmp_path: Path, changes: dict[str, Any], pointer: str) -> None:
    for name, text, mode in (("open", "s3cret", 0o644), ("closed", "s3cret", 0o600), ("lines", "s3cret\nmore", 0o600)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    assert f"it.{pointer}" in faults(tmp_path, it={**HTTP, **changes})


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"rotas": {}}, "rotas"),
        ({"rotas": {"Über": {"file": "x"}}}, "rotas.Über"),
        ({"rotas": {"sre": {}}}, "rotas.sre"),
        ({"rotas": {"sre": {"file": "x", "url": "https://x.example/"}}}, "rotas.sre"),
        ({"rotas": {"sre": {"file": "x", "by": "colour"}}}, "rotas.sre.by"),
        ({"rotas": {"sre": {"file": "x", "labels": {"service": []}}}}, "rotas.sre.labels.service"),
        ({"rotas": {"sre": {"file": "x", "labels": {"service": "pay-api"}}}}, "rotas.sre.labels.service"),
        ({"rotas": {"sre": {"url": "https://x.example/{label}"}}}, "rotas.sre.url"),
        ({"rotas": {"sre": {"url": "http://10.0.0.1/"}}}, "rotas.sre.url"),
        ({"rotas": {"sre": {"url": {"file": "http"}}}}, "rotas.sre.url"),
        ({"rotas": {"sre": {"url": {"env": "NOT_SET"}}}}, "rotas.sre.url.env"),
        ({"domain": None, "people": {}}, "domain"),
        ({"people": {"Maria": 7}}, "people.Maria"),
        ({"zone": "Middle/Earth"}, "zone"),
        ({"zone": "../etc"}, "zone"),
        ({"refresh_s": 1}, "refresh_s"),
        ({"refresh_s": 600, "max_age_s": 60}, "max_age_s"),
        ({"timeout_s": 600}, "timeout_s"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_mistakes_of_rotas(tmp_path: Path, changes: dict[str, Any], pointer: str) -> None:
    (tmp_path / "http").write_text("http://x.example/s3cret.ics")
    (tmp_path / "http").chmod(0o600)
    assert f"it.{pointer}" in faults(tmp_path, it={**ROTA, **changes})


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"values": []}, "values"),
        ({"values": ["s3cret"]}, "values.0"),
        ({"values": [{"fact": "on_call", "value": 1}]}, "values.0.fact"),
        ({"values": [{"fact": "ctx.on_call"}]}, "values.0.value"),
        ({"values": [{"fact": "ctx.on_call", "value": 1, "accounts": []}]}, "values.0.accounts"),
        ({"values": [{"fact": "ctx.on_call", "value": 1, "people": ["x"]}]}, "values.0.people"),
    ],
)
def test_mistakes_of_static_values(tmp_path: Path, changes: dict[str, Any], pointer: str) -> None:
    assert f"it.{pointer}" in faults(tmp_path, it={**STATIC, **changes})


def test_mistakes_of_all_providers_come_together(tmp_path: Path) -> None:
    bad = {**HTTP, "url": "x", "keep_s": 99}
    found = faults(tmp_path, identity=STATIC, Upper=STATIC, a=ROTA, b=ROTA, c={}, d=bad)
    assert list(found) == ["identity", "Upper", "c.kind", "c.values", "d.url", "d.keep_s", "b.rotas.sre"]
    assert "a has this rota" in found["b.rotas.sre"]


def test_the_settings_that_the_reference_shows_are_accepted(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/reference/configuration.md").read_text()
    (tmp_path / "incidents.token").write_text("s3cret")
    (tmp_path / "incidents.token").chmod(0o600)
    shown = [one for one in re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "[facts." in one]
    assert len(shown) == 3
    for block in shown:
        (tmp_path / "loglease.toml").write_text(block)
        assert provider_configurations(load_settings(environment={"LOGLEASE_DATA_DIR": str(tmp_path)}))
