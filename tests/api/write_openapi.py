"""Write ``docs/reference/openapi.json`` anew: ``python -m tests.api.write_openapi``."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from tests.api.test_openapi import COMMITTED
from tests.api.world import world_in

from loglease.server.api.app import create_api, openapi_document


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with world_in(Path(directory)) as world:
            document = openapi_document(create_api(world.services))
    COMMITTED.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
