"""Commands around signed bundles on any machine: `policy key`, `policy sign` and `policy verify`.

The command line calls them by name; they print and return an exit code.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from loglease.model.errors import InvalidField, LogLeaseError
from loglease.model.instant import Instant, after, instant_text, parse_duration, parse_instant
from loglease.policy.cases import failures, run_tests
from loglease.policy.loading import load
from loglease.policy.manifest import (
    MANIFEST,
    SIGNATURES,
    Signers,
    Verified,
    documents_in,
    is_key,
    manifest_of,
    read_manifest,
    read_signatures,
    signatures_content,
    signed,
    unlisted,
    untimely,
    verified,
)
from loglease.policy.never import run_nevers
from loglease.policy.problems import Problem, Severity
from loglease.server.bundle_directory import read_directory
from loglease.server.clock import SystemClock
from loglease.server.settings import load_settings

OK: Final = 0
FOUND: Final = 3
_PRIVATE: Final = 0o077
_FUTURE: Final = "P508"


class PolicyUsage(LogLeaseError):
    """A command about bundles was called in a way that cannot be."""

    code = "usage"


def make_key(file: Path, *, as_json: bool = False, out: TextIO | None = None) -> int:
    """Make a private key in a file that is not there yet, or read one that is; print its public key."""
    if not file.exists():
        key = Ed25519PrivateKey.generate()
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PolicyUsage(f"{file} cannot be made: {error.strerror}.", next_step="Name another file.") from error
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(text)
        print(f"Made {file}. Whoever has it can sign: keep it.", file=sys.stderr)  # noqa: T201 - a command
    public = signed(b"", _key_in(file)).key
    print(json.dumps({"key": public}) if as_json else public, file=out or sys.stdout)
    return OK


def sign(
    directory: Path,
    *,
    key: Path,
    revision: int | None = None,
    not_before: str | None = None,
    expires: str | None = None,
    as_json: bool = False,
    out: TextIO | None = None,
) -> int:
    """Sign a bundle: under a new revision, or beside those who signed what is there; return 3 where it has errors."""
    private = _key_in(key)
    files = _files_in(directory)
    if isinstance(files, Problem):
        return _refused([files], as_json=as_json, out=out)
    documents = documents_in(files)
    problems = _errors(documents)
    content: bytes | None = files.get(MANIFEST)
    if revision is not None:
        content = _manifest(documents, revision, not_before, expires)
    elif not_before is not None or expires is not None:
        raise PolicyUsage("Times are part of a new revision.", next_step="Add --revision.")
    elif content is None:
        raise PolicyUsage(f"{directory} has no {MANIFEST}.", next_step="Say which revision it is: --revision 1")
    else:
        problems += unlisted(content, files)
    if problems:
        return _refused(problems, as_json=as_json, out=out)
    others = _signatures_in(files) if content == files.get(MANIFEST) else {}
    mine = signed(content, private)
    signatures = others | {mine.key: mine.value}
    _put(directory / MANIFEST, content)
    _put(directory / SIGNATURES, signatures_content(signatures))
    return _told_signed(content, mine.key, len(signatures), as_json=as_json, out=out)


def verify(
    directory: Path,
    *,
    keys: Sequence[str] = (),
    needed: int | None = None,
    config: Path | None = None,
    data_dir: Path | None = None,
    as_json: bool = False,
    out: TextIO | None = None,
) -> int:
    """Verify a bundle with these keys, or those of a server's configuration; return 3 where it would be refused."""
    signers = _signers(keys, needed, config, data_dir)
    files = _files_in(directory)
    found = [files] if isinstance(files, Problem) else verified(files, signers)
    if not isinstance(found, Verified):
        return _refused(found, as_json=as_json, out=out)
    timing = untimely(found.manifest, SystemClock().now())
    if timing is not None and timing.code != _FUTURE:
        return _refused([timing], as_json=as_json, out=out)
    manifest = found.manifest
    body: dict[str, Any] = {
        "revision": manifest.revision,
        "files": len(manifest.files),
        "signers": list(found.people),
        "needed": signers.needed,
    }
    for name, instant in (("not_before", manifest.not_before), ("expires", manifest.expires)):
        if instant is not None:
            body[name] = instant_text(instant)
    text = [f"ok: revision {manifest.revision}, {_files(len(manifest.files))}, signed by {', '.join(found.people)}"]
    text += [f"holds from {body['not_before']}"] if "not_before" in body else []
    text += [f"expires at {body['expires']}"] if "expires" in body else []
    print(json.dumps(body) if as_json else "\n".join(text), file=out or sys.stdout)
    return OK


