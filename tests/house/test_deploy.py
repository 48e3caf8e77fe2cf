"""What is in `deploy/` names settings, files and services that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from loglease.server.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
CONTAINERFILE = (ROOT / "deploy/container/Containerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())
SERVERS = [name for name in COMPOSE["services"] if name.startswith("loglease-")]


def loaded(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings(environment=variables)


def variables_of_the_image() -> dict[str, str]:
    return dict(re.findall(r"(LOGLEASE_\w+)=(\S+)", CONTAINERFILE))


def test_what_the_image_copies_is_there() -> None:
    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE, re.MULTILINE) for name in line.split()[:-1]
    ]
    assert len(copied) > 4
    assert not [name for name in copied if not (ROOT / name).exists()]


def test_the_image_has_settings_that_load_and_listens_to_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(monkeypatch, variables_of_the_image())
    assert found.http.listens_at.loopback
    assert found.http.health in CONTAINERFILE.partition("HEALTHCHECK")[2]
    assert f"VOLUME {found.data_dir}" in CONTAINERFILE


@pytest.mark.parametrize("name", SERVERS)
def test_each_server_has_settings_that_load(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    service = COMPOSE["services"][name]
    variables = {key: value for key, value in service["environment"].items() if key.startswith("LOGLEASE_")}
    found = loaded(monkeypatch, variables_of_the_image() | variables)
    proxy = COMPOSE["services"]["proxy"]["networks"]["inside"]["ipv4_address"]
    assert found.http.trusted_proxies == [proxy]
    places = {place.split(":")[1] for place in service["volumes"]}
    assert {str(found.data_dir), str(found.keys_at)} <= places


def test_servers_share_keys_and_nothing_else() -> None:
    assert len(SERVERS) > 1
    kept = [{one.split(":")[0] for one in COMPOSE["services"][name]["volumes"]} - {"./logs"} for name in SERVERS]
    assert set.intersection(*kept) == {"keys"}
    assert set.union(*kept) <= set(COMPOSE["volumes"])


def test_the_proxy_asks_every_server() -> None:
    asked = re.findall(r"^\s+server (\S+):8080", (ROOT / "deploy/compose/nginx.conf").read_text(), re.MULTILINE)
    assert asked == SERVERS
