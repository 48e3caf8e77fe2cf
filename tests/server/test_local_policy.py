"""`policy key`, `sign`, `verify` and `publish`, as people call them."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from tests.api.world import world_in
from tests.fakes.signed import DOCUMENTS, changed

from loglease.cli.main import run_command
from loglease.policy.manifest import MANIFEST, SIGNATURES
from loglease.server.health import checks
from loglease.server.local_door import local_door

DRAFT = "policies"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return what runs a command; those of the server's package print on the streams of the process."""

    def call(*words: str) -> Result:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run_command(words, environment={"HOME": str(tmp_path)}, stdin=io.StringIO(), stdout=out, stderr=err)
        return Result(code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    return put(tmp_path / DRAFT, DOCUMENTS)


def put(folder: Path, documents: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.yaml"):
        old.unlink()
    for name, content in documents.items():
        (folder / name).write_bytes(content)
    return folder


def keys_of(cli: Cli, folder: Path, *names: str) -> dict[str, str]:
    return {name: cli("policy", "key", str(folder / f"{name}.key")).out.strip() for name in names}


def sign(cli: Cli, draft: Path, name: str, *more: str) -> Result:
    return cli("policy", "sign", str(draft), "--key", str(draft.parent / f"{name}.key"), *more)


def verify(cli: Cli, draft: Path, keys: dict[str, str], *more: str) -> Result:
    named = [word for name, key in keys.items() for word in ("--keys", f"{name}={key}")]
    return cli("policy", "verify", str(draft), *named, *more)


def configured(folder: Path, keys: dict[str, str], needed: int = 2, trust: str = "signed") -> Path:
    file = folder / "server.toml"
    named = "".join(f'{name} = ["{key}"]\n' for name, key in keys.items()) if trust == "signed" else ""
    data = folder / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    file.write_text(f'data_dir = "{data}"\n[policy]\ntrust = "{trust}"\nneeded = {needed}\n[policy.keys]\n{named}')
    return file


def test_a_key_is_made_once_and_belongs_to_one_person_alone(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "alice.key"
    made = cli("policy", "key", str(file))
    assert (made.code, made.out.startswith("ed25519:"), file.stat().st_mode & 0o777) == (0, True, 0o600)
    content = file.read_bytes()
    assert cli("policy", "key", str(file)).out == made.out
    assert json.loads(cli("policy", "key", str(file), "--output", "json").out) == {"key": made.out.strip()}
    assert file.read_bytes() == content
    file.chmod(0o640)
    open_to_others = cli("policy", "key", str(file))
    assert (open_to_others.code, f"chmod 600 {file}" in open_to_others.err) == (2, True)
    assert cli("policy", "key", str(tmp_path / "none" / "x.key")).code == 2


@pytest.mark.parametrize("kind", ["text", "ed448", "password", "directory"])
def test_what_is_no_key_is_refused(cli: Cli, tmp_path: Path, draft: Path, kind: str) -> None:
    file = tmp_path / "alice.key"
    key = Ed448PrivateKey.generate()
    lock = BestAvailableEncryption(b"secret") if kind == "password" else NoEncryption()
    if kind == "directory":
        file.mkdir()
    else:
        file.write_bytes(b"hello" if kind == "text" else key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    file.chmod(0o700 if kind == "directory" else 0o600)
    found = sign(cli, draft, "alice", "--revision", "1")
    assert (found.code, str(file) in found.err, (draft / MANIFEST).exists()) == (2, True, False)


def test_two_people_sign_one_after_the_other(cli: Cli, tmp_path: Path, draft: Path) -> None:
    keys = keys_of(cli, tmp_path, "alice", "bob", "mallory")
    trusted = {name: keys[name] for name in ("alice", "bob")}
    assert "Signed revision 7, 2 files; 1 signature." in sign(cli, draft, "alice", "--revision", "7").out
    one = verify(cli, draft, trusted, "--needed", "2")
    assert (one.code, "P507" in one.err, "1 of the configured people signed this (alice), 2 have to" in one.err) == (
        3,
        True,
        True,
    )
    sign(cli, draft, "mallory")
    assert verify(cli, draft, trusted, "--needed", "2").code == 3
    assert "3 signatures." in sign(cli, draft, "bob").out
    both = verify(cli, draft, trusted, "--needed", "2")
    assert (both.code, both.out) == (0, "ok: revision 7, 2 files, signed by alice, bob\n")
    again = sign(cli, draft, "bob", "--revision", "7", "--output", "json")
    assert json.loads(again.out) == {"revision": 7, "files": 2, "key": keys["bob"], "signatures": 3}
    assert "revision 8, 2 files; 1 signature." in sign(cli, draft, "bob", "--revision", "8").out, (
        "a new one is unsigned"
    )


def test_times_are_signed(cli: Cli, tmp_path: Path, draft: Path) -> None:
    keys = keys_of(cli, tmp_path, "alice")
    told = sign(cli, draft, "alice", "--revision", "1", "--not-before", "1h", "--expires", "2999-01-01T00:00:00Z")
    assert "until 2999-01-01T00:00:00.000000Z" in told.out
    body = json.loads(verify(cli, draft, keys, "--output", "json").out)
    assert (body["expires"], body["signers"], "not_before" in body) == ("2999-01-01T00:00:00.000000Z", ["alice"], True)
    assert "expires at 2999-01-01" in verify(cli, draft, keys).out
    sign(cli, draft, "alice", "--revision", "2", "--expires", "2020-01-01T00:00:00Z")
    late = verify(cli, draft, keys, "--output", "json")
    assert (late.code, json.loads(late.out)["problems"][0]["code"]) == (3, "P509")


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--expires", "90d"),
        ("--revision", "0"),
        ("--revision", "x"),
        ("--revision", "1", "--expires", "soon"),
        ("--revision", "1", "--expires", "1h", "--not-before", "2h"),
    ],
)
def test_a_wrong_call_ends_with_two_and_writes_nothing(cli: Cli, tmp_path: Path, draft: Path, more: tuple) -> None:
    keys_of(cli, tmp_path, "alice")
    assert (sign(cli, draft, "alice", *more).code, (draft / MANIFEST).exists()) == (2, False)


def test_what_a_server_would_refuse_is_not_signed(cli: Cli, tmp_path: Path, draft: Path) -> None:
    keys_of(cli, tmp_path, "alice", "bob")
    put(draft, DOCUMENTS | changed("max: 1h", "max: 45m"))
    failing = sign(cli, draft, "alice", "--revision", "1")
    assert (failing.code, "P512" in failing.err) == (3, True)
    put(draft, changed("default: 30m", "defualt: 30m"))
    assert sign(cli, draft, "alice", "--revision", "1").code == 3
    put(draft, DOCUMENTS)
    (draft / "notes.txt").write_text("x")
    assert "P319" in sign(cli, draft, "alice", "--revision", "1").err
    (draft / "notes.txt").unlink()
    assert sign(cli, draft, "alice", "--revision", "1").code == 0
    put(draft, changed("max: 1h", "max: 2h"))
    other = sign(cli, draft, "bob")
    assert (other.code, "P503" in other.err, "P505" in other.err) == (3, True, True)
    (draft / "link.yaml").symlink_to("policy.yaml")
    assert [sign(cli, draft, "bob").code, verify(cli, draft, {"a": "b"}).code] == [3, 2]
    (tmp_path / "empty").mkdir()
    assert sign(cli, tmp_path / "empty", "../alice", "--revision", "1").code == 2
    assert sign(cli, tmp_path / "none", "../alice", "--revision", "1").code == 2


def test_verify_takes_the_keys_of_the_server_where_none_are_named(cli: Cli, tmp_path: Path, draft: Path) -> None:
    keys = keys_of(cli, tmp_path, "alice", "bob")
    sign(cli, draft, "alice", "--revision", "1")
    assert cli("policy", "verify", str(draft), "--data-dir", str(tmp_path / "data")).code == 2
    config = str(configured(tmp_path, keys))
    assert cli("--config", config, "policy", "verify", str(draft)).code == 3
    assert cli("--config", config, "policy", "verify", str(draft), "--needed", "1").code == 0


def versions(folder: Path) -> list[str]:
    return sorted(one.name for one in (folder / "data").iterdir() if one.name.startswith("policy@"))


async def test_a_published_bundle_is_in_force_and_a_refused_one_is_taken_back(
    cli: Cli, tmp_path: Path, draft: Path
) -> None:
    keys = keys_of(cli, tmp_path, "alice", "bob")
    config = str(configured(tmp_path, keys))

    def published(name: str | None = None, **documents: bytes) -> Result:
        if name is not None:
            put(draft, documents or DOCUMENTS)
            for person in ("alice", "bob"):
                assert sign(cli, draft, person, *(("--revision", name) if person == "alice" else ())).code == 0
        return cli("--config", config, "policy", "publish", str(draft))

    first = published("3")
    assert (first.code, "read at the next start" in first.out) == (0, True)
    link = tmp_path / "data" / "policy"
    assert link.is_symlink()
    settings = {"policy": {"trust": "signed", "keys": {name: [key] for name, key in keys.items()}, "needed": 2}}
    async with world_in(tmp_path, **settings) as world, local_door(world.services):
        longer = changed("max: 1h", "max: 2h")
        second = await asyncio.to_thread(published, "4", **longer)
        assert (second.code, "has revision 4 in force" in second.out) == (0, True)
        assert (world.services.rules.current.revision, len(versions(tmp_path))) == (4, 2)
        before = str(link.readlink())
        old = await asyncio.to_thread(published, "2", **changed("max: 1h", "max: 3h"))
        assert (old.code, "revision 2 is older than 4" in old.err, "is back" in old.err) == (3, True, True)
        assert (str(link.readlink()), versions(tmp_path)) == (before, [before])
        [found] = [one for one in await checks(world.services) if one.name == "policy"]
        assert not found.ok
        fifth = await asyncio.to_thread(published, "5", **longer)
        assert fifth.code == 0, fifth.err
        again = await asyncio.to_thread(published)
        assert (again.code, world.services.rules.current.revision, len(versions(tmp_path))) == (0, 5, 1)
        (draft / SIGNATURES).unlink()
        stripped = await asyncio.to_thread(published)
        assert (stripped.code, "P507" in stripped.err, str(link.readlink()) in versions(tmp_path)) == (3, True, True)
    async with world_in(tmp_path, **settings) as world:
        assert world.services.rules.current.revision == 5


async def test_documents_that_nobody_signs_can_be_published_too(cli: Cli, tmp_path: Path, draft: Path) -> None:
    config = str(configured(tmp_path, {}, 1, "local"))
    async with world_in(tmp_path) as world, local_door(world.services):
        found = await asyncio.to_thread(cli, "--config", config, "policy", "publish", str(draft), "--output", "json")
        assert found.code == 0, found.err
        body, link = json.loads(found.out.splitlines()[-1]), tmp_path / "data" / "policy"
        assert (body["loaded"], body["revision"], body["version"]) == (
            True,
            1,
            str(link.readlink()),
        )
        put(draft, DOCUMENTS | changed("max: 1h", "max: 45m"))
        failing = await asyncio.to_thread(cli, "--config", config, "policy", "publish", str(draft))
        assert (failing.code, "the test" in failing.err) == (3, True)
        put(draft, changed("default: 30m", "defualt: 30m"))
        assert (await asyncio.to_thread(cli, "--config", config, "policy", "publish", str(draft))).code == 3
        assert world.services.rules.current.revision == 1


def test_publish_replaces_no_directory_of_ones_own(cli: Cli, tmp_path: Path, draft: Path) -> None:
    config = str(configured(tmp_path, {}, 1, "local"))
    own = put(tmp_path / "data" / "policy", DOCUMENTS)
    found = cli("--config", config, "policy", "publish", str(draft))
    assert (found.code, f"mv {own}" in found.err, own.is_symlink()) == (2, True, False)
    assert cli("--config", config, "policy", "publish", str(tmp_path / "none")).code == 2


def test_a_version_that_somebody_changed_is_written_anew(cli: Cli, tmp_path: Path, draft: Path) -> None:
    config = str(configured(tmp_path, {}, 1, "local"))
    for _ in range(2):
        assert cli("--config", config, "policy", "publish", str(draft)).code == 0
        file = tmp_path / "data" / "policy" / "policy.yaml"
        assert file.read_bytes() == DOCUMENTS["policy.yaml"]
        file.write_bytes(b"changed")


def test_nothing_is_published_to_a_server_whose_policy_is_managed(cli: Callable[..., Result], tmp_path: Path) -> None:
    config = tmp_path / "managed.toml"
    config.write_text('[policy]\ntrust = "managed"\n')
    found = cli("--config", str(config), "policy", "publish", str(tmp_path))
    assert found.code == 2
    assert "loglease policy propose" in found.err
