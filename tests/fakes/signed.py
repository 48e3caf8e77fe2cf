"""Signed policy bundles in a directory, and the keys of people who sign them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loglease.policy.defaults import default_files
from loglease.policy.manifest import MANIFEST, SIGNATURES, manifest_of, signatures_content, signed

PEOPLE = {
    name: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    for number, name in enumerate(("alice", "bob", "mallory"), 1)
}
KEYS = {name: [signed(b"", PEOPLE[name]).key] for name in ("alice", "bob")}
DOCUMENTS = default_files(["files"])


def signed_settings(needed: int = 2) -> dict[str, Any]:
    """Return the area `policy` of a server that takes what two of alice and bob signed."""
    return {"policy": {"trust": "signed", "keys": KEYS, "needed": needed}}


def put_bundle(
    directory: Path,
    revision: int,
    *,
    by: tuple[str, ...] = ("alice", "bob"),
    documents: Mapping[str, bytes] = DOCUMENTS,
    **times: Any,
) -> Path:
    """Write a signed bundle; what was in the directory before is removed."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    content = manifest_of(documents, revision=revision, **times).content()
    signatures = {one.key: one.value for one in (signed(content, PEOPLE[name]) for name in by)}
    for name, text in {**documents, MANIFEST: content, SIGNATURES: signatures_content(signatures)}.items():
        (directory / name).write_bytes(text)
    return directory


def changed(old: str, new: str) -> dict[str, bytes]:
    """Return the documents that ship, without tests, with a change in the policy."""
    text = DOCUMENTS["policy.yaml"].decode()
    if old not in text:
        raise AssertionError(old)
    return {"policy.yaml": text.replace(old, new).encode()}
