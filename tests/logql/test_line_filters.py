"""What line filters let through; tokens are atoms."""

from __future__ import annotations

import pytest
from tests.logql.running import run

LINE = "to ⟦email:q3f7k2p9xa⟧ from 10.0.0.7:80 err\n  at é"


@pytest.mark.parametrize(
    ("stage", "passes"),
    [
        ('|= "err"', True),
        ('|= "ERR"', False),
        ('|= "email"', False),
        ('!= "email"', True),
        ('|= "⟦email:q3f7k2p9xa⟧"', True),
        ('|= "o ⟦email:q3f7k2p9xa⟧ f"', True),
        ('|= "⟦email"', False),
        ('|= ""', True),
        ('|= "x" or "err"', True),
        ('!= "x" or "err"', False),
        ('|~ "email|q3f7"', False),
        ('|~ "to ⟦⟧ from"', True),
        ('|~ "err.*at"', False),
        ('|~ "(?s)err.*at"', True),
        ('|~ "^to"', True),
        ('!~ "^from"', True),
        ('|= ip("10.0.0.0/8")', True),
        ('!= ip("10.0.0.0/8")', False),
        ('|= ip("10.0.0.8-10.0.0.9")', False),
        ('|= "x" or ip("10.0.0.7")', True),
        ('|> "to <_> err<_>"', True),
        ('|> "<_>email<_>"', False),
        ('|> "to <_>"', True),
        ('|> "<_>é"', True),
        ('|> "<_>é<_>"', False),
        ('|> "to"', False),
        ('!> "to"', True),
    ],
)
def test_line_filters(stage, passes):
    assert (run("{} " + stage, LINE) is not None) is passes


def test_tokens_are_found_in_a_line_that_a_stage_has_written():
    assert run('{} | line_format "x {{__line__}}" |= "email"', LINE) is None
    assert run('{} | line_format "x {{__line__}}" |= "⟦email:q3f7k2p9xa⟧"', LINE) is not None
