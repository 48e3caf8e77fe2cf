"""How the benchmark of redaction counts: what is left of a value, what is masked in vain, what fails the run."""

import pytest
from bench.redacting import goals, quality
from bench.redacting.corpus import Corpus, Label, generated
from bench.redacting.goals import Row
from bench.redacting.timing import line_chunks

from loglease.redaction import Keys, redactor_for

TEXT = b"user 4111-1111 id 9f86d081\nkey AbCd\nkey EfGh\n"
CARD = Label(5, 14, "card", 1)
KEY = (Label(31, 35, "private-key", 2), Label(40, 44, "private-key", 2))
LOOK_ALIKE = Label(18, 26, "hex", 3)
CORPUS = Corpus(TEXT, (CARD, *KEY), (LOOK_ALIKE,))
WHOLE = [(5, 14, "card"), (31, 35, "key"), (40, 44, "key")]


def redactor(engine="hyperscan", profile="pii-default@1"):
    return redactor_for([profile], keys=Keys(bytes(32)), marker=bytes(16), engine=engine)


def test_all_is_well_where_spans_cover_every_label():
    found = quality.judged(CORPUS, WHOLE)
    assert (found.recall, found.precision, found.touched_share) == (1, 1, 0)


def test_a_value_of_which_one_letter_is_left_is_missed():
    found = quality.judged(CORPUS, [(5, 13, "card"), *WHOLE[1:]])
    assert found.missed == {"card": 1}
    assert found.recall == 0.5


def test_a_separator_may_be_left():
    assert quality.judged(CORPUS, [(5, 9, "card"), (10, 14, "card"), *WHOLE[1:]]).recall == 1


def test_a_key_of_which_one_line_is_left_is_missed_once():
    found = quality.judged(CORPUS, WHOLE[:2])
    assert found.missed == {"private-key": 1}
    assert found.values == 2


def test_a_span_beside_all_planted_values_is_in_vain_and_touches_what_is_there():
    found = quality.judged(CORPUS, [*WHOLE, (20, 22, "token")])
    assert found.vain == {"token": 1}
    assert found.precision == 0.75
    assert found.touched == {"hex": 1}


def test_counts_of_corpora_add_up():
    total = quality.Judged()
    total.add(quality.judged(CORPUS, WHOLE))
    total.add(quality.judged(CORPUS, []))
    assert (total.values, total.recall, total.spans, total.missed["card"]) == (4, 0.5, 3, 1)


def test_masks_stand_where_the_values_stood_in_every_chunk(monkeypatch):
    monkeypatch.setattr(quality, "line_chunks", lambda data: line_chunks(data, 64))
    text = b"a plain line\nuser anna@example.com\n" * 5
    found = quality.masks_of(redactor(), text)
    assert [text[mask.start : mask.end] for mask in found] == [b"anna@example.com"] * 5


def test_chunks_are_whole_lines_and_together_the_text():
    text = b"one\ntwo\n" + b"x" * 40 + b"\nthree"
    chunks = line_chunks(text, 9)
    assert b"".join(chunks) == text
    assert chunks == [b"one\ntwo\n", b"x" * 40 + b"\n", b"three"]


def test_the_oracle_is_asked_and_differs_where_a_mask_is_missing(monkeypatch):
    text = b"user anna@example.com\nfrom 8.8.4.4\n"
    assert quality.oracle_difference(redactor(), text) == 0
    out = quality.redacted(redactor(), text)
    monkeypatch.setattr(quality, "redacted", lambda *_: out.splitlines()[0] + b"\nfrom 8.8.4.4\n")
    assert quality.oracle_difference(redactor(), text) == len(out.splitlines()[1])


def test_texts_are_compared_line_by_line():
    assert quality.differing(b"one\ntwo\n", b"one\ntwo\n") == 0
    assert quality.differing(b"one\ntwo\n", b"one\n2\n") == 3
    assert quality.differing(b"one\n", b"one\nmore") == 4


@pytest.mark.parametrize(
    ("measured", "is_most", "verdict"),
    [
        (0.9, False, "target"),
        (0.6, False, "must"),
        (0.4, False, "MISSED"),
        (0.4, True, "target"),
        (0.6, True, "must"),
        (0.9, True, "MISSED"),
    ],
)
def test_a_row_says_which_bound_holds(measured, is_most, verdict):
    must, target = (0.7, 0.5) if is_most else (0.5, 0.7)
    row = Row("G0", "what", measured, must, target, is_most=is_most)
    assert row.verdict == verdict
    assert (goals.missed([row]) == [row]) == (verdict == "MISSED")
    assert verdict in goals.table([row])


def test_nothing_that_is_planted_is_left_by_the_default_profile():
    corpus = generated("full", 2_000, seed=5)
    found = quality.judged(corpus, [(*mask[:2], mask.rule) for mask in quality.masks_of(redactor(), corpus.text)])
    assert found.missed == {}
