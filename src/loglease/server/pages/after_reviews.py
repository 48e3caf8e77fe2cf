"""Looking afterwards at what was read: the verdict that the page of a request takes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from loglease.access.caller import Caller
from loglease.access.review_afterwards import review_afterwards
from loglease.model.after_review import AfterVerdict
from loglease.model.errors import InvalidField
from loglease.model.ids import REQUEST, RequestId, checked_id
from loglease.server.pages.requests import request_values
from loglease.server.pages.site import Site, shown_error, text_of


async def look(site: Site, request: Request, caller: Caller) -> Response:
    """Give a verdict on what was read; without the comment that it needs the page comes again."""
    fields = await site.form(request)
    request_id = RequestId(checked_id(REQUEST, request.path_params["request_id"]))
    word, comment = text_of(fields, "verdict"), text_of(fields, "comment").strip()
    if word not in set(AfterVerdict):
        raise InvalidField("That is no verdict.", next_step="Choose one of the buttons.")
    if word != AfterVerdict.JUSTIFIED and not comment:
        error = InvalidField("This verdict needs a comment.", next_step="Say what was wrong, or what is still open.")
        values = await request_values(site, caller, request_id)
        return site.page(request, "request.html", {**values, "error": shown_error(error)}, status=422)
    await review_afterwards(
        request_id,
        verdict=AfterVerdict(word),
        comment=comment,
        caller=caller,
        log=site.services.log,
        rules=site.services.rules.current,
        new_id=site.services.new_id,
        random=site.services.random,
    )
    return site.go(f"/requests/{request_id}")
