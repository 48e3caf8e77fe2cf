"""Which engine serves: what the settings say, what is there, and what has passed its self-test since its last error."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import pytest
from tests.api.world import settings_in
from tests.fakes.redaction import KEYS, MARKER, POISON, raising, spoiled

from loglease.model.key_scope import KeyScope
from loglease.redaction import EngineUnavailable, Redactor, Withheld, builtin_library
from loglease.redaction.engine import hyperscan_engine, re2_engine
from loglease.server.engines import Engines, RedactorBroken, prove
from loglease.server.health import checks
from loglease.server.reading import Redactors
from loglease.server.wiring import build, close

PIN = "pii-default@1"


@pytest.fixture
def without_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hyperscan_engine, "hyperscan", None)
    monkeypatch.setattr(re2_engine, "re2", None)
    from loglease.redaction import prove_again

    prove_again()


def withheld(redactor: Redactor) -> Withheld:
    with pytest.raises(Withheld) as caught:
        redactor.open().feed(b"password=" + POISON + b"\n")
    return caught.value


def test_an_engine_with_an_error_serves_no_new_session_until_its_self_test_passes_again() -> None:
    engines = Engines("auto", MARKER)
    first = engines.redactor(PIN, KEYS)
    assert engines.proven == "hyperscan"
    engines.note(withheld(spoiled(raising)))
    assert not engines.serves(first)
    second = engines.redactor(PIN, KEYS)
    assert second.engine == "hyperscan"
    assert second._plan is not first._plan, "it was compiled and tested anew"
    assert engines.serves(second)
    assert engines.withheld == {("engine_error", "hyperscan", PIN, ""): 1}


def test_the_next_engine_serves_as_long_as_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = Engines("auto", MARKER)
    engines.redactor(PIN, KEYS)
    engines.note(withheld(spoiled(raising)))
    with monkeypatch.context() as patch:
        patch.setattr(hyperscan_engine.HyperscanScanner, "scan", lambda _self, _data: [])
        assert engines.redactor(PIN, KEYS).engine == "re2"
        assert engines.redactor(PIN, KEYS).engine == "re2"
    assert engines.redactor(PIN, KEYS).engine == "hyperscan"


def test_where_one_engine_alone_may_serve_its_failure_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = Engines("hyperscan", MARKER)
    engines.redactor(PIN, KEYS)
    engines.note(withheld(spoiled(raising)))
    with monkeypatch.context() as patch:
        patch.setattr(hyperscan_engine.HyperscanScanner, "scan", lambda _self, _data: [])
        with pytest.raises(Withheld) as caught:
            engines.redactor(PIN, KEYS)
        assert caught.value.reason == "selftest_failed"
        assert engines.prove() is None
    assert engines.prove() == "hyperscan"


@pytest.mark.parametrize("reason", ["rule_error", "deadline", "key_missing"])
def test_what_is_no_error_of_the_engine_is_counted_and_no_more(reason: str) -> None:
    engines = Engines("auto", MARKER)
    one = engines.redactor(PIN, KEYS)
    engines.note(one.withheld(reason, "credentials.password"))
    assert engines.serves(one)
    assert engines.withheld == {(reason, "hyperscan", PIN, "credentials.password"): 1}


def test_a_grants_redactor_is_built_anew_after_an_error_of_its_engine() -> None:
    engines = Engines("auto", MARKER)
    redactors = Redactors(bytes(32), engines)
    terms = SimpleNamespace(scopes=[SimpleNamespace(profile=PIN)])
    shape = SimpleNamespace(pseudonyms=KeyScope.GRANT)
    grant = SimpleNamespace(
        id="grt_1", policy="p", scheduled_at=0, key_salt=b"s" * 32, shared_salt=None, terms=terms, shape=shape
    )
    first = redactors.of(grant)
    assert redactors.of(grant) is first
    engines.note(first.withheld("canary_lost"))
    second = redactors.of(grant)
    assert second is not first
    assert redactors.of(grant) is second


@pytest.mark.parametrize(("choice", "engine"), [("auto", "python"), ("python", "python")])
def test_without_libraries_the_engine_that_needs_none_serves(without_libraries: None, choice: str, engine: str) -> None:
    assert Engines(choice, bytes(range(2, 18))).redactor(PIN, KEYS).engine == engine


def test_profiles_are_proved_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    library, together = builtin_library(), Barrier(2, timeout=30)
    taken = [one.pin for one in library.profiles][:2]

    def redactor(_engines: Engines, pin: str, *_: object) -> None:
        if pin in taken:
            together.wait()

    monkeypatch.setattr(Engines, "redactor", redactor)
    prove(Engines("auto", MARKER), library, KEYS)
    assert not together.broken


@pytest.mark.parametrize("choice", ["native", "hyperscan", "re2"])
def test_settings_may_refuse_to_start_without_a_library(without_libraries: None, choice: str) -> None:
    with pytest.raises(EngineUnavailable, match="does not import"):
        Engines(choice, bytes(range(2, 18))).redactor(PIN, KEYS)


async def test_a_server_does_not_start_without_the_engine_that_it_was_told(
    tmp_path: Path, without_libraries: None
) -> None:
    for choice in ("native", "re2"):
        settings = settings_in(tmp_path)
        settings = settings.model_copy(update={"redaction": settings.redaction.model_copy(update={"engine": choice})})
        with pytest.raises(RedactorBroken) as caught:
            await build(settings)
        assert "redaction.engine" in (caught.value.next_step or "")


async def test_a_server_says_which_engine_serves_and_warns_of_the_slow_one(
    tmp_path: Path, without_libraries: None, capsys: pytest.CaptureFixture[str]
) -> None:
    services = await build(settings_in(tmp_path))
    try:
        assert "redaction_engine_slow" in capsys.readouterr().out
        (check,) = [one for one in await checks(services) if one.name == "redactor"]
        assert check.ok
        assert "python" in check.detail
        services.engines.note(Withheld("engine_error", engine="python"))
        (check,) = [one for one in await checks(services) if one.name == "redactor"]
        assert check.ok
        assert "1 texts were withheld" in check.detail
    finally:
        await close(services)
