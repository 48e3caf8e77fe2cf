"""The manifest of a signed bundle: its revision, from when and until when it holds, its files; and who signed it.

Manifest and signatures are two files beside the documents. A manifest has one encoding only, canonical JSON, so what
was signed is what is read. Not here: directories, and the documents themselves, which are looked at afterwards.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from loglease.model.digest import MAX_INTEGER, Canonical, canonical_bytes, sha256_hex
from loglease.model.errors import InvalidField, Malformed
from loglease.model.instant import Instant, instant_text, parse_instant
from loglease.policy.problems import MAX_REPORTED, At, Problem, shown

MANIFEST: Final = "manifest.json"
SIGNATURES: Final = "signatures.json"
FORMAT: Final = "loglease-bundle/1"
SIGNATURES_FORMAT: Final = "loglease-signatures/1"
MAX_MANIFEST_BYTES: Final = 8 << 20
MAX_SIGNATURES_BYTES: Final = 64 << 10
NOT_REGULAR: Final = "P514"
"""The code of a problem that is found while a directory is read: something in it is no file."""

_SIGNED: Final = b"loglease-bundle-v1\n"
_KEY: Final = "ed25519:"
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_MAX_PATH: Final = 512
_MAX_FILE_BYTES: Final = 1 << 20
_PATH = re.compile(r"(?!\.\.?(?:/|$))[^/\\\x00-\x1f\x7f]+(?:/(?!\.\.?(?:/|$))[^/\\\x00-\x1f\x7f]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, order=True)
class ListedFile:
    """One file of a bundle: its path below the directory, its size in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is signed. A bundle is in force neither before `not_before` nor for anything new after `expires`."""

    revision: int
    files: tuple[ListedFile, ...]
    not_before: Instant | None = None
    expires: Instant | None = None

    def content(self) -> bytes:
        """Return the one encoding, which is signed."""
        value: dict[str, Canonical] = {
            "format": FORMAT,
            "revision": self.revision,
            "files": [{"path": one.path, "size": one.size, "sha256": one.sha256} for one in self.files],
        }
        for name, instant in (("not_before", self.not_before), ("expires", self.expires)):
            if instant is not None:
                value[name] = instant_text(instant)
        return canonical_bytes(value)

    @property
    def sha256(self) -> str:
        """The digest of the encoding, 64 hex digits."""
        return sha256_hex(self.content())


@dataclass(frozen=True, slots=True, order=True)
class Signature:
    """One signature: the public key as text, and 64 bytes."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Who may sign: public keys by person, and how many persons have to. A person may have several keys."""

    keys: Mapping[str, tuple[str, ...]]
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A bundle whose files are those of its manifest, signed by enough people.

    Attributes:
        documents: the files, without manifest and signatures.
        people: who signed, sorted.
    """

    manifest: Manifest
    documents: Mapping[str, bytes]
    people: tuple[str, ...]


def manifest_of(
    documents: Mapping[str, bytes], *, revision: int, not_before: Instant | None = None, expires: Instant | None = None
) -> Manifest:
    """Return the manifest of these documents."""
    files = tuple(ListedFile(path, len(content), sha256_hex(content)) for path, content in sorted(documents.items()))
    return Manifest(revision=revision, files=files, not_before=not_before, expires=expires)


def documents_in(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a directory without manifest and signatures."""
    return {path: content for path, content in files.items() if path not in (MANIFEST, SIGNATURES)}


def verified(files: Mapping[str, bytes], signers: Signers) -> Verified | list[Problem]:
    """Verify that the files of a directory are those that enough people signed, before any of them is parsed.

    Returns:
        The verified bundle, or all that is wrong with it. Revision and times are for `superseded` and `untimely`.
    """
    content = files.get(MANIFEST)
    if content is None:
        return [_problem("P501", "the bundle is not signed: it has no manifest", "loglease policy sign")]
    manifest = read_manifest(content)
    if isinstance(manifest, Problem):
        return [manifest]
    people = _people(content, files.get(SIGNATURES), signers)
    problems = [*([people] if isinstance(people, Problem) else []), *_other_files(manifest, files)]
    if problems or isinstance(people, Problem):
        return problems[:MAX_REPORTED]
    return Verified(manifest=manifest, documents=documents_in(files), people=people)


