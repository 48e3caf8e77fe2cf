"""Promise 2, blind, for the whole query language over real sockets: fewer questions, every byte that comes.

The clock of the gateway stands still, as in `test_2_blind.py`: a machine that stalls is no difference in the data.
"""

from __future__ import annotations

import os
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateway.world import T0, TOKEN, call, world
from tests.promises.shared import running
from tests.promises.test_2_blind import DATE, FORMATS, GENEROUS
from tests.promises.twin_logs import WINDOW_NS, Bounds, twin_logs, twin_pseudonym, twin_queries
from tests.volume import volume

from loglease.gateway import GatewaySettings

TIMES = ("start=0", "start=0", f"start={T0 + 9}", f"start={T0 + 5}&end={T0 + 30}")
NUMBERS = (f"start=0&end={T0 + 10**9}", f"start={T0}&end={T0 + 10**11}&step=20")
ROUNDS = int(os.environ.get("BLIND_ROUNDS", volume(100, 400))) // 10


@pytest.mark.volume
def test_hidden_data_changes_no_byte_of_an_answer(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.redaction.edits.pseudonym", twin_pseudonym)
    with running(
        world(
            tmp_path_factory.mktemp("sockets"), settings=GatewaySettings(record_within_s=60), loose=True, page_lines=3
        )
    ) as (run, made):
        made.clock.stop()
        run(made.watch.poll())
        window = {"start_ns": T0, "end_ns": T0 + WINDOW_NS, "profile": "pii-default@1", "limits": GENEROUS}
        grant = run(made.grant('{service="a"}', **window))

        @settings(max_examples=ROUNDS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(
            logs=twin_logs(Bounds(start=T0, redactors=(made.redactor_of(grant),))),
            query=twin_queries(),
            accept=st.sampled_from(FORMATS),
            direction=st.sampled_from(("forward", "backward")),
            times=st.sampled_from(TIMES),
            numbers=st.sampled_from(NUMBERS),
        )
        def changes_no_byte(logs, query, accept, direction, times, numbers) -> None:  # type: ignore[no-untyped-def]
            twins, has_key = logs
            if not query.startswith("{"):
                times, accept = numbers, "application/json"
            elif has_key:
                times = TIMES[0]
            path = f"/g/{grant.id}/logs?{times}&direction={direction}&query={quote(query)}"
            answers = []
            for lines in (twins.one, twins.other):
                made.reader.lines = sorted(lines, key=lambda one: (one.ts, one.labels))
                answer = run(call(made, path, TOKEN, f"Accept: {accept}"))
                assert answer.whole
                answers.append(DATE.sub(b"", answer.raw))
            assert answers[0] == answers[1]

        changes_no_byte()
