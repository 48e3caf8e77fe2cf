"""A server's name and the keys that it shares, across starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.world import world_in
from tests.fakes.clock import FakeRandom

from loglease.server.membership import NAME, new_run, replica_name
from loglease.server.secret_file import PSEUDONYM_KEY
from loglease.server.settings import SettingsInvalid


def test_a_data_directory_has_one_name(tmp_path: Path) -> None:
    random = FakeRandom()
    name = replica_name(tmp_path, random)
    assert name.startswith("node-")
    assert replica_name(tmp_path, random) == name
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0
    assert len({new_run(name, random) for _ in range(5)}) == 5


@pytest.mark.parametrize("content", [b"", b"\n", b"n\xc3\xb6de", b"a" * 65, b"two\nlines", b"\x00"])
def test_what_is_no_name_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(SettingsInvalid, match="holds no name"):
        replica_name(tmp_path, FakeRandom())


async def test_another_key_of_pseudonyms_is_refused(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        path = world.services.data_dir / PSEUDONYM_KEY
    key = path.read_bytes()
    path.write_bytes(bytes(reversed(key)))
    with pytest.raises(SettingsInvalid, match="another key"):
        async with world_in(tmp_path):
            pass
    path.write_bytes(key)
    async with world_in(tmp_path):
        pass