def unlisted(content: bytes, files: Mapping[str, bytes]) -> list[Problem]:
    """Return how the files of a directory differ from those of a manifest; signatures are not looked at."""
    manifest = read_manifest(content)
    return [manifest] if isinstance(manifest, Problem) else list(_other_files(manifest, files))[:MAX_REPORTED]


def read_manifest(content: bytes) -> Manifest | Problem:
    """Read a manifest strictly: its one encoding, the known fields, files sorted by path, none twice."""
    value = _canonical(content, MAX_MANIFEST_BYTES)
    found = _manifest(value) if isinstance(value, dict) else None
    if found is None:
        return _problem("P502", "the manifest does not have its form", "make it anew: loglease policy sign")
    return found


def read_signatures(content: bytes) -> tuple[Signature, ...] | Problem:
    """Read the file of signatures strictly: sorted by key, no key twice."""
    value = _canonical(content, MAX_SIGNATURES_BYTES)
    found = _signatures(value) if isinstance(value, dict) else None
    if found is None:
        return _problem("P506", "the signatures do not have their form", "sign again", SIGNATURES)
    return found


def signatures_content(signatures: Mapping[str, bytes]) -> bytes:
    """Return the file of signatures; they are given by key, so each key signs once."""
    items: list[Canonical] = [
        {"key": key, "signature": base64.b64encode(value).decode()} for key, value in sorted(signatures.items())
    ]
    return canonical_bytes({"format": SIGNATURES_FORMAT, "signatures": items})


def signed(content: bytes, key: Ed25519PrivateKey) -> Signature:
    """Sign the encoding of a manifest."""
    return Signature(key_text(key.public_key().public_bytes_raw()), key.sign(_SIGNED + content))


def key_text(raw: bytes) -> str:
    """Write a public key as configurations name it: `ed25519:` and 44 characters."""
    return _KEY + base64.b64encode(raw).decode()


def is_key(text: str) -> bool:
    """Say whether a text is a public key in its one form."""
    return _raw(text.removeprefix(_KEY), _KEY_BYTES) is not None and text.startswith(_KEY)


def superseded(revision: int, sha256: str, *, known_revision: int, known_sha256: str | None) -> Problem | None:
    """Refuse to go back: a revision below the highest accepted one, or that one with other content.

    Args:
        revision: of the bundle that is to be taken.
        sha256: of what it is made of.
        known_revision: the highest that was accepted; 0 if none was.
        known_sha256: what that one is made of; None where that is not known.
    """
    if revision < known_revision:
        text = f"revision {revision} is older than {known_revision}, which was accepted before"
        return _problem("P510", text, f"sign it as revision {known_revision + 1}, whatever its content")
    if revision == known_revision and known_sha256 not in (None, sha256):
        text = f"revision {revision} was accepted with other content"
        return _problem("P511", text, f"sign it as revision {known_revision + 1}")
    return None


def untimely(manifest: Manifest, now: Instant) -> Problem | None:
    """Refuse a bundle before its time, and after it."""
    if manifest.not_before is not None and now < manifest.not_before:
        text = f"the bundle holds from {instant_text(manifest.not_before)} on"
        return _problem("P508", text, "load it then, or sign it with an earlier time")
    if manifest.expires is not None and now >= manifest.expires:
        text = f"the bundle expired at {instant_text(manifest.expires)}"
        return _problem("P509", text, "sign it anew with a later time")
    return None


def _people(content: bytes, signatures: bytes | None, signers: Signers) -> tuple[str, ...] | Problem:
    """Return who of the configured people signed, if they are enough; a person counts once."""
    found = () if signatures is None else read_signatures(signatures)
    if isinstance(found, Problem):
        return found
    owners = {key: person for person, keys in signers.keys.items() for key in keys}
    people = {owners[one.key] for one in found if one.key in owners and _is_valid(one, content)}
    if len(people) < signers.needed:
        whose = f" ({', '.join(sorted(people))})" if people else ""
        text = f"{len(people)} of the configured people signed this{whose}, {signers.needed} have to"
        return _problem("P507", text, "have somebody else sign it: loglease policy sign", SIGNATURES)
    return tuple(sorted(people))


