"""`loglease policy publish`: put a bundle where the server of this machine reads it, and have it read.

The server's directory is a link to a directory with one version, and a new version gets a directory of its own. So the
link is replaced in one step, and whoever reads sees one version or the other, whole. A version that the server refuses
is taken back.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from loglease.model.digest import sha256_hex
from loglease.policy.loading import load
from loglease.policy.manifest import Signers, Verified, documents_in, untimely, verified
from loglease.policy.problems import Problem, Severity
from loglease.server.bundle_directory import read_directory
from loglease.server.clock import SystemClock
from loglease.server.local_door import LocalDoorClosed, NoServer, reload_policy
from loglease.server.local_policy import FOUND, OK, PolicyUsage, print_problems
from loglease.server.policies import DIRECTORY
from loglease.server.settings import PolicySettings, load_settings

_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class _Place:
    """The link that the server reads, and beside it a directory for each version."""

    link: Path

    def version_of(self, files: Mapping[str, bytes]) -> Path:
        digests = "".join(f"{sha256_hex(path.encode())}{sha256_hex(files[path])}" for path in sorted(files))
        return self.link.with_name(f"{self.link.name}@{sha256_hex(digests.encode())[:_DIGITS]}")

    def current(self) -> str | None:
        """Return the name of the version that the link leads to; None where there is none yet."""
        return str(self.link.readlink()) if self.link.is_symlink() else None

    def point_to(self, version: str | None) -> None:
        if version is None:
            self.link.unlink()
        else:
            fresh = self.link.with_name(f".{self.link.name}.new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(version)
            fresh.replace(self.link)
        _synced(self.link.parent)

    def remove_but(self, *kept: str | None) -> None:
        """Remove the versions that were published before, except these."""
        pattern = re.compile(rf"{re.escape(self.link.name)}@[0-9a-f]{{{_DIGITS}}}")
        for one in self.link.parent.iterdir():
            if pattern.fullmatch(one.name) and one.name not in kept and not one.is_symlink():
                shutil.rmtree(one)


def publish(
    directory: Path,
    *,
    config: Path | None = None,
    data_dir: Path | None = None,
    as_json: bool = False,
    out: TextIO | None = None,
) -> int:
    """Publish a bundle on the machine of its server; return 3 where it, or the server, refuses the bundle.

    Raises:
        PolicyUsage: it cannot be put there.
        SettingsInvalid: the server's configuration has mistakes.
    """
    overrides = {} if data_dir is None else {"data_dir": str(data_dir)}
    settings = load_settings(config=config, overrides=overrides)
    if settings.policy.trust == "managed":
        raise PolicyUsage(
            "The policy of this server is managed, so no directory is read.",
            next_step=f"loglease policy propose {directory} --comment …",
        )
    place = _Place(settings.policy.directory or settings.data_dir / DIRECTORY)
    if place.link.exists() and not place.link.is_symlink():
        raise PolicyUsage(
            f"{place.link} is a directory of its own, so it cannot be replaced in one step.",
            next_step=f"mv {place.link} {place.link}.before; then publish again, and the server reads a link there.",
        )
    try:
        files = read_directory(directory)
        problems = [files] if isinstance(files, Problem) else _problems(files, settings.policy)
        if problems or isinstance(files, Problem):
            print_problems(problems, as_json=as_json, out=out)
            return FOUND
        before, version = place.current(), place.version_of(files)
        _write(version, files)
        place.point_to(version.name)
        try:
            told: dict[str, Any] = reload_policy(settings.data_dir)
        except NoServer:
            told = {"loaded": False}
        except LocalDoorClosed as refused:
            place.point_to(before)
            place.remove_but(before)
            print(f"error: {refused.message.rstrip('.')}. What was published before is back.", file=sys.stderr)  # noqa: T201
            return FOUND
        place.remove_but(before, version.name)
    except OSError as error:
        what = f"{error.filename} cannot be read or written" if error.filename else "This cannot be published"
        raise PolicyUsage(f"{what}: {error.strerror}.", next_step="Run it as the server's user.") from error
    body = {"loaded": True} | told | {"directory": str(place.link), "version": version.name}
    print(json.dumps(body) if as_json else _sentence(body), file=out or sys.stdout)
    return OK


def _sentence(body: Mapping[str, Any]) -> str:
    if body["loaded"]:
        return f"Published to {body['directory']}. The server has revision {body['revision']} in force."
    return f"Published to {body['directory']}. No server answers here; it is read at the next start, or at SIGHUP."


def _problems(files: Mapping[str, bytes], settings: PolicySettings) -> list[Problem]:
    """Return why the server would refuse these files, as far as that can be told without it."""
    documents: Mapping[str, bytes] = documents_in(files)
    if settings.trust == "signed":
        keys = {person: tuple(given) for person, given in settings.keys.items()}
        found = verified(files, Signers(keys=keys, needed=settings.needed))
        if not isinstance(found, Verified):
            return found
        problem = untimely(found.manifest, SystemClock().now())
        if problem is not None:
            return [problem]
        documents = found.documents
    bundle = load(documents)
    return [one for one in bundle if one.severity is Severity.ERROR] if isinstance(bundle, list) else []


def _write(version: Path, files: Mapping[str, bytes]) -> None:
    """Write a version, durably, and only then give it its name."""
    version.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if version.is_dir():
        if read_directory(version) == files:
            return
        shutil.rmtree(version)  # somebody changed what has this name
    fresh = version.with_name(f".{version.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    for name, content in files.items():
        file = fresh / name
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("xb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
    for folder in {(fresh / name).parent for name in files}:
        _synced(folder)
    fresh.rename(version)


def _synced(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
