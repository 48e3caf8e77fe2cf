"""The REST client: one connection pool, problems as errors, tokens renewed when they have expired."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from secrets import token_hex
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from loglease import __version__
from loglease.cli.configuration import Settings, is_loopback
from loglease.cli.errors import Refused, SignedOut, Unreachable
from loglease.cli.secret_files import read_secret
from loglease.cli.token_store import Tokens, TokenStore
from loglease.model.instant import MICROSECONDS, Instant, after, parse_instant

API: Final = "/api/v1"
PAGE: Final = 200
_RENEWABLE: Final = frozenset({"token_expired", "not_authenticated"})
HEAD_HEADER: Final = "loglease-audit-head"
_HEAD: Final = re.compile(r"audit head: [!-~]{1,250} [0-9]{1,19} [A-Za-z0-9+/]{43}=")
_PROBLEM_MAX: Final = 256 << 10
_CODE = re.compile("[a-z][a-z_]{1,40}")

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered to a call that it accepted."""

    body: Body
    etag: str | None
    status: int


class Client:
    """Calls one server as one principal. Not shared by threads."""

    def __init__(self, settings: Settings, tokens: TokenStore) -> None:
        self._settings = settings
        self._tokens = tokens
        self._stored: Tokens | None = None
        self._server_minus_monotonic: float | None = None
        self._audit_head: str | None = None
        self._read_lines = False
        host = urlsplit(settings.server).hostname or ""
        self._http = httpx2.Client(
            base_url=settings.server,
            timeout=settings.timeout_s,
            verify=_trust(settings) if settings.server.startswith("https") else False,
            trust_env=not is_loopback(host),  # a proxy is for other machines
            follow_redirects=False,
            headers={"User-Agent": f"loglease-cli/{__version__}"},
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    @property
    def audit_head(self) -> str | None:
        """The last signed head of the audit log, as the answers to this command's changes had it.

        None if there was none, and where lines or values were read, too: what is printed then depends on nobody else.
        """
        return None if self._read_lines else self._audit_head

    def get(self, path: str, **query: Any) -> Body:
        """Fetch one resource; parameters that are None are left out."""
        return self.call("GET", path, query=query).body

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, creates: bool = False) -> Body:
        """Send a call; with `creates` under a new idempotency key, so that a lost answer can be asked for again."""
        return self.call("POST", path, body=body or {}, creates=creates).body

    def every(self, path: str, **query: Any) -> list[Body]:
        """Return the items of a list that comes in one piece."""
        return list(self.get(path, **query)["items"])

    def items(self, path: str, *, most: int | None, **query: Any) -> Iterator[Body]:
        """Yield the items of a list that comes in pages, at most so many; None is all."""
        cursor, left = None, most
        while left is None or left > 0:
            page = self.get(path, limit=PAGE if left is None else min(PAGE, left), cursor=cursor, **query)
            found = page.get("items", [])
            yield from found
            left = None if left is None else left - len(found)
            cursor = page.get("next")
            if cursor is None or not found:
                return

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        creates: bool = False,
        signed_in: bool = True,
    ) -> Answer:
        """Call the API.

        Args:
            method: of HTTP.
            path: below the base of the API, such as ``/requests``.
            body: sent as JSON.
            query: parameters; those that are None are left out.
            headers: further headers.
            creates: send an idempotency key; such a call, like a GET, is repeated once if the answer is lost.
            signed_in: send the token; False for signing in itself.

        Raises:
            Refused: the server's problem.
            SignedOut: there is no token, or it could not be renewed.
            Unreachable: no answer, or one that is not ours.
        """
        sent = dict(headers or {})
        if creates:
            sent["Idempotency-Key"] = token_hex(16)
        params = {name: _parameter(value) for name, value in (query or {}).items() if value is not None}

        def once() -> httpx2.Response:
            authorization = self._authorization() if signed_in else {}
            return self._sent(method, API + path, body=body, params=params, headers=sent | authorization, again=creates)

        response = once()
        if signed_in and self._renewed_after(response):
            response = once()
        head = response.headers.get(HEAD_HEADER, "")
        if _HEAD.fullmatch(head):
            self._audit_head = head
        return _answer(response)

    def reveal(self, grant: str) -> Body:
        """Return the one value that a grant shows, from the gateway; asked for once, since it is answered once.

        Raises:
            Refused: as `call`; also SignedOut and Unreachable.
        """
        self._read_lines = True

        def once() -> httpx2.Response:
            headers = {"Accept": "application/json", **self._authorization()}
            return self._sent("POST", f"/g/{grant}/reveal", body=None, params={}, headers=headers, again=False)

        response = once()
        if self._renewed_after(response):
            response = once()
        return _answer(response).body

    def document(self, path: str, body: Mapping[str, Any], *, silence_s: float) -> tuple[bytes, Mapping[str, str]]:
        """Send a call that is answered with a document of any kind, perhaps late; return its bytes and the headers.

        Args:
            silence_s: how long the server may take.

        Raises:
            Refused: as `call`; also SignedOut and Unreachable.
        """
        timeout = httpx2.Timeout(self._settings.timeout_s, read=silence_s)

        def once() -> httpx2.Response:
            try:
                response = self._http.request(
                    "POST", API + path, json=body, headers=self._authorization(), timeout=timeout
                )
            except httpx2.TransportError as error:
                raise self._unreachable(error) from error
            self._note_time(response)
            return response

        response = once()
        if self._renewed_after(response):
            response = once()
        if response.status_code != HTTPStatus.OK:
            _answer(response)
            raise Unreachable(f"{self._settings.server} answered {response.status_code}.")
        return response.content, response.headers

    @contextmanager
    def stream(
        self, path: str, *, query: Mapping[str, Any], headers: Mapping[str, str], silence_s: float | None = None
    ) -> Iterator[httpx2.Response]:
        """Open a long answer of the gateway; `silence_s` is the longest time between two pieces, None is any.

        Raises:
            Refused: as `call`; also SignedOut and Unreachable.
        """
        self._read_lines = True
        params = {name: _parameter(value) for name, value in query.items() if value is not None}
        timeout = httpx2.Timeout(self._settings.timeout_s, read=silence_s)
        for last in (False, True):
            request = self._http.build_request(
                "GET", path, params=params, headers={**headers, **self._authorization()}, timeout=timeout
            )
            try:
                response = self._http.send(request, stream=True)
            except httpx2.TransportError as error:
                raise self._unreachable(error) from error
            try:
                if response.status_code == HTTPStatus.OK:
                    self._note_time(response)
                    yield response
                    return
                response.read()
                if last or not self._renewed_after(response):
                    _answer(response)
                    raise Unreachable(f"{self._settings.server} answered {response.status_code}.")
            finally:
                response.close()

    def sign_in(self, account: str, password: str) -> Body:
        """Prove who one is with a local account, and keep the tokens."""
        body = {"account": account, "password": password}
        answer = self.call("POST", "/sign-in", body=body, signed_in=False).body
        self._keep(answer)
        return answer

    def sign_out(self) -> None:
        """End the sign-in on the server if it can be reached, and forget its tokens in any case."""
        try:
            if self._tokens.read() is not None:
                self.call("POST", "/sign-out", body={})
        except (Refused, SignedOut, Unreachable):
            return
        finally:
            self._tokens.forget()
            self._stored = None

    def now(self) -> Instant:
        """Return the server's time, to about a second; ours plays no part in anything that we show."""
        if self._server_minus_monotonic is None:
            self.get("/health")
        return after(Instant(0), (self._server_minus_monotonic or 0.0) + time.monotonic())

    def left_s(self, until: str, *, since: str) -> float:
        """Return the seconds until an instant, never more than there were `since`; both as the API writes them.

        The server tells its time to the second, so the difference alone could promise a second more than was granted.
        """
        end = parse_instant(until)
        return max(0.0, min(end - self.now(), end - parse_instant(since)) / MICROSECONDS)

    def address(self, path: str) -> str:
        """Return the full address of a path of the server."""
        return self._settings.server + path

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._bearer()}"}

    def _bearer(self) -> str:
        if self._settings.token:
            return self._settings.token
        if self._settings.token_file is not None:
            text = read_secret(self._settings.token_file)
            if text is None:
                raise SignedOut(
                    f"There is no token file {self._settings.token_file}.", next_step="Check LOGLEASE_TOKEN_FILE."
                )
            return text.strip()
        if self._stored is None:
            self._stored = self._tokens.read()
        if self._stored is None:
            raise SignedOut(f"You are not signed in to {self._settings.server}.", next_step="loglease login")
        return self._stored.access

    def _renewed_after(self, response: httpx2.Response) -> bool:
        """Renew the tokens if that is what the answer asks for; say whether it is worth calling again."""
        if response.status_code != HTTPStatus.UNAUTHORIZED or self._stored is None:
            return False
        if _problem(response).get("code") not in _RENEWABLE:
            return False
        with self._tokens.locked():
            present = self._tokens.read()
            if present is not None and present.access != self._stored.access:
                self._stored = present  # another command was faster
                return True
            return self._refreshed(self._stored)

    def _refreshed(self, spent: Tokens) -> bool:
        try:
            body = {"refresh_token": spent.refresh}
            self._keep(self.call("POST", "/refresh", body=body, signed_in=False).body)
        except Refused as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
            self._tokens.forget()
            self._stored = None
            raise SignedOut("Your sign-in has ended.", next_step="loglease login") from error
        return True

    def _keep(self, signed_in: Body) -> None:
        self._stored = Tokens(str(signed_in["access_token"]), str(signed_in["refresh_token"]))
        self._tokens.write(self._stored)

    def _sent(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        again: bool,
    ) -> httpx2.Response:
        attempts = 2 if again or method == "GET" else 1
        for attempt in range(1, attempts + 1):
            try:
                response = self._http.request(method, path, json=body, params=params, headers=headers)
            except httpx2.TransportError as error:
                if attempt == attempts or isinstance(error, httpx2.ConnectError):
                    raise self._unreachable(error) from error
                continue
            self._note_time(response)
            return response
        raise Unreachable(f"{self._settings.server} did not answer.")

    def _note_time(self, response: httpx2.Response) -> None:
        text = response.headers.get("date")
        if text:
            try:
                seconds = parsedate_to_datetime(text).timestamp()
            except ValueError:
                return
            self._server_minus_monotonic = seconds - time.monotonic()

    def _unreachable(self, error: httpx2.TransportError) -> Unreachable:
        how = "did not answer in time" if isinstance(error, httpx2.TimeoutException) else "cannot be reached"
        return Unreachable(
            f"{self._settings.server} {how}: {error or type(error).__name__}.",
            next_step="Check the address (--server, LOGLEASE_SERVER) and that the server runs: loglease serve.",
        )


