"""The carrier matrix: whatever dress a secret travels in, none of its letters and digits is left."""

import pytest
from tests.redaction.carriers import CARRIERS, KINDS, Dressed, Kind, cell, is_masked, matrix, report, summary
from tests.redaction.corpus import redactor, whole

CELLS = [(carrier, kind) for carrier, (demands, _) in CARRIERS.items() for kind in demands]


@pytest.mark.parametrize(("carrier", "kind"), CELLS, ids=lambda one: one.replace(" ", "_").replace("\\", ""))
def test_a_carrier_hides_nothing(carrier: str, kind: Kind) -> None:
    for seed in range(3):
        found = cell(redactor(), carrier, kind, seed=seed, values=3)
        assert found.tried
        assert not found.leaked


@pytest.mark.parametrize("engine", ["re2", "python"])
def test_every_engine_masks_the_whole_matrix(engine: str) -> None:
    cells = matrix(redactor(engine), seed=7, values=1)
    assert [place for place, one in cells.items() if one.leaked] == []


def test_the_matrix_has_every_cell_and_counts_those_that_leak() -> None:
    nothing = summary(matrix(redactor(profile="raw@1"), values=1))
    assert nothing == {"must": 157, "must masked": 0, "should": 16, "should masked": 0}
    some = matrix(redactor(profile="secrets@1"), values=1)
    assert some["plain", "password"].leaked == ()
    assert some["plain", "card"].leaked != ()
    assert "173 cells" in report(some)
    assert "| plain | yes | **NO** |" in report(some)
    assert len({kind for _, kind in some}) == len(KINDS)


@pytest.mark.parametrize(
    ("dressed", "masked"),
    [
        (Dressed("password=", "hunter2xyz", " end"), True),
        (Dressed("password=hun", "ter2xyz", " end"), True),
        (Dressed("password=hunter2xyz ", "en", "d"), False),
        (Dressed("x", "y", "z"), False),
    ],
)
def test_what_counts_as_masked(dressed: Dressed, *, masked: bool) -> None:
    assert is_masked(whole(dressed.line.encode()), dressed) is masked
