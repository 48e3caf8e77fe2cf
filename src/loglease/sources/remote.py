"""What an operator configures of every log store behind HTTP: address, credentials, labels, time-outs.

A secret is never written in the configuration: it is in a file that only the server may read.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from loglease.sources.faults import Faults
from loglease.sources.transport import Timeouts

SHARED: Final = (
    "kind", "address", "credentials", "ca_file", "insecure_http", "trusted_labels", "clear_labels", "description",
    "timeouts",
)  # fmt: skip
MAX_SECRET_BYTES: Final = 8_192
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_VISIBLE: Final = range(0x21, 0x7F)


def address_of(faults: Faults, raw: Mapping[str, Any]) -> str:
    """Return the address without a slash at its end."""
    if "address" not in raw:
        faults.add("/address", "This field is required: where the store answers, such as http://127.0.0.1:9428.")
        return ""
    text = faults.text("/address", raw["address"])
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or set(text) & set('?#@\\"<> ') or not text.isascii() or not text.isprintable() or ".." in text:
        faults.add("/address", "Write http:// or https://, a host and a port, without user, ? or #.")
        return ""
    secret = raw.get("credentials") is not None
    if (
        secret
        and parts.scheme == "http"
        and not _loopback(parts.hostname or "")
        and raw.get("insecure_http") is not True
    ):
        faults.add("/address", "Credentials would travel without TLS: write https, or accept it with insecure_http.")
    return text.rstrip("/")


def authorization_of(faults: Faults, raw: Mapping[str, Any], base: Path) -> str | None:
    """Return the value of the header, from ``token_file``, or from ``user`` and ``password_file``."""
    given = raw.get("credentials")
    if given is None:
        return None
    fields = faults.mapping("/credentials", given)
    faults.unknown("/credentials", fields, ("token_file", "user", "password_file"))
    if set(fields) == {"token_file"}:
        token = secret_in(faults, "/credentials/token_file", fields["token_file"], base)
        if any(byte not in _VISIBLE for byte in token):
            faults.add("/credentials/token_file", "A token is one line of visible ASCII letters.")
            return None
        return f"Bearer {token.decode()}"
    if set(fields) == {"user", "password_file"}:
        user = faults.text("/credentials/user", fields["user"])
        if ":" in user or not user.isprintable():
            faults.add("/credentials/user", "A user name has no colon and no control characters.")
        password = secret_in(faults, "/credentials/password_file", fields["password_file"], base)
        return "Basic " + base64.b64encode(user.encode() + b":" + password).decode()
    faults.add("/credentials", "Write token_file, or user and password_file.")
    return None


def timeouts_of(faults: Faults, raw: Mapping[str, Any]) -> Timeouts:
    """Return the time-outs; what is not said has a default."""
    fields = faults.mapping("/timeouts", raw.get("timeouts", {}))
    faults.unknown("/timeouts", fields, ("connect_s", "silence_s", "answer_s"))
    default = Timeouts()
    return Timeouts(
        connect_s=faults.seconds("/timeouts/connect_s", fields.get("connect_s", default.connect_s)),
        silence_s=faults.seconds("/timeouts/silence_s", fields.get("silence_s", default.silence_s)),
        answer_s=faults.seconds("/timeouts/answer_s", fields.get("answer_s", default.answer_s)),
    )


def ca_file_of(faults: Faults, raw: Mapping[str, Any], base: Path) -> str | None:
    """Return the path of the certificates to trust."""
    if raw.get("ca_file") is None:
        return None
    path = base / faults.text("/ca_file", raw["ca_file"])
    if not path.is_file():
        faults.add("/ca_file", f"{path} is no file: name one with certificates in PEM.")
    return str(path)


def labels_of_source(
    faults: Faults, raw: Mapping[str, Any], default: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the trusted labels and the clear ones."""
    trusted = faults.names("/trusted_labels", raw["trusted_labels"]) if "trusted_labels" in raw else default
    if not trusted and not faults.found:
        faults.add("/trusted_labels", 'Name at least one label that scopes may name, such as ["service"].')
    clear = faults.names("/clear_labels", raw.get("clear_labels", ()))
    if unknown := clear - trusted:
        faults.add("/clear_labels", f"{', '.join(sorted(unknown))}: no trusted label; correct or remove it.")
    return trusted, clear


def secret_in(faults: Faults, pointer: str, value: object, base: Path) -> bytes:
    """Return the secret in a file that only the server may read."""
    path = base / faults.text(pointer, value)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                faults.add(pointer, f"Others may read {path}: chmod 600 {path}")
            secret = file.read(MAX_SECRET_BYTES + 1).removesuffix(b"\n").removesuffix(b"\r")
    except OSError:
        faults.add(pointer, f"{path} cannot be read: it has to exist and belong to the server's user.")
        return b""
    if not 0 < len(secret) <= MAX_SECRET_BYTES:
        faults.add(pointer, f"{path} has no secret of 1 to {MAX_SECRET_BYTES} bytes.")
    return secret


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
