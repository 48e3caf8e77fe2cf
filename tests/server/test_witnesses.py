"""A server whose log is witnessed: by real witnesses, over real sockets."""

from __future__ import annotations

import asyncio
import io
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.api.world import WISH, World, settings_in, world_in
from tests.audit.test_witness import Told
from tests.audit.test_witness_server import serving
from tests.fakes.grown_log import ORIGIN
from tests.fakes.numbered import flush_failed

from loglease.audit.note import COSIGNATURE, SignedNote, SigningKey
from loglease.audit.tiles import CHECKPOINT
from loglease.audit.trust_policy import TrustPolicy, open_witnessed, quorum_met
from loglease.audit.witness import Witness, WitnessState
from loglease.audit.witnessing import WitnessAhead
from loglease.cli.main import run_command
from loglease.server.health import checks
from loglease.server.local_keys import rotated_log_key
from loglease.server.publishing import LOG_FOLDER
from loglease.server.settings import SettingsInvalid

LOG_KEY = SigningKey(ORIGIN, b"k" * 32)
WITNESS_KEY = SigningKey("witness.example/w1", b"w" * 32, COSIGNATURE)


class Place:
    """A folder with the log's key, a policy, and a witness that can be started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        key = folder / "log.key"
        key.write_text(LOG_KEY.text() + "\n")
        key.chmod(0o600)
        self.state = folder / "witness.state"
        WitnessState.make(self.state, flush_failed=flush_failed)
        self.write_policy("http://127.0.0.1:1")

    @contextmanager
    def witness(self) -> Iterator[Witness]:
        state = WitnessState(self.state, flush_failed=flush_failed)
        witness = Witness(
            key=WITNESS_KEY, logs=[LOG_KEY.verifier], state=state, now_s=lambda: 1_790_000_000, tell=Told()
        )
        try:
            with serving(witness) as server:
                self.write_policy(server.url)
                yield witness
        finally:
            state.close()

    def write_policy(self, url: str, key: SigningKey = WITNESS_KEY) -> None:
        text = f"log {LOG_KEY.verifier}\nwitness one {key.verifier} {url}\nquorum one\n"
        (self.folder / "witnesses").write_text(text)

    def audit(self, **more: Any) -> dict[str, Any]:
        key, policy = str(self.folder / "log.key"), str(self.folder / "witnesses")
        return {"key_file": key, "witness_policy": policy, "witness_private_network": True, **more}

    @property
    def policy(self) -> TrustPolicy:
        return TrustPolicy.parse((self.folder / "witnesses").read_bytes())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def verified(log: str, policy: str) -> int:
    """The exit code of a stranger's command."""
    words = ["audit", "verify", log, "--policy", policy]
    return run_command(words, environment={}, stdin=io.StringIO(), stdout=io.StringIO(), stderr=io.StringIO())


def published(world: World) -> bytes:
    return (world.services.data_dir / LOG_FOLDER / CHECKPOINT).read_bytes()


async def size_of(world: World) -> int:
    return await world.services.store.read(lambda tx: tx.entries.size())


async def test_what_is_acknowledged_is_witnessed(place: Place) -> None:
    with place.witness() as witness:
        async with world_in(place.folder, audit=place.audit(ack="witnessed")) as world:
            alice = await world.add("alice")
            await world.add("bob", groups=("approvers",))
            answer = await world.created("/requests", WISH, alice)
            assert answer.status_code == 201
            head = open_witnessed(published(world), place.policy)
            assert head.size == await size_of(world)
            assert witness.newest is not None
            [check] = [one for one in await checks(world.services) if one.name == "witness one"]
            assert (check.ok, check.detail) == (True, f"It has cosigned {head.size} entries.")
    log, policy = str(place.folder / "data" / LOG_FOLDER), str(place.folder / "witnesses")
    assert verified(log, policy) == 0
    place.write_policy("", key=SigningKey("witness.example/w2", b"x" * 32, COSIGNATURE))
    assert verified(log, policy) == 1, "another witness has not cosigned it"


async def test_without_the_quorum_nothing_is_acknowledged_and_revocations_go_on(
    place: Place,
) -> None:
    with place.witness():
        async with world_in(place.folder, audit=place.audit()) as world:
            alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
            grant = await world.approved(alice, bob)
    with ExitStack() as stack:
        stack.enter_context(place.witness())
        async with world_in(place.folder, audit=place.audit(ack="witnessed")) as world:
            alice, bob = await world.sign_in("alice"), await world.sign_in("bob")
            stack.close()
            world.services.sequencer._limit_s = 0.05
            refused = await world.created(
                "/requests", {**WISH, "reason": "checkout still fails"}, alice, **{"Idempotency-Key": "new"}
            )
            assert (refused.status_code, refused.json().get("code")) == (503, "audit_unavailable"), refused.text
            revoked = await world.client.post(f"/grants/{grant}/revoke", json={"reason": "leak"}, headers=bob)
            assert revoked.status_code == 200, revoked.text
            [standing] = world.services.witnessing.witnesses.all
            await world.services.publishing.integrator.finish()
            while standing.fault is None:
                await world.services.publishing.publisher.publish()
                await asyncio.sleep(0.01)
            [check] = [one for one in await checks(world.services) if one.name == "witness one"]
            assert not check.ok
            assert not check.decisive


