"""The body of a call: none, or a small form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from loglease.gateway.errors import TooLarge, UnsupportedMediaType
from loglease.gateway.parameters import MAX_QUERY_STRING
from loglease.gateway.request import Headers
from loglease.model.errors import Malformed

Receive = Callable[[], Awaitable[dict[str, Any]]]

_FORM = b"application/x-www-form-urlencoded"


def require_no_body(headers: Headers) -> None:
    """Require that a call has no body.

    Raises:
        Malformed: it announces one.
    """
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0"):
            raise Malformed("This address takes no body.", next_step="Send parameters in the address.")


async def form_of(method: str, headers: Headers, receive: Receive) -> bytes:
    """Return the form of a POST, still encoded; empty for a GET.

    Raises:
        Malformed: a GET has a body, or the client went away in the middle of one.
        UnsupportedMediaType: the body is no form.
        TooLarge: it has more than 256 KiB.
    """
    if method != "POST":
        require_no_body(headers)
        return b""
    types = [value.partition(b";")[0].strip().lower() for name, value in headers if name == b"content-type"]
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Malformed("The body did not arrive whole.", next_step="Send it again.")
        body += message.get("body", b"")
        if len(body) > MAX_QUERY_STRING:
            raise TooLarge("The parameters are larger than 256 KiB.", next_step="Ask for less.")
        if not message.get("more_body", False):
            break
    if body and types != [_FORM]:
        raise UnsupportedMediaType(
            "A body has to be a form.", next_step="Send it as application/x-www-form-urlencoded."
        )
    return bytes(body)
