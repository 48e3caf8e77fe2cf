"""The shape of problem answers in the OpenAPI document; `server.problems` makes them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loglease.server.api.fields import Resource


class FaultShown(Resource):
    """One wrong field."""

    pointer: str
    code: str
    detail: str


class NextStep(Resource):
    """What to do next."""

    text: str


class Problem(Resource):
    """RFC 9457: what was wrong, which rule decided, what to do next. Clients switch on `code`."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    trace_id: str
    rule: str | None = None
    errors: list[FaultShown] | None = None
    next: list[NextStep] | None = None
    present: Annotated[str | None, Field(description="The digest as it is now.")] = None
    retry_after_s: int | None = None
