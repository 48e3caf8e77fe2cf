from __future__ import annotations

import re

from loglease.model.session import CloseWhy
from loglease.server.pages.static_files import FOLDER


def test_the_viewer_has_a_sentence_for_every_reason_of_a_session() -> None:
    script = (FOLDER / "viewer.js").read_text()
    table = script.partition("const WHY = {")[2].partition("\n  };")[0]
    keeps = set(re.findall(r'"(\w+)"', script.partition("ENDS_THAT_KEEP = new Set([")[2].partition("]")[0]))
    said = set(re.findall(r"\b(\w+): [\"`]", table))
    assert said | keeps == set(CloseWhy)
    assert not said & keeps
