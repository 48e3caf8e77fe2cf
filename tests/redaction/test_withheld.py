"""Fail closed and silent: no byte leaves, the stream is dead, and no error tells a value."""

import traceback

import pytest
from tests.redaction.corpus import KEYS, MARKER, redactor

from loglease.redaction import REASONS, Keys, Redactor, Withheld, engine_named, packs, parse_profile, profile_named
from loglease.redaction.engine.interface import Hit
from loglease.redaction.plan import scanner_of

SECRET = b"hunter2-Zq81"
LINE = b"password=" + SECRET + b"\n"


class Broken:
    """An engine that works at the self-test and then does what a test asks for."""

    name = "broken"

    def __init__(self) -> None:
        self.spoil = lambda hits, data: hits

    def compile(self, tripwires, canary):
        self.inner = scanner_of(engine_named("hyperscan"), tuple(tripwires), canary)
        return self

    def scan(self, data: bytes) -> list[Hit]:
        hits: list[Hit] = self.spoil(self.inner.scan(data), data)
        return hits


def broken() -> tuple[Broken, Redactor]:
    engine = Broken()
    return engine, Redactor.build([profile_named("pii-default@1")], packs(), engine=engine, keys=KEYS, marker=MARKER)


def raising(hits, data):
    raise RuntimeError(data.decode("latin-1"))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda hits, data: [hit for hit in hits if hit[2] != len(data)], "canary_lost"),
        (lambda hits, data: [], "canary_lost"),
        (lambda hits, data: [(hit[0], hit[1], hit[2] - 1) for hit in hits], "canary_lost"),
        (raising, "engine_error"),
    ],
)
def test_a_scan_that_did_not_reach_its_end_withholds_everything(spoil, reason: str) -> None:
    engine, one = broken()
    stream = one.open()
    assert stream.feed(b"fine\n").out == b"fine\n"
    engine.spoil = spoil
    with pytest.raises(Withheld) as caught:
        stream.feed(LINE)
    assert caught.value.reason == reason
    engine.spoil = lambda hits, data: hits
    for again in (lambda: stream.feed(b"fine\n"), stream.close):
        with pytest.raises(Withheld) as dead:
            again()
        assert dead.value.reason == reason
    assert one.open().feed(b"fine\n").out == b"fine\n"


def test_an_error_tells_no_value_in_its_text_cause_or_context() -> None:
    engine, one = broken()
    engine.spoil = raising
    for act in (lambda: one.open().feed(LINE), lambda: one.value("x", LINE)):
        with pytest.raises(Withheld) as caught:
            act()
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert SECRET.decode() not in "".join(traceback.format_exception(caught.value))
        assert SECRET.decode() not in repr(caught.value)


def test_a_failing_self_test_serves_nothing() -> None:
    engine = Broken()
    engine.spoil = lambda hits, data: [hit for hit in hits if hit[2] == len(data)]
    with pytest.raises(Withheld) as caught:
        Redactor.build([profile_named("secrets@1")], packs(), engine=engine, keys=None, marker=MARKER)
    assert caught.value.reason == "selftest_failed"
    assert caught.value.rule is not None


def test_a_missing_or_short_key_is_refused_before_anything_is_read() -> None:
    profile = [profile_named("pii-default@1")]
    with pytest.raises(Withheld, match="key_missing"):
        Redactor.build(profile, packs(), engine=engine_named("hyperscan"), keys=None, marker=MARKER)
    short = Redactor.build(profile, packs(), engine=engine_named("hyperscan"), keys=Keys(b"short"), marker=MARKER)
    with pytest.raises(Withheld, match="key_missing"):
        short.open().feed(b"a@b.example\n")


def test_a_profile_with_a_pack_that_is_not_there_is_refused() -> None:
    profile = parse_profile(b"profile: p\nversion: 1\npacks: [secrets@999]\n")
    with pytest.raises(Withheld, match="profile_invalid"):
        Redactor.build([profile], packs(), engine=engine_named("hyperscan"), keys=None, marker=MARKER)
    with pytest.raises(Withheld, match="profile_invalid"):
        Redactor.build([], packs(), engine=engine_named("hyperscan"), keys=None, marker=MARKER)


def test_a_short_marker_is_refused() -> None:
    with pytest.raises(Withheld):
        Redactor.build([profile_named("raw@1")], packs(), engine=engine_named("python"), keys=None, marker=b"short")


def test_a_missed_deadline_ends_a_stream_from_outside() -> None:
    stream = redactor().open()
    stream.feed(b"half a li")
    stream.withhold("deadline")
    with pytest.raises(Withheld, match="deadline"):
        stream.feed(b"ne\n")


def test_the_reasons_are_a_closed_list() -> None:
    assert {
        "engine_error", "canary_lost", "rule_error", "key_missing", "profile_invalid", "selftest_failed", "deadline",
    } == REASONS  # fmt: skip


def test_keys_do_not_show_themselves() -> None:
    assert "hunter" not in repr(Keys(b"hunter2hunter2hunter2hunter2hunt"))
