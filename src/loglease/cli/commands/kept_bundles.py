"""`policy bundles`: the documents of every bundle that was in force, for whoever decides again what was decided."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from loglease.cli.errors import LogForged, Usage
from loglease.cli.new_folders import write_folder
from loglease.cli.policy_files import PLAIN_PATH, loaded
from loglease.cli.run import Here
from loglease.policy.bundle import Bundle

_DIGEST: Final = re.compile("[0-9a-f]{64}")


def bundles(
    directory: Annotated[Path, Parameter(name="DIR", help="where to; it may hold bundles from an earlier call")],
    /,
    *,
    run: Here,
) -> None:
    """Write the documents of every bundle that was in force into a directory, each under its hash.

    That is the directory that `loglease audit verify --bundles` reads. What is in it already is left as it is. It takes
    the role policy_admin, auditor or admin.
    """
    if directory.exists() and not directory.is_dir():
        raise Usage(f"{directory} is no directory.", next_step="Name one, or a place where one can be made.")
    listed = [str(one["bundle_sha256"]) for one in run.client.every("/policies/documents")]
    if not all(map(_DIGEST.fullmatch, listed)):
        raise LogForged("The server named a bundle by something that is no hash.", next_step="Tell the operators.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Usage(f"{directory} cannot be made: {error.strerror}.", next_step="Choose another place.") from error
    fresh = [sha256 for sha256 in listed if not (directory / sha256).exists()]
    for sha256 in fresh:
        files = _documents(run.client.get(f"/policies/documents/{sha256}")["files"], sha256)
        write_folder(directory / sha256, files)
    if run.out.json:
        run.out.resource({"directory": str(directory), "bundles": listed, "fetched": fresh})
        return
    run.out.data(f"{len(listed)} bundles are in {directory}, {len(fresh)} of them new.")


def _documents(files: Mapping[str, str], sha256: str) -> dict[str, bytes]:
    """Return documents under paths that are safe, once it is certain that they are the bundle of that hash."""
    found = {path: text.encode() for path, text in _placed(files.items())}
    bundle = loaded(found)
    if not isinstance(bundle, Bundle) or bundle.hash != sha256:
        raise LogForged(
            f"What the server gave as the bundle {sha256} is another one, or does not load.",
            next_step="Update loglease; if it stays, tell the operators.",
        )
    return found


def _placed(files: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Give documents other paths whose own could lead anywhere; what a bundle is does not depend on them."""
    for number, (path, text) in enumerate(files, 1):
        end = ".test.yaml" if path.endswith(".test.yaml") else ".yaml"
        yield (path if PLAIN_PATH.fullmatch(path) else f"_document-{number}{end}"), text
