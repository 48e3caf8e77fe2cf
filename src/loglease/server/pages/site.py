"""The frame of every page: who is signed in, forms that prove where they come from, headers, errors in three parts."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from loglease.access.caller import Caller
from loglease.access.errors import StepUpRequired
from loglease.model.ack import recorded_in_words
from loglease.model.errors import InvalidField, LogLeaseError
from loglease.model.instant import duration_text, event_time_text, instant_text
from loglease.model.key_scope import linkable_in_words
from loglease.model.network import bound_in_words
from loglease.model.principal import Role
from loglease.model.words import plain
from loglease.server.api.history import closing_in_words
from loglease.server.edge import ADDRESS, TRACE, Scope
from loglease.server.identity.cookies import CSRF_FIELD, CSRF_HEADER, clear_cookie, cookie_of, csrf_fits, csrf_token
from loglease.server.pages.drafts import Drafts, Fields, keeps_typed, page_of
from loglease.server.pages.static_files import StaticFiles
from loglease.server.pages.text import foreign, foreign_lines, terms_in_words, unusual
from loglease.server.problems import CsrfFailed, NotAuthenticated, TokenExpired, headers_of, kind_of, retry_after_s
from loglease.server.services import Services
from loglease.store.interface import StoredToken

TEMPLATES: Final = Path(__file__).parent / "templates"
MAX_FORM_BYTES: Final = 262_144
MAX_FIELDS: Final = 200
MAX_WANTED: Final = 2_000
_NONCE_BYTES: Final = 18
_FORM_COOKIE: Final = "loglease-form"
_BEFORE_CHANGE: Final = frozenset({"/password", "/sign-out"})
_THEMES: Final = ("system", "light", "dark")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Whoever looks at a page; `caller` and `token` are None before signing in."""

    caller: Caller | None
    token: StoredToken | None
    csrf: str
    must_change: bool = False


Page = Callable[["Site", Request, Caller], Awaitable[Response]]