def _is_valid(signature: Signature, content: bytes) -> bool:
    raw = base64.b64decode(signature.key.removeprefix(_KEY))  # in its one form, as all that is read of signatures
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature.value, _SIGNED + content)
    except InvalidSignature:
        return False
    return True


def _other_files(manifest: Manifest, files: Mapping[str, bytes]) -> Iterator[Problem]:
    """Yield what is missing, what is too much, and what has other content."""
    documents = documents_in(files)
    listed = {one.path: one for one in manifest.files}
    for path in sorted({*listed, *documents}):
        if path not in documents:
            yield _problem("P503", "the manifest lists this file, and it is not there", "restore it", path)
        elif path not in listed:
            yield _problem("P504", "the manifest does not list this file", "remove it, or sign anew", path)
        elif listed[path] != ListedFile(path, len(documents[path]), sha256_hex(documents[path])):
            yield _problem("P505", "this file is not the one that was signed", "restore it, or sign anew", path)


def _canonical(content: bytes, most: int) -> Any:
    """Return the value that these bytes are the canonical encoding of; None if they are none."""
    if len(content) > most:
        return None
    try:
        value = orjson.loads(content)
        return value if canonical_bytes(value) == content else None
    except (orjson.JSONDecodeError, InvalidField):
        return None


def _manifest(value: Mapping[str, Any]) -> Manifest | None:
    if {"format", "revision", "files"} - set(value) or set(value) - {
        "format", "revision", "files", "not_before", "expires",
    }:  # fmt: skip
        return None
    revision, items = value["revision"], value["files"]
    if (
        value["format"] != FORMAT
        or not _is_number(revision, MAX_INTEGER)
        or revision < 1
        or not isinstance(items, list)
    ):
        return None
    files = tuple(one for item in items if (one := _listed(item)) is not None)
    if len(files) != len(items) or any(one.path >= other.path for one, other in itertools.pairwise(files)):
        return None
    try:
        times = {name: _instant(value[name]) for name in ("not_before", "expires") if name in value}
    except Malformed:
        return None
    found = Manifest(revision=revision, files=files, **times)
    ends_first = found.not_before is not None and found.expires is not None and found.expires <= found.not_before
    return None if ends_first else found


def _listed(item: object) -> ListedFile | None:
    if not isinstance(item, dict) or set(item) != {"path", "size", "sha256"}:
        return None
    path, size, sha256 = item["path"], item["size"], item["sha256"]
    if not isinstance(path, str) or len(path) > _MAX_PATH or not _PATH.fullmatch(path):
        return None
    if path in (MANIFEST, SIGNATURES) or not _is_number(size, _MAX_FILE_BYTES):
        return None
    return ListedFile(path, size, sha256) if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None


def _is_number(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _instant(text: object) -> Instant:
    instant = parse_instant(text if isinstance(text, str) else "")
    if instant_text(instant) != text:
        raise Malformed("A time of a manifest is written in one way only.")
    return instant


def _signatures(value: Mapping[str, Any]) -> tuple[Signature, ...] | None:
    items = value.get("signatures")
    if set(value) != {"format", "signatures"} or value["format"] != SIGNATURES_FORMAT or not isinstance(items, list):
        return None
    found = tuple(one for item in items if (one := _signature(item)) is not None)
    if len(found) != len(items) or any(one.key >= other.key for one, other in itertools.pairwise(found)):
        return None
    return found


def _signature(item: object) -> Signature | None:
    if not isinstance(item, dict) or set(item) != {"key", "signature"}:
        return None
    key, text = item["key"], item["signature"]
    if not isinstance(key, str) or not is_key(key) or not isinstance(text, str):
        return None
    value = _raw(text, _SIGNATURE_BYTES)
    return None if value is None else Signature(key, value)


def _raw(text: str, size: int) -> bytes | None:
    """Return so many bytes from their one base64 text."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == size and base64.b64encode(raw).decode() == text else None


def _problem(code: str, message: str, remedy: str, file: str = MANIFEST) -> Problem:
    return Problem(at=At(shown(file, 200)[1:-1], 1, 1), code=code, message=message, help=remedy)
