"""Every verdict of the published Merkle vectors is ours: what holds there holds here, and what does not does not."""

from __future__ import annotations

import pytest
from tests.audit.merkle_vectors import ABSENT, folder, hashes, root, vectors

from loglease.audit.merkle import ProofInvalid, check_consistency, check_inclusion

pytestmark = pytest.mark.skipif(folder() is None, reason=ABSENT)


def test_inclusion() -> None:
    count = {True: 0, False: 0}
    for name, one in vectors("inclusion"):
        try:
            check_inclusion(root(one, "leafHash"), one["leafIdx"], one["treeSize"], root(one, "root"), hashes(one))
            wrong = False
        except ProofInvalid:
            wrong = True
        assert wrong == one["wantErr"], name
        count[wrong] += 1
    assert count[False] >= 5
    assert count[True] >= 90


def test_consistency() -> None:
    count = {True: 0, False: 0}
    for name, one in vectors("consistency"):
        try:
            check_consistency(one["size1"], root(one, "root1"), one["size2"], root(one, "root2"), hashes(one))
            wrong = False
        except ProofInvalid:
            wrong = True
        assert wrong == one["wantErr"], name
        if one["size1"] == 0:
            assert wrong, f"{name}: of an empty log there is nothing to prove"
        count[wrong] += 1
    assert count[False] >= 3
    assert count[True] >= 90
