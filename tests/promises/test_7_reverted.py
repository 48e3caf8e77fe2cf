"""Promise 7, reverted: "Every raised debug level returns to what it was, also when the control plane is dead."

This version raises no levels. What can be tested is that nothing pretends to: a policy that asks for elevation is
refused when it is loaded, a request cannot carry one, no route and no command offers one, and no entry says that one was
made. Whoever builds elevation has to replace this file by the real proof.
"""

from __future__ import annotations

import json
from contextlib import closing

import httpx2
import pytest
from tests.fakes.stack import Refused, Stack
from tests.fakes.world import POLICY
from tests.promises.shared import crowd

from loglease.cli.tree import COMMANDS, GROUPS
from loglease.policy.loading import load
from loglease.store.sqlite_library import running_library

ASKING = {
    "a policy": POLICY.replace(
        b"  redaction: pii-default\n", b"  redaction: pii-default\n  elevation: {levels: [debug]}\n", 1
    ),
    "a policy at its top": POLICY.replace(b"pending_max: 2h\n", b"pending_max: 2h\nelevation: {levels: [debug]}\n", 1),
}


@pytest.mark.parametrize("kind", ASKING)
def test_a_policy_that_asks_for_elevation_is_refused_when_it_is_loaded(kind: str) -> None:
    assert not isinstance(load({"policy.yaml": POLICY}, revision=1), list)
    problems = load({"policy.yaml": ASKING[kind]}, revision=1)
    assert isinstance(problems, list)
    assert any("elevation" in problem.render() for problem in problems)


def test_no_request_carries_an_elevation(server: Stack) -> None:
    alice = crowd(server)["alice"]
    with pytest.raises(Refused) as refused:
        alice.ask(elevation={"targets": ["shop"], "level": "debug"})
    assert (refused.value.status, refused.value.problem["code"]) == (422, "unknown_field")


def test_no_route_and_no_command_raises_a_level(server: Stack) -> None:
    document = httpx2.get(f"{server.url}/api/v1/openapi.json").json()
    names = [*document["paths"], *(one["operationId"] for path in document["paths"].values() for one in path.values())]
    names += [place for _, _, place, _ in COMMANDS] + [place for *_, group in GROUPS for _, place, _ in group]
    words = " ".join(names).lower()
    assert not [word for word in ("elevat", "raise", "target") if word in words]


def test_no_entry_says_that_a_level_was_raised(server: Stack) -> None:
    path = server.folder / "data" / "loglease.db"
    with closing(running_library().module.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        types = {json.loads(content)["type"] for (content,) in connection.execute("SELECT bytes FROM entries")}
    assert types
    assert not [one for one in types if one.startswith(("elevation", "target", "finding"))]
