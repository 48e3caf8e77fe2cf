"""Which bundle comes into force: signed by enough people, newer than any before, in its time, with passing tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from tests.api.world import WISH, World, settings_in, world_in
from tests.fakes.signed import DOCUMENTS, changed, put_bundle, signed_settings

from loglease.model.instant import after
from loglease.policy.manifest import SIGNATURES
from loglease.server.bundles import BundleRefused, require_passing
from loglease.server.clock import SystemClock
from loglease.server.health import Check, checks
from loglease.server.local import findings
from loglease.server.policies import PolicyInvalid
from loglease.server.reload import reload_rules

LONGER = changed("max: 1h", "max: 2h")


def place(folder: Path) -> Path:
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    return folder / "data" / "policy"


async def entries(world: World, kind: str) -> list[dict]:
    def query(tx):
        return [orjson.loads(one.content)["data"] for one in tx.entries.page(types=frozenset({kind}))]

    return (await world.services.store.read(query))[::-1]


async def check(world: World) -> Check:
    [found] = [one for one in await checks(world.services) if one.name == "policy"]
    return found


async def test_a_signed_bundle_is_in_force_and_on_the_record(tmp_path: Path) -> None:
    put_bundle(place(tmp_path), 7)
    async with world_in(tmp_path, **signed_settings()) as world:
        rules = world.services.rules.current
        assert rules.revision == 7
        [entry] = await entries(world, "policy.loaded")
        assert (entry["trust"], entry["signers"], entry["needed"], entry["revision"]) == (
            "signed",
            ["alice", "bob"],
            2,
            7,
        )
        put_bundle(place(tmp_path), 9, documents=LONGER)
        assert await reload_rules(world.services)
        assert world.services.rules.current.revision == 9
        put_bundle(place(tmp_path), 10)
        assert await reload_rules(world.services), "old content under a new revision is how one goes back"
        assert world.services.rules.current.bundle_sha256 == rules.bundle_sha256
        assert [one["revision"] for one in await entries(world, "policy.loaded")] == [7, 9, 10]
        assert (await check(world)).ok


async def test_what_nobody_signs_is_recorded_as_such(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        [entry] = await entries(world, "policy.loaded")
        assert (entry["trust"], entry["signers"], entry["reviewers"], entry["needed"]) == ("local", [], [], 0)


def stripped(folder: Path) -> None:
    (folder / SIGNATURES).unlink()


def one_signature(folder: Path) -> None:
    put_bundle(folder, 8, by=("alice",))


def wrong_key(folder: Path) -> None:
    put_bundle(folder, 8, by=("alice", "mallory"))


def old(folder: Path) -> None:
    put_bundle(folder, 6)


def same_revision(folder: Path) -> None:
    put_bundle(folder, 7, documents=LONGER)


def same_revision_for_longer(folder: Path) -> None:
    put_bundle(folder, 7, expires=after(SystemClock().now(), 1e6))


def extra(folder: Path) -> None:
    (folder / "more.yaml").write_bytes(LONGER["policy.yaml"])


def extra_of_another_name(folder: Path) -> None:
    (folder / "README").write_bytes(b"")


def missing(folder: Path) -> None:
    (folder / "policy.test.yaml").unlink()


def one_byte(folder: Path) -> None:
    (folder / "policy.yaml").write_bytes(DOCUMENTS["policy.yaml"].replace(b"1h", b"9h"))


def link(folder: Path) -> None:
    file = folder / "policy.yaml"
    file.rename(folder.parent / "moved.yaml")
    file.symlink_to("../moved.yaml")


def policy_among_tests(folder: Path) -> None:
    put_bundle(folder, 8, documents=DOCUMENTS | {"b.test.yaml": DOCUMENTS["policy.yaml"].replace(b"default", b"other")})


def test_among_policies(folder: Path) -> None:
    put_bundle(
        folder, 8, documents=DOCUMENTS | {"b.yaml": DOCUMENTS["policy.test.yaml"].replace(b"id: default", b"id: other")}
    )


test_among_policies.__test__ = False  # type: ignore[attr-defined]


def early(folder: Path) -> None:
    put_bundle(folder, 8, not_before=after(SystemClock().now(), 1e6))


def late(folder: Path) -> None:
    put_bundle(folder, 8, expires=after(SystemClock().now(), -1))


def failing(folder: Path) -> None:
    put_bundle(folder, 8, documents=DOCUMENTS | LONGER)


TRICKS = {
    stripped: "P507",
    one_signature: "P507",
    wrong_key: "P507",
    old: "P510",
    same_revision: "P511",
    same_revision_for_longer: "P511",
    extra: "P504",
    extra_of_another_name: "P504",
    missing: "P503",
    one_byte: "P505",
    link: "P514",
    policy_among_tests: "policy_invalid",
    test_among_policies: "policy_invalid",
    early: "P508",
    late: "P509",
    failing: "P512",
}
NAMED = pytest.mark.parametrize(("trick", "code"), TRICKS.items(), ids=[one.__name__ for one in TRICKS])


@pytest.mark.attack("PO-02")
@NAMED
async def test_a_bad_bundle_leaves_the_last_good_one_and_all_can_see_it(
    tmp_path: Path, trick: Callable[[Path], None], code: str
) -> None:
    put_bundle(place(tmp_path), 7)
    async with world_in(tmp_path, **signed_settings()) as world:
        before = world.services.rules.current
        trick(place(tmp_path))
        assert not await reload_rules(world.services)
        assert world.services.rules.current is before
        found = await check(world)
        assert (found.ok, found.decisive) == (False, False)
        assert "Bundle revision 7 is in force. A newer one is refused." in found.detail
        [entry] = await entries(world, "policy.refused")
        assert entry["error"] == code
        put_bundle(place(tmp_path), 8)
        assert await reload_rules(world.services)
        assert (await check(world)).ok


@pytest.mark.attack("PO-02")
@NAMED
async def test_a_server_does_not_start_with_a_bad_bundle(
    tmp_path: Path, trick: Callable[[Path], None], code: str
) -> None:
    put_bundle(place(tmp_path), 7)
    async with world_in(tmp_path, **signed_settings()):
        pass
    trick(place(tmp_path))
    with pytest.raises(PolicyInvalid) as refused:
        async with world_in(tmp_path, **signed_settings()):
            pass
    if code != "policy_invalid":
        assert refused.value.faults[0].code == code


async def test_a_directory_that_is_gone_does_not_bring_back_the_policy_that_ships(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="no directory"):
        async with world_in(tmp_path, **signed_settings()):
            pass


async def test_a_bundle_that_was_accepted_is_taken_at_each_start(tmp_path: Path) -> None:
    put_bundle(place(tmp_path), 7, expires=after(SystemClock().now(), 1e6))
    for _ in range(2):
        async with world_in(tmp_path, **signed_settings()) as world:
            assert len(await entries(world, "policy.loaded")) == 1


async def test_revisions_go_on_where_the_trust_changes(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        assert world.services.rules.current.revision == 1
    put_bundle(place(tmp_path), 1, documents=LONGER)
    with pytest.raises(BundleRefused):
        async with world_in(tmp_path, **signed_settings()):
            pass
    put_bundle(place(tmp_path), 2, documents=LONGER)
    async with world_in(tmp_path, **signed_settings()) as world:
        assert world.services.rules.current.revision == 2
    async with world_in(tmp_path) as world:
        assert world.services.rules.current.revision == 2


async def test_a_bundle_holds_from_not_before_to_expires(tmp_path: Path) -> None:
    put_bundle(place(tmp_path), 7)
    async with world_in(tmp_path, **signed_settings()) as world:
        await world.add("alice")
        await world.add("bob", groups=("approvers",))
        start = after(world.clock.now(), 1_000)
        put_bundle(place(tmp_path), 8, not_before=start, expires=after(start, 1_000), documents=LONGER)
        assert not await reload_rules(world.services)
        assert "P508" in [one["error"] for one in await entries(world, "policy.refused")]
        world.clock.later_s = 1_100
        assert await reload_rules(world.services)
        assert "until 20" in (await check(world)).detail
        assert (await world.created("/requests", WISH, await world.sign_in("alice"))).status_code == 201
        world.clock.later_s = 2_100
        alice = await world.sign_in("alice")
        answer = await world.created("/requests", WISH, alice)
        assert (answer.status_code, answer.json()["code"]) == (403, "policy_denied")
        assert "The policy expired at" in answer.json()["detail"]
        found = await check(world)
        assert (found.ok, found.decisive, "nothing new is granted" in found.detail) == (False, False, True)
        assert await reload_rules(world.services), "that it is read again changes nothing"
        put_bundle(place(tmp_path), 9)
        assert await reload_rules(world.services)
        assert (await world.created("/requests", WISH, alice)).status_code == 201


async def test_tests_that_take_too_long_are_stopped(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        instants = iter([0.0, 10.0, 31.0])
        with pytest.raises(BundleRefused) as refused:
            require_passing(world.services.rules.current, 8, seconds=lambda: next(instants))
        assert (refused.value.faults[0].code, refused.value.revision) == ("P513", 8)


NEVER = b"""api: loglease/v1
kind: PolicyTest
id: limits
now: 2026-11-23T09:30:00Z
people: {alice: {groups: []}}
never:
  - {if: 'CONDITION', because: it must not}
