"""A vault for private texts, the same in every run."""

from __future__ import annotations

from tests.fakes.clock import FakeRandom

from loglease.audit.privacy import Vault

MASTER = bytes(range(32))


def fake_vault(seed: str = "vault") -> Vault:
    return Vault(MASTER, FakeRandom(seed))
