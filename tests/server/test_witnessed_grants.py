"""A policy demands witnesses of what it governs, and there is a real one: `loglease audit witness`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.test_audit_witness import LOG, NAME, started
from tests.fakes.stack import Person, Refused
from tests.promises.shared import POLICY, crowd, granted, populated

WITNESSED = POLICY.replace("  redaction: pii-default\n", "  redaction: pii-default\n  audit: witnessed\n", 1)


def read(person: Person, grant: str) -> int:
    """Return how many lines somebody gets."""
    return sum(one["type"] == "line" for one in person.lines(grant, since="1h"))


def test_a_witness_decides_over_what_the_policy_gives_it_and_nothing_else(tmp_path: Path) -> None:
    key, witnesses = tmp_path / "log.key", tmp_path / "witnesses"
    key.write_text(LOG.key.text() + "\n")
    key.chmod(0o600)
    with started(tmp_path, "--new", NAME) as witness:
        witnesses.write_text(f"log {LOG.key.verifier}\nwitness one {witness.key} {witness.address}\nquorum one\n")
        audit = f"""[audit]
key_file = "{key}"
witness_policy = "{witnesses}"
witness_private_network = true
"""
        stack = populated(tmp_path / "server", policy=WITNESSED, more=audit)
        try:
            people = crowd(stack)
            alice, bob, carol = people["alice"], people["bob"], people["carol"]
            strong = granted(alice, bob)
            asked = alice.ask('{service="pay"}')
            bob.decide(asked)
            carol.decide(asked)
            plain = alice.grant_of(asked)
            assert [alice.call("GET", f"/grants/{one}")["audit"] for one in (strong, plain)] == ["witnessed", "durable"]
            assert read(alice, strong) == 200
            assert f"\u2014 {NAME} " in (stack.folder / "data" / "log" / "checkpoint").read_text()
            witness.process.kill()
            witness.process.wait()
            with pytest.raises(Refused) as refused:
                read(alice, strong)
            assert (refused.value.status, refused.value.problem["code"]) == (503, "audit_unavailable")
            assert read(alice, plain) == 200
            bob.call("POST", f"/grants/{strong}/revoke", {"reason": "over"})
            assert alice.call("GET", f"/grants/{strong}")["state"] == "revoked"
        finally:
            stack.stop()
