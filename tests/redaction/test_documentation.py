"""The reference lists every pack with its classes, and every validator."""

import re
from pathlib import Path

import pytest

from loglease.redaction import Pack, packs
from loglease.redaction.validators import VALIDATORS

REFERENCE = (Path(__file__).parents[2] / "docs/reference/redaction.md").read_text()


@pytest.mark.parametrize("pack", packs(), ids=lambda pack: pack.name)
def test_a_pack_is_listed_with_its_classes(pack: Pack) -> None:
    classes = ", ".join(f"`{cls}`" for cls in sorted({rule.cls for rule in pack.rules}))
    assert f"| `{pack.name}` | {classes} |" in REFERENCE


def test_every_validator_is_explained() -> None:
    assert set(VALIDATORS) <= set(re.findall(r"`([a-z0-9-]+)", REFERENCE))
