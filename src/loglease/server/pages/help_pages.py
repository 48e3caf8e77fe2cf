"""Help: what the words mean, the keys, and one page for each problem code."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from loglease.access.caller import Caller
from loglease.access.errors import NotFound
from loglease.server.pages.site import Site
from loglease.server.problems import KINDS, help_of


async def help_page(site: Site, request: Request, caller: Caller | None) -> Response:
    """Show how the product works, in one page."""
    del caller
    return site.page(request, "help.html")


async def problems_page(site: Site, request: Request, caller: Caller | None) -> Response:
    """List all problem codes."""
    del caller
    return site.page(request, "problems.html", {"kinds": sorted(KINDS.items())})


async def problem_page(site: Site, request: Request, caller: Caller | None) -> Response:
    """Explain one problem code; the `type` of every problem of the API leads here.

    Raises:
        NotFound: there is no such code.
    """
    del caller
    found = help_of(request.path_params["code"])
    if found is None:
        raise NotFound("There is no such problem code.", next_step="See the list of all codes at /problems.")
    return site.page(request, "problem.html", {"problem": found})


async def nothing_here(site: Site, request: Request, caller: Caller | None) -> Response:
    """Answer every address that is no page.

    Raises:
        NotFound: always.
    """
    del site, caller, request
    raise NotFound("There is no such page.", next_step="Go to the start page.")
