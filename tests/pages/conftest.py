from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.pages.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World.start(tmp_path)
    yield made
    await made.stop()
