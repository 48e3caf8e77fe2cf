"""The cookie of a web session, and the token that shows that a form came from our own page."""

from __future__ import annotations

import base64
import hmac
from http.cookies import CookieError, SimpleCookie
from typing import Final

from loglease.server.identity.secrets import secret_of

PLAIN_NAME: Final = "loglease"
SECURE_NAME: Final = "__Host-loglease"
CSRF_HEADER: Final = "x-csrf-token"
CSRF_FIELD: Final = "csrf"
_MAX_HEADER: Final = 8_192


def cookie_name(*, tls: bool) -> str:
    """Return the name of the session cookie; only plain loopback goes without the ``__Host-`` prefix."""
    return SECURE_NAME if tls else PLAIN_NAME


def cookie_of(header: str | None, *, tls: bool) -> str | None:
    """Return the session's token from a Cookie header; None if there is none, or it is doubled."""
    if not header or len(header) > _MAX_HEADER:
        return None
    name = cookie_name(tls=tls)
    if sum(part.strip().startswith(f"{name}=") for part in header.split(";")) != 1:
        return None
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return None
    return None if morsel is None else morsel.value


def set_cookie(value: str, *, tls: bool, max_age_s: int) -> str:
    """Return the Set-Cookie header of a new session."""
    secure = "; Secure" if tls else ""
    return f"{cookie_name(tls=tls)}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}"


def clear_cookie(*, tls: bool) -> str:
    """Return the Set-Cookie header that ends a session in the browser."""
    return set_cookie("", tls=tls, max_age_s=0)


def csrf_token(cookie: str) -> str:
    """Return the token that forms of this session carry: a function of the session's secret, of use to no other."""
    secret = secret_of(cookie)
    key = b"" if secret is None else secret.secret
    return base64.urlsafe_b64encode(hmac.digest(key, b"csrf", "sha256")[:24]).decode()


def csrf_fits(cookie: str, given: str | None) -> bool:
    """Compare a form's token in constant time."""
    return given is not None and hmac.compare_digest(csrf_token(cookie).encode(), given.encode())
