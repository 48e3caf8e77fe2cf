"""`policy bundles`: what the server gives out as a bundle is that bundle, and lies under its hash."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, problem

from loglease.policy.bundle import Bundle
from loglease.policy.defaults import default_files
from loglease.policy.loading import load

FILES = {path: content.decode() for path, content in default_files(["files"]).items()}


def digest() -> str:
    found = load({path: text.encode() for path, text in FILES.items()})
    assert isinstance(found, Bundle)
    return found.hash


def giving(server: FakeServer, files: dict[str, str], sha256: str) -> None:
    server.on("GET", "/policies/documents", {"items": [{"bundle_sha256": sha256, "kept_at": "2026-11-23T09:00:00Z"}]})
    server.on("GET", f"/policies/documents/{sha256}", {"bundle_sha256": sha256, "files": files})


def test_each_bundle_is_written_under_its_hash_once(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    giving(server, FILES, digest())
    place = tmp_path / "new" / "bundles"
    found = cli("policy", "bundles", str(place))
    assert (found.code, found.out) == (0, f"1 bundles are in {place}, 1 of them new.\n"), found.err
    written = {path.relative_to(place / digest()).as_posix(): path.read_text() for path in place.rglob("*.yaml")}
    assert written == FILES
    assert "0 of them new" in cli("policy", "bundles", str(place)).out
    assert len(server.sent("GET", f"/policies/documents/{digest()}")) == 1


@pytest.mark.parametrize("path", ["../../evil.yaml", "/evil.yaml", "with space.yaml", "..", "ü.yaml"])
def test_documents_never_leave_their_folder(cli: Cli, server: FakeServer, tmp_path: Path, path: str) -> None:
    (text,) = [text for name, text in FILES.items() if not name.endswith(".test.yaml")][:1]
    rest = {name: one for name, one in FILES.items() if one != text}
    giving(server, {path: text, **rest}, digest())
    place = tmp_path / "a" / "b" / "bundles"
    found = cli("policy", "bundles", str(place))
    assert found.code == 0, found.err
    assert {one for one in tmp_path.rglob("*.yaml") if place / digest() not in one.parents} == set()
    assert (place / digest() / "_document-1.yaml").read_text() == text


def test_what_is_not_the_bundle_of_that_hash_is_refused(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    for files, sha256 in ((FILES, "ab" * 32), ({"a.yaml": "{"}, digest()), ({}, digest())):
        giving(server, files, sha256)
        found = cli("policy", "bundles", str(tmp_path / "bundles"))
        assert (found.code, "is another one, or does not load" in found.err) == (1, True)
        assert not list((tmp_path / "bundles").iterdir())
        server._answers.clear()
    giving(server, FILES, "../../x")
    assert cli("policy", "bundles", str(tmp_path / "bundles")).code == 1


def test_a_place_that_is_no_directory_and_a_refusal_are_told(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert cli("policy", "bundles", str(tmp_path / "file")).code == 2
    server.on("GET", "/policies/documents", problem(403, "not_permitted", "No."))
    assert cli("policy", "bundles", str(tmp_path / "bundles")).code not in (0, 2)