async def test_a_witness_that_comes_back_cosigns_what_it_missed(place: Place) -> None:
    async with world_in(place.folder, audit=place.audit()) as world:
        await world.add("alice")
        await world.services.publishing.integrator.finish()
        await world.services.publishing.publisher.publish()
        assert not quorum_met(SignedNote.parse(published(world)), place.policy)
        with place.witness():
            [standing] = world.services.witnessing.witnesses.all
            standing.witness = standing.witness._replace(url=place.policy.witnesses["one"].url)
            world.clock.later_s += 60
            await world.services.publishing.publisher.publish()
            assert open_witnessed(published(world), place.policy).size == await size_of(world)
            written = (world.services.data_dir / LOG_FOLDER / CHECKPOINT).stat().st_mtime_ns
            await world.services.publishing.publisher.publish()
            assert (world.services.data_dir / LOG_FOLDER / CHECKPOINT).stat().st_mtime_ns == written
    async with world_in(place.folder, audit=place.audit()) as world:
        assert world.services.publishing.head is not None


async def test_witnesses_that_know_the_old_key_go_on_while_both_sign(place: Place) -> None:
    with place.witness():
        async with world_in(place.folder, audit=place.audit(ack="witnessed")):
            pass
        rotated = await rotated_log_key(settings_in(place.folder, audit=place.audit(ack="witnessed")))
        async with world_in(place.folder, audit=place.audit(ack="witnessed")) as world:
            await world.add("alice")
            assert world.services.witnessing is not None
            assert world.services.witnessing.witnesses.witnessed == await size_of(world)
            assert len(SignedNote.parse(published(world)).signatures) == 3, "new key, old key, witness"
        with pytest.raises(SettingsInvalid, match="was rotated already"):
            await rotated_log_key(settings_in(place.folder, audit=place.audit()))
        await rotated_log_key(settings_in(place.folder, audit=place.audit()), end_overlap=True)
        with pytest.raises(SettingsInvalid, match="has no line for this log") as caught:
            async with world_in(place.folder, audit=place.audit()):
                pass
        assert str(rotated.old) not in str(caught.value.next_step)


@pytest.mark.sqlite
async def test_a_rollback_of_everything_here_is_found_by_the_witness(place: Place) -> None:
    """Database, log directory and own memory are put back together; only others remember more."""
    with place.witness():
        async with world_in(place.folder, audit=place.audit()) as world:
            await world.add("alice")
        shutil.copytree(place.folder / "data", place.folder / "copy")
        async with world_in(place.folder, audit=place.audit()) as world:
            await world.add("bob")
            before = await size_of(world)
        shutil.rmtree(place.folder / "data")
        (place.folder / "copy").rename(place.folder / "data")
        with pytest.raises(WitnessAhead, match="one has seen") as refused:
            async with world_in(place.folder, audit=place.audit()):
                raise AssertionError
        assert refused.value.known > before, "the end of the process was recorded, too"


@pytest.mark.sqlite
async def test_a_fresh_database_under_a_known_key_is_found_by_the_witness(place: Place) -> None:
    with place.witness():
        async with world_in(place.folder, audit=place.audit()) as world:
            await world.add("alice")
        shutil.rmtree(place.folder / "data")
        with pytest.raises(WitnessAhead, match="and it has 0"):
            async with world_in(place.folder, audit=place.audit()):
                raise AssertionError


async def test_witnesses_that_are_silent_hold_up_no_start(place: Place) -> None:
    async with world_in(place.folder, audit=place.audit()) as world:
        assert await world.add("alice")


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (None, "cannot be read"),
        ("rubbish\n", "Line 1"),
        (f"witness one {WITNESS_KEY.verifier}\nquorum one\n", "too few of them have an address"),
        (f"witness one {WITNESS_KEY.verifier} ftp://x\nquorum one\n", "'one' is none such as https"),
        (f"log {SigningKey('x/1', bytes(32)).verifier}\nquorum none\n", "no line for this log"),
    ],
)
async def test_policies_that_cannot_work_are_refused_at_the_start(place: Place, policy: str | None, told: str) -> None:
    if policy is None:
        (place.folder / "witnesses").unlink()
    else:
        (place.folder / "witnesses").write_text(policy)
    with pytest.raises(SettingsInvalid, match=told):
        async with world_in(place.folder, audit=place.audit()):
            raise AssertionError


def test_witnessed_needs_witnesses(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        settings_in(tmp_path, audit={"ack": "witnessed"})
    assert "witness_policy" in refused.value.faults[0].detail
