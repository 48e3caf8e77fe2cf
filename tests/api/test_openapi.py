"""The OpenAPI document: committed, current, complete; and every operation behaves as it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.world import World

from loglease.server.api.app import openapi_document
from loglease.server.problems import KINDS

COMMITTED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
OPEN = {"sign_in", "refresh_sign_in", "show_openapi", "show_health"}


@pytest.fixture
async def document(world: World) -> dict[str, Any]:
    answer = await world.client.get("/openapi.json")
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_the_committed_document_is_current(document: dict[str, Any]) -> None:
    assert json.loads(COMMITTED.read_text()) == document, "run: python -m tests.api.write_openapi"


async def test_every_operation_is_named_once_and_lists_its_problems(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    found = operations(document)
    names = [operation["operationId"] for _, _, operation in found]
    assert len(set(names)) == len(names) > 40
    for _, path, operation in found:
        assert path.startswith("/api/v1/")
        assert operation["summary"]
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (path, status)
                for code in answer["description"].replace("`", "").split(", "):
                    assert KINDS[code].status == int(status)


async def test_every_operation_but_the_open_ones_takes_a_credential(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        schemes = {name for one in operation.get("security", []) for name in one}
        if operation["operationId"] in OPEN:
            assert schemes == set(), path
        else:
            assert schemes == {"bearer", "cookie"}, path
            assert "401" in operation["responses"]


WAITING_FOR_OTHERS = {"propose_bundle", "propose_erasing", "propose_log_pruning"}


async def test_creating_operations_take_a_key(document: dict[str, Any]) -> None:
    found = operations(document)
    creating = {operation["operationId"] for _, _, operation in found if "201" in operation["responses"]}
    creating |= WAITING_FOR_OTHERS  # which is 202
    keyed = {
        operation["operationId"]
        for _, _, operation in operations(document)
        if any(one["name"] == "Idempotency-Key" and one["required"] for one in operation.get("parameters", []))
    }
    assert creating == keyed
    assert creating == {
        "create_request",
        "create_review",
        "create_after_review",
        "create_revocation",
        "create_lock",
        "create_token",
        "create_principal",
        "sign_made_report",
        "create_hold",
        *WAITING_FOR_OTHERS,
    }


async def test_bodies_take_no_unknown_field_and_none_has_a_field_for_state(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    bodies = {
        one["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for _, _, one in operations(document)
        if "requestBody" in one
    }
    assert len(bodies) > 8
    for name in bodies:
        assert schemas[name]["additionalProperties"] is False
        assert not {"state", "approvals", "approver", "requester", "bundle_sha256", "submitted_at"} & set(
            schemas[name]["properties"]
        )


async def test_the_document_is_what_the_application_declares(world: World, document: dict[str, Any]) -> None:
    from loglease.server.api.app import create_api

    assert openapi_document(create_api(world.services)) == document