def print_problems(problems: Iterable[Problem], *, as_json: bool, out: TextIO | None) -> None:
    """Print what is wrong: for people on stderr, for programs on stdout."""
    if as_json:
        print(json.dumps({"problems": [one.as_json() for one in problems]}), file=out or sys.stdout)
        return
    for one in problems:
        print(one.render(), file=sys.stderr)  # noqa: T201 - a command


def _refused(problems: list[Problem], *, as_json: bool, out: TextIO | None) -> int:
    print_problems(problems, as_json=as_json, out=out)
    return FOUND


def _key_in(file: Path) -> Ed25519PrivateKey:
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & _PRIVATE:
                raise PolicyUsage(f"{file} is open to others.", next_step=f"chmod 600 {file}")
            text = opened.read(1 << 14)
        key = load_pem_private_key(text, password=None)
    except OSError as error:
        step = f"Make one: loglease policy key {file}"
        raise PolicyUsage(f"{file} cannot be read: {error.strerror}.", next_step=step) from error
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise PolicyUsage(f"{file} is no key without a password.", next_step="Make one: loglease policy key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise PolicyUsage(f"{file} is no Ed25519 key.", next_step="Make one: loglease policy key")
    return key


def _files_in(directory: Path) -> dict[str, bytes] | Problem:
    try:
        return read_directory(directory)
    except OSError as error:
        raise PolicyUsage(f"{directory} cannot be read: {error.strerror}.", next_step="Name a directory.") from error


def _errors(documents: Mapping[str, bytes]) -> list[Problem]:
    """Return why a server would refuse these documents, as far as that can be told without it."""
    if not documents:
        raise PolicyUsage("There is nothing to sign.", next_step="Name a directory with *.yaml files.")
    found = load(documents)
    if isinstance(found, list):
        return [one for one in found if one.severity is Severity.ERROR]
    return failures([*run_tests(found), *run_nevers(found)])


def _manifest(documents: Mapping[str, bytes], revision: int, not_before: str | None, expires: str | None) -> bytes:
    content = manifest_of(
        documents, revision=revision, not_before=_moment(not_before), expires=_moment(expires)
    ).content()
    if isinstance(read_manifest(content), Problem):
        raise PolicyUsage(
            "This cannot be a manifest.", next_step="A revision is 1 or more, and --expires is later than --not-before."
        )
    return content


def _moment(text: str | None) -> Instant | None:
    """Read a time, or a duration from now on."""
    if text is None:
        return None
    if "T" in text or "-" in text:
        return parse_instant(text)
    return after(SystemClock().now(), parse_duration(text))


def _signatures_in(files: Mapping[str, bytes]) -> dict[str, bytes]:
    found = read_signatures(files[SIGNATURES]) if SIGNATURES in files else ()
    return {} if isinstance(found, Problem) else {one.key: one.value for one in found}


def _put(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def _told_signed(content: bytes, key: str, count: int, *, as_json: bool, out: TextIO | None) -> int:
    manifest = read_manifest(content)
    if isinstance(manifest, Problem):
        raise InvalidField(manifest.message)
    body = {"revision": manifest.revision, "files": len(manifest.files), "key": key, "signatures": count}
    until = "" if manifest.expires is None else f", until {instant_text(manifest.expires)}"
    text = f"Signed revision {manifest.revision}, {_files(len(manifest.files))}{until}"
    text += f"; {count} signature{'s' * (count != 1)}."
    print(json.dumps(body) if as_json else text, file=out or sys.stdout)
    return OK


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def _signers(keys: Sequence[str], needed: int | None, config: Path | None, data_dir: Path | None) -> Signers:
    if not keys:
        overrides = {} if data_dir is None else {"data_dir": str(data_dir)}
        policy = load_settings(config=config, overrides=overrides).policy
        if not policy.keys:
            raise PolicyUsage(
                "The server's configuration names no keys.", next_step="Name them: --keys alice=ed25519:…"
            )
        given = {person: tuple(some) for person, some in policy.keys.items()}
        return Signers(keys=given, needed=needed or policy.needed)
    named: dict[str, tuple[str, ...]] = {}
    for text in keys:
        person, equals, key = text.partition("=")
        if not person or not equals or not is_key(key):
            raise PolicyUsage(f"{text[:80]!r} is not NAME=KEY.", next_step="Write it like --keys alice=ed25519:…")
        named[person] = (*named.get(person, ()), key)
    return Signers(keys=named, needed=needed or 1)