def _trust(settings: Settings) -> ssl.SSLContext:
    if settings.ca_file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise Unreachable(
            f"The CA file {settings.ca_file} cannot be used: {error}.", next_step="Check ca_file or LOGLEASE_CA_FILE."
        ) from error


def _parameter(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _problem(response: httpx2.Response) -> Body:
    if len(response.content) > _PROBLEM_MAX:
        return {}
    try:
        found = response.json()
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    if "message" in found:  # the gateway's form where a client takes JSON alone
        steps = [{"text": found["next"]}] if "next" in found else []
        return {
            "code": found.get("code", "internal"),
            "detail": found["message"],
            "rule": found.get("rule"),
            "next": steps,
        }
    return found


def _answer(response: httpx2.Response) -> Answer:
    status = response.status_code
    if status >= HTTPStatus.BAD_REQUEST:
        problem = _problem(response)
        if "code" not in problem:
            problem = _of_gateway(response)
        raise Refused({"status": status} | {name: value for name, value in problem.items() if value})
    body: Any = {}
    if status != HTTPStatus.NO_CONTENT and response.content:
        try:
            body = response.json()
        except ValueError:
            body = None
    if not isinstance(body, dict) or status >= HTTPStatus.MULTIPLE_CHOICES:
        raise Unreachable(
            f"What answered at {response.request.url.host} is no LogLease server (status {status}).",
            next_step="Check the address: --server, LOGLEASE_SERVER, or the context.",
        )
    return Answer(body, response.headers.get("etag"), status)


def _of_gateway(response: httpx2.Response) -> Body:
    """Read a refusal of the gateway, which comes as text: ``code: what``, then perhaps the rule and the next step."""
    first, *others = response.text[:_PROBLEM_MAX].strip().split("\n")
    code, colon, detail = first.partition(": ")
    if not colon or not _CODE.fullmatch(code):
        raise Unreachable(
            f"What answered at {response.request.url.host} is no LogLease server (status {response.status_code}).",
            next_step="Check the address: --server, LOGLEASE_SERVER, or the context.",
        )
    problem: Body = {"code": code, "detail": detail}
    for line in others:
        name, _, text = line.partition(": ")
        if name == "Rule":
            problem["rule"] = text
        elif name == "Next":
            problem["next"] = [{"text": text}]
    return problem
