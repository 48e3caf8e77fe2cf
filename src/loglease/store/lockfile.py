"""What the database's place must offer: a private directory, a local file system, and one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from loglease.store.errors import StoreInUse, StorePlaceRefused

_MOUNTS: Final = Path("/proc/self/mountinfo")
_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "ncpfs", "ocfs2", "gfs2"}
    | {f"fuse.{name}" for name in ("sshfs", "s3fs", "glusterfs", "cephfs", "rclone", "gcsfuse", "blobfuse2", "mfs")}
)
_TYPE_AFTER_DASH: Final = 1
_MOUNT_POINT: Final = 4


class LockFile:
    """The right to be the one process on a database, held until `release` or the end of the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the right up. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def private_directory(directory: Path) -> None:
    """Make the directory with mode 0700, or check that nobody else may enter an existing one.

    Raises:
        StorePlaceRefused: others may read or change it, or its file system is a network's.
    """
    if not directory.is_dir():
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o700)  # an odd umask may have taken bits away
    mode = directory.stat().st_mode & 0o777
    if mode & 0o077:
        raise StorePlaceRefused(
            f"{directory} is open to other users (mode {mode:04o}).", next_step=f"chmod 700 {directory}"
        )
    kind = file_system_of(directory)
    if kind in _NETWORK:
        raise StorePlaceRefused(
            f"{directory} is on a network file system ({kind}), where SQLite cannot lock.",
            next_step="Choose a directory on a local disk, or use PostgreSQL.",
        )


def private_file(path: Path) -> int:
    """Open or make a file that only its owner may read or write, and return its descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def lock(path: Path) -> LockFile:
    """Become the one process that uses a database.

    Raises:
        StoreInUse: another process is; the error says which.
    """
    descriptor = private_file(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 200).decode(errors="replace").strip() or "an unknown process"
        os.close(descriptor)
        database = path.with_suffix("")
        raise StoreInUse(
            f"{database} is in use by {holder}.", next_step="Stop it first, or use another data directory."
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
    return LockFile(path, descriptor)


def file_system_of(directory: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the kind of file system, such as ``ext4`` or ``nfs4``; None where the system does not tell."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    place, best, kind = directory.resolve(), -1, None
    for line in lines:
        words = line.split()
        if "-" not in words:
            continue
        point = Path(words[_MOUNT_POINT].replace("\\040", " "))
        if place.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), words[words.index("-") + _TYPE_AFTER_DASH]
    return kind
