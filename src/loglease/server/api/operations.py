"""How operations are declared: one place for problem answers, absent fields and names in the OpenAPI document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Depends

from loglease.server.api.calls import known_parameters
from loglease.server.edge import API
from loglease.server.problems import KINDS, MEDIA_TYPE

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}
EVERYWHERE: Final = (
    "malformed",
    "unknown_parameter",
    "invalid_field",
    "not_authenticated",
    "token_expired",
    "not_permitted",
    "password_change_required",
    "locked",
    "too_large",
    "rate_limited",
    "internal",
    "store_unavailable",
)
WRITING: Final = ("csrf_failed", "audit_unavailable", "audit_busy")
WITH_BODY: Final = ("unsupported_media_type", "unknown_field")
CREATING: Final = ("idempotency_key_required", "idempotency_key_reused", "in_progress")


def problem_answers(codes: Iterable[str]) -> dict[int | str, dict[str, Any]]:
    """Return the documented problem answers of an operation, by status."""
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in codes:
        by_status[KINDS[code].status].append(code)
    return {
        status: {
            "description": ", ".join(f"`{code}`" for code in sorted(set(found))),
            "content": {MEDIA_TYPE: {"schema": PROBLEM_REF}},
        }
        for status, found in sorted(by_status.items())
    }


def router_of(tag: str) -> APIRouter:
    """Return a router whose operations are whole once they are declared.

    To look through an operation takes FastAPI milliseconds, and it does so again for each application that includes a
    router; so prefix and dependencies are given here, and `api.app` takes the routes as they are.
    """
    return APIRouter(prefix=API, tags=[tag], dependencies=[Depends(known_parameters)])


class Routes:
    """A router whose operations are all declared alike."""

    def __init__(self, tag: str) -> None:
        self.router = router_of(tag)

    def get(self, path: str, *, answers: Any, problems: Iterable[str] = ()) -> Callable[[Endpoint], Endpoint]:
        """Declare an operation that only reads."""
        return self._declared("GET", path, answers=answers, status=200, problems=problems)

    def post(
        self,
        path: str,
        *,
        answers: Any,
        status: int = 200,
        problems: Iterable[str] = (),
        creates: bool = False,
        also: Mapping[int, str] = MappingProxyType({}),
        forms: Mapping[str, Any] = MappingProxyType({}),
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare an operation that changes something, with `creates` under an idempotency key.

        `also` has further statuses of the same answer, with what they mean; `forms` further media types of the answer,
        with their schemas.
        """
        codes = (*WRITING, *WITH_BODY, *(CREATING if creates else ()), *problems)
        return self._declared("POST", path, answers=answers, status=status, problems=codes, also=also, forms=forms)

    def patch(self, path: str, *, answers: Any, problems: Iterable[str] = ()) -> Callable[[Endpoint], Endpoint]:
        """Declare an operation that changes some fields."""
        codes = (*WRITING, *WITH_BODY, "precondition_required", "version_mismatch", *problems)
        return self._declared("PATCH", path, answers=answers, status=200, problems=codes)

    def delete(self, path: str, *, problems: Iterable[str] = ()) -> Callable[[Endpoint], Endpoint]:
        """Declare an operation that takes something away."""
        return self._declared("DELETE", path, answers=None, status=204, problems=(*WRITING, *problems))

    def _declared(
        self,
        method: str,
        path: str,
        *,
        answers: Any,
        status: int,
        problems: Iterable[str],
        also: Mapping[int, str] = MappingProxyType({}),
        forms: Mapping[str, Any] = MappingProxyType({}),
    ) -> Callable[[Endpoint], Endpoint]:
        documented = {name: {"schema": schema} for name, schema in forms.items()}

        def declare(endpoint: Endpoint) -> Endpoint:
            self.router.add_api_route(
                path,
                endpoint,
                methods=[method],
                response_model=answers,
                response_model_exclude_none=True,
                status_code=status,
                operation_id=endpoint.__name__,
                summary=(endpoint.__doc__ or "").partition("\n")[0].rstrip("."),
                responses={
                    **problem_answers((*EVERYWHERE, *problems)),
                    **{code: {"model": answers, "description": meaning} for code, meaning in also.items()},
                    **({status: {"content": documented}} if forms else {}),
                },
            )
            return endpoint

        return declare
