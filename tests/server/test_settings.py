from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.world import settings_in
from tests.fakes.signed import KEYS

from loglease.server.clock import SystemClock
from loglease.server.configured_sources import open_sources, source_configurations
from loglease.server.settings import Settings, SettingsInvalid, address_of, load_settings


def test_nothing_has_to_be_configured(tmp_path: Path) -> None:
    settings = load_settings(environment={"HOME": str(tmp_path)})
    assert settings.data_dir == tmp_path / ".local" / "share" / "loglease"
    assert (settings.http.listen, settings.http.health) == ("127.0.0.1:8080", "127.0.0.1:8081")
    assert [one.name for one in source_configurations(settings)] == ["files"]
    moved = load_settings(environment={"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "xdg")})
    assert moved.data_dir == tmp_path / "xdg" / "loglease"


def test_flags_beat_variables_beat_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loglease.toml").write_text('[http]\nlisten = "127.0.0.1:1"\nhealth = "127.0.0.1:2"\ndrain_s = 3\n')
    monkeypatch.setenv("LOGLEASE_HTTP__LISTEN", "127.0.0.1:4")
    monkeypatch.setenv("LOGLEASE_HTTP__HEALTH", "127.0.0.1:5")
    settings = load_settings(overrides={"data_dir": str(tmp_path), "http": {"health": "127.0.0.1:6"}})
    assert (settings.http.listen, settings.http.health, settings.http.drain_s) == ("127.0.0.1:4", "127.0.0.1:6", 3)


def test_a_file_that_is_named_names_the_data_directory(tmp_path: Path) -> None:
    named = tmp_path / "server.toml"
    named.write_text(f'data_dir = "{tmp_path / "there"}"\n')
    assert load_settings(config=named, environment={"HOME": "/nowhere"}).data_dir == tmp_path / "there"
    by_variable = load_settings(config=named, environment={"LOGLEASE_DATA_DIR": str(tmp_path / "variable")})
    assert by_variable.data_dir == tmp_path / "variable"
    by_flag = load_settings(config=named, overrides={"data_dir": str(tmp_path / "flag")}, environment={})
    assert by_flag.data_dir == tmp_path / "flag"


def test_a_data_directory_does_not_name_another(tmp_path: Path) -> None:
    found = faults_of(tmp_path, 'data_dir = "/srv/elsewhere"\n[limitz]\n')
    assert "--config" in found["data_dir"]
    assert "is no setting" in found["limitz"]
    named = tmp_path / "server.toml"
    named.write_text("data_dir = 7\n")
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(config=named, environment={"HOME": str(tmp_path)})
    assert refused.value.faults[0].pointer == "data_dir"


def faults_of(tmp_path: Path, toml: str) -> dict[str, str]:
    (tmp_path / "loglease.toml").write_text(toml)
    with pytest.raises(SettingsInvalid) as refused:
        source_configurations(load_settings(environment={"LOGLEASE_DATA_DIR": str(tmp_path)}))
    assert refused.value.next_step
    return {fault.pointer: fault.detail for fault in refused.value.faults}


def test_all_mistakes_come_together(tmp_path: Path) -> None:
    found = faults_of(
        tmp_path,
        '[http]\nlisten = "8080"\norigins = ["logs.example.com"]\ndrain_s = 99\n'
        '[limitz]\n[redaction]\nthreads = "many"\n',
    )
    assert set(found) == {"http.listen", "http.origins", "http.drain_s", "limitz", "redaction.threads"}
    assert "is no setting" in found["limitz"]
    assert "127.0.0.1:8080" in found["http.listen"]


def test_mistakes_of_sources_name_source_and_field(tmp_path: Path) -> None:
    found = faults_of(
        tmp_path, '[sources.app]\nkind = "syslog"\n[sources.web]\nwatches = [{root = "/var/log", glob = "*"}]\n'
    )
    assert found["sources.app.kind"] == "'syslog' is no kind of source; use files, journald, loki, victorialogs."
    assert any(pointer.startswith("sources.web.watches") for pointer in found)


def test_mistakes_of_stores_behind_http_name_source_and_field(tmp_path: Path) -> None:
    found = faults_of(
        tmp_path,
        '[sources.shop]\nkind = "victorialogs"\naddress = "logs:9428"\ntenant = { account = -1 }\n'
        '[sources.machine]\nkind = "journald"\naddress = "http://127.0.0.1:1"\ntrusted_labels = ["priority", "pid"]\n'
        '[sources.old]\nkind = "loki"\naddress = "http://127.0.0.1:1"\ntenant = "a|b"\nmax_entries = 0\n',
    )
    assert set(found) == {
        "sources.shop.address",
        "sources.shop.tenant.account",
        "sources.shop.trusted_labels",
        "sources.machine.trusted_labels",
        "sources.old.tenant",
        "sources.old.max_entries",
        "sources.old.trusted_labels",
    }


async def test_stores_behind_http_are_opened_without_an_answer(tmp_path: Path) -> None:
    (tmp_path / "loglease.toml").write_text(
        '[sources.shop]\nkind = "victorialogs"\naddress = "http://127.0.0.1:1"\ntrusted_labels = ["service"]\n'
        '[sources.machine]\nkind = "journald"\naddress = "http://127.0.0.1:1"\nclear_labels = ["hostname"]\n'
        '[sources.old]\nkind = "loki"\naddress = "http://127.0.0.1:1"\ntrusted_labels = ["service"]\n'
    )
    settings = load_settings(environment={"LOGLEASE_DATA_DIR": str(tmp_path)})
    sources = await open_sources(settings, SystemClock())
    try:
        assert {name: (source.kind, source.clear_labels) for name, source in sources.items()} == {
            "shop": ("victorialogs", frozenset()),
            "machine": ("journald", frozenset({"hostname"})),
            "old": ("loki", frozenset()),
        }
        assert sources["shop"].trusted_labels == {"service"}
        assert [(await source.reader.check()).ok for source in sources.values()] == [False, False, False]
    finally:
        await sources.aclose()


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "192.0.2.1:80", "[::]:8080", "logs.example.com:443"])
def test_another_address_without_tls_is_refused_unless_asked_for(tmp_path: Path, listen: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(overrides={"data_dir": str(tmp_path), "http": {"listen": listen}}, environment={})
    assert "--insecure-http" in refused.value.faults[0].detail
    open_one = {"data_dir": str(tmp_path), "http": {"listen": listen, "insecure_http": True}}
    assert load_settings(overrides=open_one, environment={}).http.listen == listen


def test_a_misspelt_variable_is_an_error_and_those_of_the_client_are_not(tmp_path: Path) -> None:
    base = {"LOGLEASE_DATA_DIR": str(tmp_path)}
    assert isinstance(
        load_settings(environment={**base, "LOGLEASE_SERVER": "https://x", "LOGLEASE_TOKEN": "x"}), Settings
    )
    for name in ("LOGLEASE_HTTP_LISTEN", "LOGLEASE_HTTTP__LISTEN", "LOGLEASE_PORT"):
        with pytest.raises(SettingsInvalid) as refused:
            load_settings(environment={**base, name: "1"})
        assert refused.value.faults[0].pointer == name


def test_a_file_that_is_named_has_to_be_there_and_to_be_toml(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="There is no file"):
        load_settings(config=tmp_path / "none.toml", environment={})
    (tmp_path / "bad.toml").write_text("[http\n")
    with pytest.raises(SettingsInvalid, match="is not TOML"):
        load_settings(config=tmp_path / "bad.toml", environment={})


def test_addresses() -> None:
    assert str(address_of("[::1]:80")) == "[::1]:80"
    assert address_of("[::1]:80").loopback
    assert address_of("localhost:0").loopback
    assert not address_of("10.0.0.1:80").loopback
    for wrong in ("80", ":80", "host:", "host:x", "host:70000"):
        with pytest.raises(ValueError, match="not host:port"):
            address_of(wrong)


def test_the_example_of_the_documentation_is_a_configuration(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "configuration.md").read_text()
    (tmp_path / "loglease.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    (found,) = source_configurations(load_settings(environment={"LOGLEASE_DATA_DIR": str(tmp_path)}))
    assert (found.name, sorted(found.label_names), found.compress) == ("app", ["env", "service"], True)


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "configuration.md").read_text()
    for area, field in Settings.model_fields.items():
        for name in getattr(field.annotation, "model_fields", {}):
            assert f"`{area}.{name}`" in page, f"{area}.{name}"


def test_networks_have_names_and_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "loglease.toml").write_text(
        '[networks]\nvpn = ["10.8.0.0/16", "2001:db8::/48"]\ncorp = ["10.0.0.0/8"]\n'
    )
    settings = load_settings(environment={"LOGLEASE_DATA_DIR": str(tmp_path)})
    assert list(settings.networks.items()) == [("vpn", ["10.8.0.0/16", "2001:db8::/48"]), ("corp", ["10.0.0.0/8"])]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('other = ["10.0.0.0/8"]', "means all others"),
        ('Corp = ["10.0.0.0/8"]', "is no name of a network"),
        ('corp = ["10.0.0.1/8"]', "no address or network"),
        ("corp = []", "has no network"),
    ],
)
def test_a_network_that_is_none_is_refused(tmp_path: Path, line: str, told: str) -> None:
    assert told in faults_of(tmp_path, f"[networks]\n{line}\n")["networks"]


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"trust": "signed"}, "needed is 1, and 0 persons have keys"),
        ({"trust": "signed", "keys": KEYS, "needed": 3}, "needed is 3, and 2 persons have keys"),
        ({"trust": "signed", "keys": {"alice": KEYS["alice"], "bob": []}, "needed": 2}, "1 persons have keys"),
        (
            {"trust": "signed", "keys": {"alice": KEYS["alice"], "bob": KEYS["alice"]}},
            "the same key stands there twice",
        ),
        ({"trust": "signed", "keys": {"alice": ["ed25519:AAAA"]}}, "is no public key"),
        ({"keys": KEYS}, "are used by trust"),
    ],
)
def test_keys_of_people_who_sign_have_to_fit(tmp_path: Path, policy: dict, why: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        settings_in(tmp_path, policy=policy)
    assert why in refused.value.faults[0].detail