class Site:
    """Renders pages and guards forms."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.tls = services.settings.http.tls
        self.files = StaticFiles()
        self.drafts = Drafts(services.clock, services.random)
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            foreign=foreign,
            plain=plain,
            foreign_lines=foreign_lines,
            duration=duration_text,
            when=lambda instant: instant_text(instant)[:19].replace("T", " ") + " UTC",
            iso=instant_text,
            bound=bound_in_words,
            linkable=linkable_in_words,
            recorded=recorded_in_words,
            event_time=lambda ns: event_time_text(ns)[:19].replace("T", " ") + " UTC",
            closing=closing_in_words,
            mib=lambda size: f"{size / (1 << 20):,.1f} MiB",
        )
        self._templates.tests["unusual"] = unusual
        self._templates.globals["words_of"] = terms_in_words

    async def visitor(self, request: Request) -> Visitor:
        """Return who sends this; a cookie that is over counts as none."""
        cookie = cookie_of(request.headers.get("cookie"), tls=self.tls)
        if cookie is not None:
            rates, address = self.services.rates, request.scope[ADDRESS]
            try:
                known = await self.services.credentials.cookie(cookie, before_change=True)
            except (NotAuthenticated, TokenExpired):
                rates.refused(address, cookie)  # a stale cookie is no guess: pages take it as none
            else:
                rates.proven(address, cookie)
                caller = replace(known.caller, address=address)
                return Visitor(caller=caller, token=known.token, csrf=csrf_token(cookie), must_change=known.must_change)
        return Visitor(caller=None, token=None, csrf=_form_token(request.cookies.get(_FORM_COOKIE, "")))

    def page(
        self,
        request: Request,
        template: str,
        values: Mapping[str, Any] | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Render a template with the frame around it, under the headers that every page has."""
        nonce = base64.b64encode(self.services.random(_NONCE_BYTES)).decode()
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        caller = visitor.caller if visitor else None
        text = self._templates.get_template(template).render(
            {
                "caller": caller,
                "csrf": visitor.csrf if visitor else "",
                "sees_policy": caller is not None and bool(caller.principal.roles),
                "is_admin": caller is not None and Role.ADMIN in caller.principal.roles,
                "nonce": nonce,
                "asset": self.files.asset,
                "path": request.url.path,
                "theme": theme_of(request),
                "shortcuts": request.cookies.get("loglease-shortcuts") != "off",
                "now": self.services.clock.now(),
                **(values or {}),
            }
        )
        response = HTMLResponse(text, status_code=status, headers=dict(headers or {}))
        response.headers.update(self.headers(nonce))
        return response

    def headers(self, nonce: str | None = None) -> dict[str, str]:
        """Return the security headers of a page or of an answer to our own scripts."""
        own = f" 'nonce-{nonce}'" if nonce else " 'none'"
        policy = [
            "default-src 'none'",
            f"script-src{own}",
            f"style-src{own}",
            "img-src 'self' data:",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
        found = {
            "content-security-policy": "; ".join(policy),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-store",
        }
        if self.tls:
            found["strict-transport-security"] = "max-age=31536000; includeSubDomains"
        return found

    def require_own_form(self, request: Request, given: str | None) -> None:
        """Refuse a POST that does not come from one of our pages, with the token of this very session.

        Raises:
            CsrfFailed: origin or token do not fit.
        """
        if not self._comes_from_us(request):
            raise CsrfFailed("This call does not come from our own page.", next_step="Open the page and send it again.")
        visitor: Visitor = request.state.visitor
        if visitor.caller is not None:
            fits = csrf_fits(cookie_of(request.headers.get("cookie"), tls=self.tls) or "", given)
        else:
            fits = bool(request.cookies.get(_FORM_COOKIE)) and hmac.compare_digest(
                visitor.csrf.encode(), (given or "").encode()
            )
        if not fits:
            raise CsrfFailed("The form is from another sign-in.", next_step="Load the page again and send it again.")

    def _comes_from_us(self, request: Request) -> bool:
        """Say whether a POST comes from a configured origin.

        Under `Referrer-Policy: no-referrer` browsers send forms with `Origin: null`. Then `Sec-Fetch-Site`, which no
        script can set, says that the page was of the origin that is called, and `Host` that this origin is ours.
        """
        origins = self.services.standing.origins
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site")
        if origin == "null":
            hosts = {one.partition("://")[2] for one in origins}
            return site == "same-origin" and request.headers.get("host") in hosts
        return site in (None, "same-origin", "none") and origin in origins

    async def form(self, request: Request) -> Fields:
        """Return the fields of a form that came from our own page.

        Raises:
            InvalidField: it is too large or no form.
            CsrfFailed: it did not come from our own page.
        """
        fields = request.state.form = await self._fields(request)
        self.require_own_form(request, fields.get(CSRF_FIELD))
        return fields

    async def _fields(self, request: Request) -> Fields:
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise CsrfFailed("This call does not come from our own page.", next_step="Open the page and send it again.")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_FORM_BYTES:
                raise InvalidField("The form is too large.", next_step="Shorten what you typed.")
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        except ValueError as error:
            raise InvalidField("The form is not well-formed.", next_step="Load the page and send it again.") from error
        return Fields(pairs)

    def draft(self, request: Request, caller: Caller) -> Fields | None:
        """Return what the visitor had typed into this form before; None if there is nothing, or it is not kept."""
        return self.drafts.find(request.query_params.get("draft", ""), caller.principal.id)

    def require_own_script(self, request: Request) -> None:
        """Refuse a call of a script that is not ours.

        Raises:
            CsrfFailed: origin or token do not fit.
        """
        self.require_own_form(request, request.headers.get(CSRF_HEADER))

    def error_page(self, request: Request, error: LogLeaseError) -> Response:
        """Show an error in three parts: what was wrong, which rule decided, what to do next."""
        kind = kind_of(error)
        values = {
            "error": shown_error(error),
            "kind": kind,
            "trace_id": request.scope.get(TRACE, ""),
            "kept": self.way_back(request) if error.code == CsrfFailed.code else None,
            "may_reload": request.method == "GET" and retry_after_s(error) is not None,
        }
        response = self.page(request, "error.html", values, status=kind.status, headers=headers_of(error))
        return self.remembering(request, response) if error.code == StepUpRequired.code else response

    def refusal(self, scope: Scope, error: LogLeaseError) -> Response:
        """Return the page of an error that stopped a call before it came to any page."""
        return self.error_page(Request(scope), error)

    def json(self, content: Any, status: int = 200) -> Response:
        """Answer one of our own scripts."""
        return JSONResponse(content, status_code=status, headers=self.headers())

    def go(self, path: str) -> Response:
        """Send the browser to another page after a form was done."""
        return RedirectResponse(path, status_code=303, headers=self.headers())

    def endpoint(self, page: Page, *, public: bool = False) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page: sign-in first unless it is public, and errors as pages."""

        async def answer(request: Request) -> Response:
            request.state.visitor = None
            try:
                request.state.visitor = visitor = await self.visitor(request)
                if visitor.caller is None and not public:
                    return await self._to_sign_in(request)
                if visitor.must_change and not public and request.url.path not in _BEFORE_CHANGE:
                    return self.go("/password")
                # A public page is given a caller only if there is one; its type says so to nobody but itself.
                return await page(self, request, visitor.caller)  # type: ignore[arg-type]
            except LogLeaseError as error:
                return self.error_page(request, error)

        return answer

    async def _to_sign_in(self, request: Request) -> Response:
        if request.headers.get("accept") == "application/json":
            return self.json({"code": "not_authenticated"}, 401)
        if request.method == "POST" and keeps_typed(request.url.path):
            with suppress(LogLeaseError):
                request.state.form = await self._fields(request)
            cookie = cookie_of(request.headers.get("cookie"), tls=self.tls)
            request.state.owner = None if cookie is None else await self.services.credentials.owner_of(cookie)
        return self.remembering(request, self.go("/sign-in"))

    def way_back(self, request: Request) -> str:
        """Return the address at which this call can be gone on with; what was typed into a form of ours is kept."""
        path = request.url.path
        if request.method == "GET":
            return path + (f"?{request.url.query}" if request.url.query else "")
        fields: Fields | None = getattr(request.state, "form", None)
        if fields is None or not keeps_typed(path) or not self._comes_from_us(request):
            return page_of(path)
        visitor: Visitor | None = request.state.visitor
        owner = visitor.caller.principal.id if visitor and visitor.caller else getattr(request.state, "owner", None)
        key = self.drafts.keep(fields, owner)
        return page_of(path) if key is None else f"{page_of(path)}?draft={key}"

    def remembering(self, request: Request, response: Response) -> Response:
        """Remember in a cookie where to go after a sign-in: an address would end up in histories and links."""
        wanted = self.way_back(request)
        if wanted != "/" and len(wanted) <= MAX_WANTED:
            response.set_cookie(
                "loglease-next",
                _packed(wanted),
                max_age=600,
                httponly=True,
                samesite="lax",
                path="/",
                secure=self.tls,
            )
        return response

    def with_form_cookie(self, request: Request, render: Callable[[], Response]) -> Response:
        """Render a page whose form is sent before anybody has signed in: its token hangs on a cookie of its own."""
        value = request.cookies.get(_FORM_COOKIE) or base64.urlsafe_b64encode(self.services.random(24)).decode()
        request.state.visitor = Visitor(caller=None, token=None, csrf=_form_token(value))
        response = render()
        response.set_cookie(
            _FORM_COOKIE, value, httponly=True, samesite="lax", path="/", secure=self.tls, max_age=3_600
        )
        return response

    def forget(self, response: Response) -> Response:
        """End the session in the browser."""
        response.headers.append("set-cookie", clear_cookie(tls=self.tls))
        return response


def shown_error(error: LogLeaseError) -> dict[str, Any]:
    """Return an error as pages show it; a fault of ours is told without detail."""
    kind = kind_of(error)
    ours = kind.status >= 500 and error.code == "internal"  # noqa: PLR2004 - HTTP's own number
    return {
        "code": error.code,
        "title": kind.title,
        "detail": "Something went wrong on our side." if ours else error.told,
        "rule": None if ours else error.rule,
        "next": kind.help if ours or not error.told_next else error.told_next,
        "faults": {} if ours else {fault.pointer.lstrip("/"): fault.detail for fault in error.faults},
    }


def theme_of(request: Request) -> str:
    """Return the theme that the visitor chose, or that of their system."""
    chosen = request.cookies.get("loglease-theme", "system")
    return chosen if chosen in _THEMES else "system"


def text_of(fields: Fields, name: str) -> str:
    """Return one text field of a form; a missing one is empty."""
    return fields.get(name, "")


def wanted_path(request: Request) -> str:
    """Return where the visitor wanted to go before signing in: always a path of this site."""
    try:
        path = base64.urlsafe_b64decode(request.cookies.get("loglease-next", "")).decode()
    except ValueError:
        return "/"
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if safe else "/"


def _packed(path: str) -> str:
    return base64.urlsafe_b64encode(path.encode()).decode()


def _form_token(value: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(value.encode(), b"loglease form", "sha256")[:24]).decode()
