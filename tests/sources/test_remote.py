"""What operators write of stores behind HTTP: every mistake is named, and no secret is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loglease.model.errors import InvalidField
from loglease.sources.journald import journald_config
from loglease.sources.victorialogs import VictoriaLogsConfig, victorialogs_config

GOOD: dict[str, Any] = {"address": "http://127.0.0.1:9428/", "trusted_labels": ["service"]}


def config(folder: Path, **changes: Any) -> VictoriaLogsConfig:
    return victorialogs_config("shop", {**GOOD, **changes}, base=folder)


def faults(folder: Path, **changes: Any) -> list[str]:
    with pytest.raises(InvalidField) as caught:
        config(folder, **changes)
    return [fault.pointer for fault in caught.value.faults]


def secret(folder: Path, text: str = "s3cret\n", mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_everything_can_be_said(tmp_path: Path) -> None:
    secret(tmp_path)
    (tmp_path / "ca.pem").touch()
    found = config(
        tmp_path,
        kind="victorialogs",
        address="https://logs.example.com/below",
        credentials={"token_file": "secret"},
        ca_file="ca.pem",
        tenant={"account": 7, "project": 9},
        clear_labels=["service"],
        description="The shop",
        timeouts={"connect_s": 1, "silence_s": 2.5, "answer_s": 3},
        compressed=True,
    )
    assert found.upstream.address == "https://logs.example.com/below"
    assert found.upstream.authorization == "Bearer s3cret"
    assert found.upstream.headers == (("AccountID", "7"), ("ProjectID", "9"))
    assert (found.upstream.timeouts.connect_s, found.upstream.timeouts.answer_s) == (1, 3)
    assert "s3cret" not in repr(found)


def test_little_is_enough(tmp_path: Path) -> None:
    found = config(tmp_path)
    assert found.upstream.address == "http://127.0.0.1:9428"
    assert found.upstream.authorization is None
    assert found.label_names == {"service"}
    assert not found.clear_labels


def test_a_user_and_a_password_are_basic(tmp_path: Path) -> None:
    secret(tmp_path, "p:w é")
    credentials = {"user": "reader", "password_file": "secret"}
    assert config(tmp_path, credentials=credentials).upstream.authorization == "Basic cmVhZGVyOnA6dyDDqQ=="


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1:9428", "ftp://a", "http://", "http://a?b", "http://a#b", "http://u:p@a", "http://a/../b", "http://a:0", "http://a:99999", "http://ä", "http://a b", "http://a\n", 7, "https://[::1"],
)  # fmt: skip
def test_a_wrong_address_is_named(tmp_path: Path, address: object) -> None:
    assert faults(tmp_path, address=address)[0] == "/address"


def test_credentials_do_not_travel_in_the_clear_unless_that_is_said(tmp_path: Path) -> None:
    secret(tmp_path)
    clear: dict[str, Any] = {"address": "http://logs.example.com", "credentials": {"token_file": "secret"}}
    assert faults(tmp_path, **clear) == ["/address"]
    assert config(tmp_path, **clear, insecure_http=True).upstream.authorization
    assert config(tmp_path, **{**clear, "address": "http://localhost:1"}).upstream.authorization
    assert config(tmp_path, **{**clear, "address": "http://[::1]:1"}).upstream.authorization


@pytest.mark.parametrize(
    ("text", "mode"), [("s3cret", 0o640), ("s3cret", 0o604), ("", 0o600), ("s3\ncret", 0o600), ("s3 cret", 0o600), ("é", 0o600), ("x" * 9_000, 0o600)]
)  # fmt: skip
def test_a_file_that_is_no_place_for_a_secret_is_named_and_its_content_not_told(
    tmp_path: Path, text: str, mode: int
) -> None:
    secret(tmp_path, text, mode)
    with pytest.raises(InvalidField) as caught:
        config(tmp_path, credentials={"token_file": "secret"})
    assert {fault.pointer for fault in caught.value.faults} == {"/credentials/token_file"}
    assert "cret" not in caught.value.message.replace(str(tmp_path / "secret"), "").replace("no secret", "")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"credentials": {"token_file": "nowhere"}}, "/credentials/token_file"),
        ({"credentials": {"token": "s3cret"}}, "/credentials/token"),
        ({"credentials": {"user": "a"}}, "/credentials"),
        ({"credentials": {"user": "a:b", "password_file": "nowhere"}}, "/credentials/user"),
        ({"credentials": "s3cret"}, "/credentials"),
        ({"ca_file": "nowhere"}, "/ca_file"),
        ({"tenant": {"account": -1}}, "/tenant/account"),
        ({"tenant": {"project": True}}, "/tenant/project"),
        ({"tenant": {"project": 1 << 32}}, "/tenant/project"),
        ({"tenant": {"name": "a"}}, "/tenant/name"),
        ({"timeouts": {"answer_s": 0}}, "/timeouts/answer_s"),
        ({"timeouts": {"answer_s": "1s"}}, "/timeouts/answer_s"),
        ({"timeouts": {"total": 5}}, "/timeouts/total"),
        ({"trusted_labels": []}, "/trusted_labels"),
        ({"trusted_labels": ["a b"]}, "/trusted_labels"),
        ({"clear_labels": ["other"]}, "/clear_labels"),
        ({"compressed": "yes"}, "/compressed"),
        ({"insecure_http": "yes"}, "/insecure_http"),
        ({"description": 7}, "/description"),
        ({"query": "*"}, "/query"),
        ({"headers": {"X": "y"}}, "/headers"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, changes: dict[str, Any], pointer: str) -> None:
    assert pointer in faults(tmp_path, **changes)


def test_all_mistakes_come_together(tmp_path: Path) -> None:
    with pytest.raises(InvalidField) as caught:
        victorialogs_config("shop", {"tenant": {"account": "x"}, "extra": 1}, base=tmp_path)
    assert {fault.pointer for fault in caught.value.faults} == {
        "/extra",
        "/tenant/account",
        "/address",
        "/trusted_labels",
    }


def test_a_journal_has_labels_without_being_asked(tmp_path: Path) -> None:
    found = journald_config("machine", {"address": "http://127.0.0.1:19531"}, base=tmp_path)
    assert found.label_names == {"hostname", "systemd_unit", "transport", "uid"}


@pytest.mark.parametrize("label", ["_SYSTEMD_UNIT", "_systemd_unit", "SYSTEMD_UNIT", "pid", "cmdline"])
def test_a_label_that_is_no_trusted_field_is_named(tmp_path: Path, label: str) -> None:
    with pytest.raises(InvalidField) as caught:
        journald_config("machine", {"address": "http://127.0.0.1:1", "trusted_labels": [label]}, base=tmp_path)
    assert [fault.pointer for fault in caught.value.faults] == ["/trusted_labels"]
