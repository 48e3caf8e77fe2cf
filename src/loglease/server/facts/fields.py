"""What the configurations of several kinds of providers have in common: addresses, headers with secrets, numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from loglease.server.facts.templates import unknown_places
from loglease.server.outgoing import may_call
from loglease.server.proxies import address_in
from loglease.sources.faults import Faults
from loglease.sources.remote import secret_in

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE: Final = re.compile(r"[\x20-\x7e]{1,8192}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OURS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "cookie", "te"}
)
_OWN_VARIABLES: Final = "LOGLEASE_"


def url_in(faults: Faults, pointer: str, text: str, *, private: bool, places: bool) -> str:
    """Check an address, and return its origin; it may be a secret, so that no message repeats it.

    Args:
        private: whether it may have an address that is not of the public Internet.
        places: whether path and query may have places such as ``{label}``.
    """
    parts = _split(text)
    if parts is None or set(text) & set('\\"<> ^`|') or not text.isascii() or not text.isprintable():
        faults.add(pointer, "Write http:// or https://, a host, a port if need be, and a path, percent-encoded.")
        return ""
    if "@" in parts.netloc or parts.fragment:
        faults.add(pointer, "An address here has no user, no password and no #; secrets go into headers.")
    if "{" in parts.netloc or "}" in parts.netloc or (not places and "{" in text):
        faults.add(pointer, "The host is always the same one: places such as {label} stand in path and query only.")
    elif unknown := unknown_places(text):
        faults.add(pointer, f"Nothing is called {', '.join(unknown)}: see the list of places.")
    _check_host(faults, pointer, parts.hostname or "", private=private)
    return f"{parts.scheme}://{parts.netloc}"


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if whole else None


def _check_host(faults: Faults, pointer: str, host: str, *, private: bool) -> None:
    """Tell now what would be refused at each call; what a name means is found out then."""
    literal = address_in(f"[{host}]") if ":" in host else address_in(host)
    if host == "localhost":
        literal = address_in("127.0.0.1")
    if literal is None or may_call(literal, private=private):
        return
    if may_call(literal, private=True):
        faults.add(pointer, "This is no address of the public Internet: accept it with private_network = true.")
    else:
        faults.add(pointer, "This address is never called.")


def headers_in(
    faults: Faults, raw: Mapping[str, Any], base: Path
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Return the plain headers and the secret ones."""
    plain, secret = [], []
    for name, value in faults.mapping("/headers", raw.get("headers", {})).items():
        pointer = f"/headers/{name}"
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            faults.add(pointer, "This is no name of a header that can be chosen here.")
        elif isinstance(value, Mapping):
            secret.append((name, _secret_header(faults, pointer, value, base)))
        else:
            text = faults.text(pointer, value)
            if not _VALUE.fullmatch(text):
                faults.add(pointer, "Write one line of visible ASCII letters.")
            plain.append((name, text))
    return tuple(plain), tuple(secret)


def _secret_header(faults: Faults, pointer: str, given: Mapping[str, Any], base: Path) -> str:
    faults.unknown(pointer, given, ("file", "env", "prefix"))
    prefix = faults.text(f"{pointer}/prefix", given.get("prefix", ""))
    value = prefix + secret_text(faults, pointer, given, base)
    if len(faults.found) == 0 and not _VALUE.fullmatch(value):
        faults.add(pointer, "A secret for a header is one line of visible ASCII letters.")
    return value


def secret_text(faults: Faults, pointer: str, given: Mapping[str, Any], base: Path) -> str:
    """Return a secret from a file or a variable, by `file` or `env`."""
    if ("file" in given) is ("env" in given):
        faults.add(pointer, 'Write { file = "incidents.token" } or { env = "INCIDENTS_TOKEN" }.')
        return ""
    if "file" in given:
        return secret_in(faults, f"{pointer}/file", given["file"], base).decode("utf-8", "replace")
    name = faults.text(f"{pointer}/env", given["env"])
    if not _VARIABLE.fullmatch(name) or name.startswith(_OWN_VARIABLES):
        faults.add(f"{pointer}/env", "Name a variable that does not begin with LOGLEASE_; these are for settings.")
        return ""
    value = os.environ.get(name, "")
    if not value:
        faults.add(f"{pointer}/env", f"The variable {name} is not set.")
    return value


def refuse_open_secrets(faults: Faults, pointer: str, url: str, raw: Mapping[str, Any], *, secret: bool) -> None:
    """Refuse secrets that would travel to another machine without TLS."""
    host = urlsplit(url).hostname or "" if url else ""
    literal = address_in(f"[{host}]" if ":" in host else host)
    near = host == "localhost" or (literal is not None and literal.is_loopback)
    if secret and url.startswith("http:") and not near and raw.get("insecure_http") is not True:
        faults.add(pointer, "Secrets would travel without TLS: write https, or accept it with insecure_http = true.")


def seconds_in(faults: Faults, raw: Mapping[str, Any], name: str, default: float, span: tuple[float, float]) -> float:
    """Return a number of seconds."""
    value = raw.get(name, default)
    if isinstance(value, int | float) and not isinstance(value, bool) and span[0] <= value <= span[1]:
        return float(value)
    faults.add(f"/{name}", f"Write seconds as a number from {span[0]:g} to {span[1]:g}.")
    return default


def texts_in(faults: Faults, pointer: str, value: object) -> frozenset[str]:
    """Return a set of texts, none of them empty."""
    items = [faults.text(f"{pointer}/{number}", item) for number, item in enumerate(faults.sequence(pointer, value))]
    if not items or "" in items:
        faults.add(pointer, "Write a list of texts that are not empty.")
    return frozenset(items)


def one_of(faults: Faults, pointer: str, value: object, known: Collection[str]) -> str:
    """Return a word out of a few."""
    if isinstance(value, str) and value in known:
        return value
    faults.add(pointer, f"Write one of {', '.join(known)}.")
    return next(iter(known))
