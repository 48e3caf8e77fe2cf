from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.world import World, principal

from loglease.model.principal import Role


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path).start()
    await made.add(
        principal("alice"),
        principal("bob", groups=("engineering", "approvers")),
        principal("carol", groups=("engineering", "approvers")),
        principal("erin", roles=(Role.ADMIN,)),
    )
    yield made
    await made.stop()