"""


def never(condition: bytes) -> dict[str, bytes]:
    return DOCUMENTS | {"limits.test.yaml": NEVER.replace(b"CONDITION", condition)}


async def test_what_must_never_happen_is_searched_for_before_documents_are_taken(tmp_path: Path) -> None:
    put_bundle(place(tmp_path), 7)
    async with world_in(tmp_path, **signed_settings()) as world:
        put_bundle(place(tmp_path), 8, documents=never(b'out.outcome == "auto"'))
        assert await reload_rules(world.services)
        put_bundle(place(tmp_path), 9, documents=never(b'out.outcome == "review" && req.live'))
        assert not await reload_rules(world.services)
        assert world.services.rules.current.revision == 8
        [entry] = await entries(world, "policy.refused")
        assert "P512" in str(entry)


async def test_a_search_that_takes_too_long_is_stopped_wherever_it_is(tmp_path: Path) -> None:
    put_bundle(place(tmp_path), 7)
    async with world_in(tmp_path, **signed_settings()) as world:
        put_bundle(place(tmp_path), 8, documents=never(b'out.outcome == "auto"'))
        assert await reload_rules(world.services)
        rules = world.services.rules.current
        cases = sum(len(test.cases) for test in rules.bundle.tests)
        asked = itertools.count()
        with pytest.raises(BundleRefused) as refused:
            require_passing(rules, 8, seconds=lambda: 31.0 if next(asked) > cases + 3 else 0.0)
        assert refused.value.faults[0].code == "P513"


def test_doctor_says_who_signed_and_what_is_wrong(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, **signed_settings())
    put_bundle(place(tmp_path), 7)
    file = tmp_path / "loglease.toml"
    keys = "\n".join(f"{name} = {orjson.dumps(key).decode()}" for name, key in settings.policy.keys.items())
    file.write_text(
        f'data_dir = "{settings.data_dir}"\n[policy]\ntrust = "signed"\nneeded = 2\n[policy.keys]\n{keys}\n'
    )

    def found() -> tuple[str, str]:
        [one] = [one for one in findings(config=file) if one.name == "policy"]
        return one.grade, one.detail

    grade, detail = found()
    assert (grade, detail.endswith("revision 7, signed by alice, bob.")) == ("ok", True)
    extra(place(tmp_path))
    assert found() == ("fail", "more.yaml:1:1: the manifest does not list this file")
