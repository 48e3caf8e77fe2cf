from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import loglease
from loglease.access.errors import DigestMismatch
from loglease.model.errors import FieldFault, InvalidField, LogLeaseError
from loglease.server.problems import KINDS, RateLimited, headers_of, help_of, problem_of


def every_error(root: type[LogLeaseError] = LogLeaseError) -> Iterator[type[LogLeaseError]]:
    yield root
    for one in root.__subclasses__():
        yield from every_error(one)


_COMMANDS = re.compile(r"loglease\.(cli|server\.local_\w+)(\.|$)")


def test_every_error_of_the_product_has_its_row() -> None:
    """Errors of commands are printed, never sent; all others can become a problem."""
    for found in pkgutil.walk_packages(loglease.__path__, "loglease."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    every = [one for one in every_error() if one.__module__.startswith("loglease.")]
    ours = [one for one in every if not _COMMANDS.match(one.__module__)]
    assert len(ours) > 50
    assert {one.code for one in ours} <= set(KINDS)


def test_codes_are_snake_case_and_titles_short() -> None:
    for code, kind in KINDS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
        assert 400 <= kind.status < 600
        assert 0 < len(kind.title) <= 50
        assert help_of(code) == {"code": code, "status": kind.status, "title": kind.title, "help": kind.help}
    assert help_of("nonsense") is None


def test_a_problem_has_its_three_parts_and_no_empty_member() -> None:
    error = InvalidField("No.", next_step="Do.", rule="a rule", faults=(FieldFault("/a", "b", "c"),))
    body = problem_of(error, instance="/x", trace_id="t")
    assert body == {
        "type": "/problems/invalid_field",
        "title": KINDS["invalid_field"].title,
        "status": 422,
        "code": "invalid_field",
        "detail": "No.",
        "instance": "/x",
        "trace_id": "t",
        "rule": "a rule",
        "errors": [{"pointer": "/a", "code": "b", "detail": "c"}],
        "next": [{"text": "Do."}],
    }


def test_a_fault_of_ours_tells_nothing() -> None:
    body = problem_of(LogLeaseError("database password is x", next_step="y", rule="z"), instance="/", trace_id="t")
    assert "password" not in str(body)
    assert set(body) == {"type", "title", "status", "code", "detail", "instance", "trace_id"}


def test_what_a_client_needs_to_go_on_is_in_headers_and_body() -> None:
    assert headers_of(RateLimited(7)) == {"retry-after": "7"}
    assert problem_of(RateLimited(7), instance="/", trace_id="t")["retry_after_s"] == 7
    assert problem_of(DigestMismatch("ab"), instance="/", trace_id="t")["present"] == "ab"
