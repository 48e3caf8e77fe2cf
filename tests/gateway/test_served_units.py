"""Records say whether lines were handed over, or numbers or names that were made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gateway.world import T0, call, line, world


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/logs?start=0", "line"),
        ("/logs?start=0&query=count_over_time({service=%22a%22}[1h])&end=" + str(T0 + 1), "sample"),
        ("/loki/api/v1/query_range?query={service=%22a%22}&start=0", "line"),
        ("/loki/api/v1/query?query=count_over_time({service=%22a%22}[1h])&time=" + str(T0 + 1), "sample"),
        ("/loki/api/v1/query_range?query=rate({service=%22a%22}[1h])&step=60&end=" + str(T0 + 1), "sample"),
        ("/loki/api/v1/labels?start=0", "name"),
        ("/loki/api/v1/label/service/values?start=0", "name"),
        ("/loki/api/v1/series?match[]={service=%22a%22}&start=0", "name"),
        ("/loki/api/v1/index/volume?query={service=%22a%22}&start=0", "sample"),
    ],
)
async def test_an_answer_is_recorded_as_what_it_is(tmp_path: Path, path: str, unit: str) -> None:
    async with world(tmp_path, lines=[line(T0, "one ann@example.com", service="a")]) as w:
        grant = await w.grant(profile="pii-default@1")
        answer = await call(w, f"/g/{grant.id}{path}")
        assert answer.status == 200, answer.body
        settled = [
            entry["data"]["settled"]
            for kind in ("batch.served", "session.closed")
            for entry in await w.entries(kind)
            if "settled" in entry["data"]
        ]
        assert {one["unit"] for one in settled} == {unit}
