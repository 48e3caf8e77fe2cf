"""Signing in with a local account, signing out, a new password, and how the pages look."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from loglease.access.caller import Caller
from loglease.model.errors import LogLeaseError
from loglease.model.instant import MICROSECONDS
from loglease.server.identity.cookies import cookie_of, set_cookie
from loglease.server.pages.site import Site, shown_error, text_of, theme_of, wanted_path
from loglease.server.problems import NotAuthenticated, RateLimited, headers_of, kind_of

_YEAR_S = 365 * 86_400
_THEMES = ("system", "light", "dark")


async def sign_in_page(site: Site, request: Request, caller: Caller | None) -> Response:
    """Show the form of a local account; somebody who is signed in goes on, unless they come to sign in anew."""
    if caller is not None and "again" not in request.query_params:
        return site.go("/")
    values = {"account": "" if caller is None else caller.principal.account, "error": None, "again": caller is not None}
    values["kept"] = "?draft=" in wanted_path(request)
    values["over"] = caller is None and cookie_of(request.headers.get("cookie"), tls=site.tls) is not None
    if caller is not None:
        return site.page(request, "sign_in.html", values)
    return site.with_form_cookie(request, lambda: site.page(request, "sign_in.html", values))


async def sign_in(site: Site, request: Request, caller: Caller | None) -> Response:
    """Check account and password, start a new session, and go where the visitor wanted to."""
    fields = await site.form(request)
    account = text_of(fields, "account").strip()
    try:
        session = await site.services.sign_ins.web_sign_in(
            account, text_of(fields, "password"), address=_address(request)
        )
    except (NotAuthenticated, RateLimited) as error:
        values = {
            "account": account,
            "error": shown_error(error),
            "again": caller is not None,
            "over": False,
            "kept": False,
        }
        return site.page(request, "sign_in.html", values, status=kind_of(error).status, headers=headers_of(error))
    if caller is not None:
        await site.services.sign_ins.sign_out(caller)
    response = site.go("/password" if session.must_change else wanted_path(request))
    life_s = max(0, session.expires_at - site.services.clock.now()) // MICROSECONDS
    response.headers.append(
        "set-cookie", set_cookie(session.cookie.text(), tls=site.services.settings.http.tls, max_age_s=life_s)
    )
    response.delete_cookie("loglease-next", path="/")
    return response


async def sign_out(site: Site, request: Request, caller: Caller) -> Response:
    """End the session on the server and in the browser."""
    await site.form(request)
    await site.services.sign_ins.sign_out(caller)
    return site.forget(site.go("/sign-in"))


async def settings_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show what the visitor may set for this browser, and the form for a new password."""
    return site.page(request, "settings.html", {"person": caller.principal, "error": None, "chosen": theme_of(request)})


async def change_settings(site: Site, request: Request, caller: Caller) -> Response:
    """Keep the looks of the pages in this browser."""
    del caller
    fields = await site.form(request)
    theme = text_of(fields, "theme")
    response = site.go("/settings")
    secure = site.services.settings.http.tls
    for name, value in (
        ("loglease-theme", theme if theme in _THEMES else "system"),
        ("loglease-shortcuts", "on" if text_of(fields, "shortcuts") else "off"),
    ):
        response.set_cookie(name, value, max_age=_YEAR_S, httponly=True, samesite="lax", secure=secure, path="/")
    return response


async def password_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show the form for a new password."""
    return site.page(request, "password.html", {"person": caller.principal, "error": None})


async def change_password(site: Site, request: Request, caller: Caller) -> Response:
    """Set a new password; all sign-ins of the account end, so the visitor signs in with the new one."""
    fields = await site.form(request)
    try:
        await site.services.sign_ins.change_password(
            caller, text_of(fields, "password"), text_of(fields, "new_password"), address=_address(request)
        )
    except LogLeaseError as error:
        values = {"person": caller.principal, "error": shown_error(error)}
        return site.page(request, "password.html", values, status=kind_of(error).status)
    return site.forget(site.go("/sign-in"))


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
