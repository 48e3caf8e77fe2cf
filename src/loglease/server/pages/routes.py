"""All addresses of the pages. GET shows, POST changes; nothing else is answered."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from loglease.server.pages import (
    after_reviews,
    decide,
    extensions,
    grants,
    help_pages,
    policies,
    proposals,
    requests,
    reveals,
    sign_in,
    start,
)
from loglease.server.pages.site import Page, Site


def create_pages(site: Site) -> Router:
    """Return the pages as one application, to be mounted at the root after everything else."""

    async def static(request: Request) -> Response:
        return site.files.response(request)

    def shown(path: str, page: Page) -> Route:
        return Route(path, site.endpoint(page), methods=["GET"])

    def public(path: str, page: object, method: str = "GET") -> Route:
        return Route(path, site.endpoint(page, public=True), methods=[method])  # type: ignore[arg-type]

    def done(path: str, page: Page) -> Route:
        return Route(path, site.endpoint(page), methods=["POST"])

    return Router(
        routes=[
            Route("/static/{name}", static, methods=["GET"]),
            public("/sign-in", sign_in.sign_in_page),
            public("/sign-in", sign_in.sign_in, "POST"),
            done("/sign-out", sign_in.sign_out),
            shown("/settings", sign_in.settings_page),
            done("/settings", sign_in.change_settings),
            shown("/password", sign_in.password_page),
            done("/password", sign_in.change_password),
            shown("/", start.start_page),
            shown("/requests", requests.requests_list),
            shown("/requests/new", requests.request_form_page),
            done("/requests/new", requests.send_request),
            shown("/requests/reveal", reveals.reveal_form_page),
            done("/requests/reveal", reveals.ask_to_reveal),
            shown("/requests/{request_id}", requests.request_page),
            shown("/requests/{request_id}/state", requests.request_state),
            done("/requests/{request_id}/cancel", requests.cancel),
            done("/requests/{request_id}/after-review", after_reviews.look),
            shown("/requests/{request_id}/decide", decide.decide_page),
            done("/requests/{request_id}/decide", decide.decide),
            shown("/grants", grants.grants_list),
            shown("/grants/{grant_id}", grants.grant_page),
            shown("/grants/{grant_id}/state", grants.grant_state),
            done("/grants/{grant_id}/activate", grants.activate),
            done("/grants/{grant_id}/return", grants.give_back),
            shown("/grants/{grant_id}/extend", extensions.extend_page),
            done("/grants/{grant_id}/extend", extensions.extend),
            shown("/grants/{grant_id}/revoke", grants.revoke_page),
            done("/grants/{grant_id}/revoke", grants.take_away),
            shown("/grants/{grant_id}/logs", grants.viewer_page),
            done("/grants/{grant_id}/viewer-code", grants.viewer_code),
            shown("/policies", policies.policies_page),
            done("/policies/explain", policies.explain),
            done("/policies/who-can", policies.list_who_can),
            shown("/proposals", proposals.proposals_list),
            shown("/proposals/{proposal_id}", proposals.proposal_page),
            done("/proposals/{proposal_id}/decide", proposals.decide_proposal),
            done("/proposals/{proposal_id}/withdraw", proposals.withdraw_proposal),
            public("/help", help_pages.help_page),
            public("/problems", help_pages.problems_page),
            public("/problems/{code}", help_pages.problem_page),
            public("/{path:path}", help_pages.nothing_here),
        ],
        redirect_slashes=False,
    )
