from __future__ import annotations

import os
from pathlib import Path

import pytest

from loglease.store import lockfile
from loglease.store.errors import StoreInUse, StorePlaceRefused

MOUNTS = """\
22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
90 28 0:44 / /srv/data rw,relatime shared:50 - nfs4 server:/export rw
91 28 0:45 / /srv/database rw,relatime - xfs /dev/vdb rw
92 28 0:46 / /srv/with\\040space rw - fuse.sshfs host: rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    return path


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/srv/data/loglease", "nfs4"),
        ("/srv/database", "xfs"),
        ("/srv/with space/x", "fuse.sshfs"),
        ("/var/lib", "ext4"),
    ],
)
def test_the_file_system_of_a_place(mounts: Path, place: str, kind: str) -> None:
    assert lockfile.file_system_of(Path(place), mounts) == kind


def test_a_system_that_does_not_tell_its_mounts_is_believed(tmp_path: Path) -> None:
    assert lockfile.file_system_of(tmp_path, tmp_path / "missing") is None


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockfile, "file_system_of", lambda _: "nfs4")
    with pytest.raises(StorePlaceRefused, match="network file system"):
        lockfile.private_directory(tmp_path / "data")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277])
def test_directory_and_files_are_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        lockfile.private_directory(tmp_path / "data")
        os.close(lockfile.private_file(tmp_path / "data" / "file"))
    finally:
        os.umask(before)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "file").stat().st_mode & 0o777 == 0o600


def test_an_open_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o750)
    with pytest.raises(StorePlaceRefused, match="mode 0750") as caught:
        lockfile.private_directory(tmp_path / "data")
    assert caught.value.next_step == f"chmod 700 {tmp_path / 'data'}"


@pytest.mark.attack("FT-05")
def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    first = lockfile.lock(tmp_path / "a.db.lock")
    with pytest.raises(StoreInUse, match=rf"a\.db is in use by process {os.getpid()} on "):
        lockfile.lock(tmp_path / "a.db.lock")
    first.release()
    first.release()
    lockfile.lock(tmp_path / "a.db.lock").release()
