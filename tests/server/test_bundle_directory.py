"""The directory of a signed bundle is read as it is: whole, within bounds, and nothing from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loglease.policy.problems import Problem
from loglease.server import bundle_directory
from loglease.server.bundle_directory import MAX_DEPTH, read_directory


def code(directory: Path) -> str:
    found = read_directory(directory)
    assert isinstance(found, Problem)
    return f"{found.code} {found.at.file}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policy" / "deep").mkdir(parents=True)
    (tmp_path / "policy" / "a.yaml").write_bytes(b"one")
    (tmp_path / "policy" / "deep" / ".hidden").write_bytes(b"two")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.yaml").write_bytes(b"three")
    return tmp_path / "policy"


def test_everything_is_read_hidden_files_and_all(folder: Path) -> None:
    assert read_directory(folder) == {"a.yaml": b"one", "deep/.hidden": b"two"}


def test_the_directory_may_be_a_link(folder: Path) -> None:
    link = folder.parent / "current"
    link.symlink_to(folder)
    assert read_directory(link) == read_directory(folder)


@pytest.mark.parametrize("target", ["../elsewhere/b.yaml", "../elsewhere", "a.yaml", "nowhere", "/etc/passwd"])
def test_no_link_inside_is_followed(folder: Path, target: str) -> None:
    (folder / "link.yaml").symlink_to(target)
    assert code(folder) == "P514 link.yaml"


def test_what_is_no_file_is_refused_and_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "deep" / "pipe.yaml")
    assert code(folder) == "P514 deep/pipe.yaml"


def test_a_link_that_takes_the_place_of_a_file_is_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the listing and the opening, as somebody would do who writes there."""
    whole = os.open

    def swapping(name, flags, *rest, **more):
        if name == "a.yaml":
            (folder / "a.yaml").unlink()
            (folder / "a.yaml").symlink_to("../elsewhere/b.yaml")
        return whole(name, flags, *rest, **more)

    monkeypatch.setattr(os, "open", swapping)
    with pytest.raises(OSError, match="symbolic links"):
        read_directory(folder)


def test_bounds_hold(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = folder / "/".join(["d"] * MAX_DEPTH)
    deep.mkdir(parents=True)
    assert code(folder).startswith("P108 d/d/")
    deep.rmdir()
    monkeypatch.setattr(bundle_directory, "MAX_MANIFEST_BYTES", 2)
    assert code(folder).startswith("P108 ")
    monkeypatch.undo()
    monkeypatch.setattr(bundle_directory, "_MAX_ENTRIES", 2)
    assert code(folder) == "P108 bundle"


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        read_directory(tmp_path / "none")
