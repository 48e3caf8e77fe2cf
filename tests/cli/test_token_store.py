from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import ClassVar

import keyring
import pytest
from keyring.errors import KeyringLocked

from loglease.cli.errors import UnsafeFile
from loglease.cli.secret_files import read_secret, write_secret
from loglease.cli.token_store import Tokens, TokenStore

TOKENS = Tokens("lla_one", "llr_one")


def store_in(directory: Path, context: str = "default") -> TokenStore:
    return TokenStore(state_dir=directory, context=context, server="https://logs.example.com")


class WorkingKeyring:
    priority = 5
    kept: ClassVar[dict[tuple[str, str], str]] = {}

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, value: str) -> None:
        self.kept[service, name] = value

    def delete_password(self, service: str, name: str) -> None:
        self.kept.pop((service, name), None)


class LockedKeyring(WorkingKeyring):
    def set_password(self, service: str, name: str, value: str) -> None:
        raise KeyringLocked

    def get_password(self, service: str, name: str) -> str | None:
        raise KeyringLocked


def test_without_a_keyring_tokens_are_in_a_file_of_the_owner_alone(tmp_path: Path) -> None:
    store_in(tmp_path / "state").write(TOKENS)
    (file,) = (tmp_path / "state").glob("*.tokens.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert store_in(tmp_path / "state").read() == TOKENS


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    store_in(tmp_path).write(TOKENS)
    (file,) = tmp_path.glob("*.tokens.json")
    file.chmod(mode)
    with pytest.raises(UnsafeFile, match=f"{mode:04o}") as caught:
        store_in(tmp_path).read()
    assert "lla_one" not in caught.value.message
    assert caught.value.next_step == f"chmod 600 {file}"


def test_contexts_keep_their_tokens_apart(tmp_path: Path) -> None:
    store_in(tmp_path, "alice").write(TOKENS)
    assert store_in(tmp_path, "bob").read() is None


def test_forgotten_is_forgotten(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.write(TOKENS)
    store.forget()
    store.forget()
    assert store.read() is None
    assert not list(tmp_path.glob("*.tokens.json"))


def test_a_keyring_that_works_is_used_instead_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_in(tmp_path)
    store.write(TOKENS)
    monkeypatch.setattr(keyring, "get_keyring", WorkingKeyring)
    store.write(Tokens("lla_two", "llr_two"))
    assert not list(tmp_path.glob("*.tokens.json"))
    assert store.read() == Tokens("lla_two", "llr_two")
    store.forget()
    assert store.read() is None


def test_a_locked_keyring_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "get_keyring", LockedKeyring)
    store = store_in(tmp_path)
    assert store.read() is None
    store.write(TOKENS)
    assert store.read() == TOKENS


def test_damaged_tokens_are_no_tokens(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.write(TOKENS)
    (file,) = tmp_path.glob("*.tokens.json")
    write_secret(file, '{"access": 1}')
    assert store.read() is None


def test_a_secret_never_shows_in_a_representation() -> None:
    assert "lla_one" not in repr(TOKENS)


def test_only_one_command_refreshes_at_a_time(tmp_path: Path) -> None:
    inside, most = [0], [0]
    lock = threading.Lock()

    def refresh() -> None:
        with store_in(tmp_path).locked():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_missing_secret_is_none_and_a_new_one_replaces_the_old(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret"
    assert read_secret(file) is None
    write_secret(file, "one")
    write_secret(file, "two")
    assert read_secret(file) == "two"
    assert [one.name for one in file.parent.iterdir()] == ["secret"]
