"""When a notice is tried again, and when nobody tries any more."""

from __future__ import annotations

from loglease.model.ids import NoticeId
from loglease.model.instant import MICROSECONDS, Instant
from loglease.model.notice import Notice, NoticeState, failed, settled, tried_anew

START = Instant(1_000 * MICROSECONDS)


def notice() -> Notice:
    return Notice(
        id=NoticeId("ntc_1"), event="request.submitted", fact="ent_1", about="req_1", recipient="prn_bob",
        channel="email", at=START, next_at=START,
    )  # fmt: skip


def test_pauses_double_to_a_quarter_of_an_hour_and_end_after_a_day() -> None:
    one, now, pauses = notice(), START, []
    while one.state is NoticeState.WAITING:
        one = failed(one, error="no answer", now=now)
        pauses.append((one.next_at - now) // MICROSECONDS)
        now = one.next_at
    assert pauses[:11] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]
    assert set(pauses[11:]) == {900}
    assert one.state is NoticeState.DEAD
    assert 86_400 - 900 <= (now - START) // MICROSECONDS <= 86_400 + 900
    assert one.error == "no answer"


def test_what_cannot_succeed_is_not_tried_again() -> None:
    assert failed(notice(), error="refused", now=START, final=True).state is NoticeState.DEAD


def test_a_dead_one_gets_another_day_and_a_sent_one_has_no_error() -> None:
    dead = failed(notice(), error="refused", now=START, final=True)
    later = Instant(START + 90_000 * MICROSECONDS)
    again = tried_anew(dead, later)
    assert (again.state, again.attempts, again.next_at, again.error) == (NoticeState.WAITING, 0, later, None)
    assert failed(again, error="no answer", now=later).state is NoticeState.WAITING
    assert settled(dead, NoticeState.SENT).error is None
