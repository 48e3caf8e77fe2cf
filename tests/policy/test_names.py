"""Names that a server knows: a fact comes from somebody who can say it, as what they say."""

from __future__ import annotations

import pytest
from tests.policy.world import CATALOG, bundle_of, problems_of

from loglease.policy import Outside
from loglease.policy.conditions import Text
from loglease.policy.conditions.types import BOOL, DURATION

FACTS = """\
api: loglease/v1
kind: Facts
id: main
facts:
  ctx.mfa_age: {type: duration, from: identity}
  ctx.net: {type: [corp, other], from: gateway}
  ctx.on_call: {type: bool, from: rota, max_age: 60s}
"""
SERVER = Outside(
    presence={
        "identity": {"ctx.mfa_age": DURATION, "ctx.fresh": BOOL},
        "gateway": {"ctx.net": Text(words=frozenset({"corp", "other"}))},
    },
    providers=frozenset({"rota", "tickets"}),
)


def test_facts_are_declared_as_the_server_gives_them() -> None:
    assert bundle_of(CATALOG, FACTS, outside=SERVER).facts.keys() == {"ctx.mfa_age", "ctx.net", "ctx.on_call"}
    assert bundle_of(CATALOG, FACTS.replace("[corp, other]", "string"), outside=SERVER)


@pytest.mark.parametrize(
    ("old", "new", "code", "message", "remedy"),
    [
        ("from: rota", "from: rotas", "P331", "this server has no provider 'rotas'", "did you mean 'rota'?"),
        ("from: rota", "from: gatewya", "P331", "this server has no provider 'gatewya'", "did you mean 'gateway'?"),
        ("ctx.mfa_age", "ctx.mfa_aged", "P330", "'identity' does not know 'ctx.mfa_aged'", "did you mean 'ctx.mfa_age'?"),
        ("ctx.net", "ctx.mfa_net", "P330", "'gateway' does not know 'ctx.mfa_net'", "did you mean 'ctx.net'?"),
        ("duration", "int", "P330", "'ctx.mfa_age' is of another type here", "it is duration"),
        ("duration", "string", "P330", "'ctx.mfa_age' is of another type here", "it is duration"),
        ("[corp, other]", "[corp, vpn]", "P330", "'ctx.net' is of another type here", "it is one of corp, other"),
        ("[corp, other]", "bool", "P330", "'ctx.net' is of another type here", "it is one of corp, other"),
    ],
)  # fmt: skip
def test_a_fact_that_the_server_cannot_give_so_is_refused(
    old: str, new: str, code: str, message: str, remedy: str
) -> None:
    (found,) = problems_of(CATALOG, FACTS.replace(old, new), outside=SERVER)
    assert (found.code, found.message, found.help) == (code, message, remedy)
    assert bundle_of(CATALOG, FACTS.replace(old, new)), "without a server its word is taken"


def test_a_server_that_gives_no_facts_of_a_call_is_asked_for_its_providers_alone() -> None:
    for providers, codes in ((frozenset({"rota"}), ["P331", "P331"]), (frozenset({"rota", "identity", "gateway"}), [])):
        outside = Outside(providers=providers)
        if codes:
            assert [one.code for one in problems_of(CATALOG, FACTS, outside=outside)] == codes
        else:
            assert bundle_of(CATALOG, FACTS, outside=outside)
