"""A log asks real witnesses over real sockets, and believes none of them."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.audit.test_witness import Told
from tests.audit.test_witness_server import serving
from tests.fakes.clock import FakeClock
from tests.fakes.grown_log import GrownLog
from tests.fakes.numbered import flush_failed

from loglease.audit.merkle import Node
from loglease.audit.note import COSIGNATURE, SignedNote, SigningKey, cosign, signers_of
from loglease.audit.tiles import Tile, TileInvalid
from loglease.audit.trust_policy import TrustPolicy, TrustPolicyInvalid, open_witnessed, quorum_met
from loglease.audit.witness import Witness, WitnessState
from loglease.audit.witness_protocol import SIZE_TYPE, lines_of
from loglease.audit.witnessing import NoReply, Reply, SplitSeen, WitnessAhead, Witnesses

LOG = GrownLog()
FORK = GrownLog(forked_at=100)
KEYS = [SigningKey(f"witness.example/w{place}", bytes([place]) * 32, COSIGNATURE) for place in (1, 2, 3)]
Read = Callable[[Tile], bytes]


async def post(url: str, body: bytes) -> Reply:
    def asked() -> Reply:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=20)
        try:
            connection.request("POST", parts.path, body)
            got = connection.getresponse()
            return Reply(got.status, got.getheader("Content-Type") or "", got.read())
        except OSError as error:
            raise NoReply(str(error)) from error
        finally:
            connection.close()

    return await asyncio.to_thread(asked)


def tiles_of_log(log: GrownLog) -> Read:
    def read(tile: Tile) -> bytes:
        begin = tile.number << 8
        hashes = log.leaves[begin : begin + tile.width] if tile.level == 0 else []
        if tile.level == 1:
            hashes = log.hashes([Node(8, index) for index in range(begin, begin + tile.width)])
        return b"".join(hashes)

    return read


@contextmanager
def witness_of(directory: Path, key: SigningKey) -> Iterator[str]:
    """A witness with its own state, running; yields its address."""
    path = directory / key.verifier.name.replace("/", "_")
    if not path.exists():
        WitnessState.make(path, flush_failed=flush_failed)
    state = WitnessState(path, flush_failed=flush_failed)
    witness = Witness(key=key, logs=[LOG.key.verifier], state=state, now_s=lambda: 1_790_000_000, tell=Told())
    try:
        with serving(witness) as server:
            yield server.url
    finally:
        state.close()


def policy_of(urls: list[str | None], needed: str) -> TrustPolicy:
    lines = [f"log {LOG.key.verifier}"]
    lines += [
        f"witness w{place} {key.verifier} {url or ''}"
        for place, (key, url) in enumerate(zip(KEYS, urls, strict=False), 1)
    ]
    members = " ".join(f"w{place}" for place in range(1, len(urls) + 1))
    return TrustPolicy.parse(
        "\n".join([*lines, f"group all-of-them {needed} {members}", "quorum all-of-them", ""]).encode()
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def asking(clock: FakeClock) -> AsyncIterator[Callable[..., Witnesses]]:
    made: list[Witnesses] = []

    def make(urls: list[str | None], needed: str = "all", *, log: GrownLog = LOG, **more: object) -> Witnesses:
        given = {"post": post, "read": tiles_of_log(log), "wait_s": 20.0, **more}
        made.append(Witnesses(policy_of(urls, needed), log=LOG.key.verifier, clock=clock, **given))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


async def test_a_head_gets_the_cosignatures_of_all(tmp_path: Path, asking: Callable[..., Witnesses]) -> None:
    with ExitStack() as stack:
        witnesses = asking([stack.enter_context(witness_of(tmp_path, key)) for key in KEYS])
        for size in (1, 5, 256, 257, 300):
            note = await witnesses.cosigned(LOG.note(size))
            assert open_witnessed(note, witnesses.policy) == LOG.head(size)
            assert len(SignedNote.parse(note).signatures) == 4
            assert witnesses.is_complete(note)
            assert witnesses.witnessed == size
        assert [(one.known, one.fault) for one in witnesses.all] == [(300, None)] * 3


async def test_one_that_starts_anew_learns_what_the_witness_knows(
    tmp_path: Path, asking: Callable[..., Witnesses]
) -> None:
    with witness_of(tmp_path, KEYS[0]) as url:
        await asking([url]).cosigned(LOG.note(200))
        again = asking([url])
        note = await again.cosigned(LOG.note(300))
        assert quorum_met(SignedNote.parse(note), again.policy)
        same = await asking([url]).cosigned(LOG.note(300))
        assert SignedNote.parse(same).signatures[0] == SignedNote.parse(note).signatures[0]


async def test_who_has_cosigned_is_not_asked_again(
    tmp_path: Path, clock: FakeClock, asking: Callable[..., Witnesses]
) -> None:
    calls: list[str] = []

    async def counted(url: str, body: bytes) -> Reply:
        calls.append(url)
        return await post(url, body)

    with witness_of(tmp_path, KEYS[0]) as url, witness_of(tmp_path, KEYS[1]) as other:
        witnesses = asking([url, "http://127.0.0.1:1"], "any", post=counted)
        note = await witnesses.cosigned(LOG.note(5))
        assert len(SignedNote.parse(note).signatures) == 2
        assert not witnesses.is_complete(note)
        calls.clear()
        assert await witnesses.cosigned(note) == note
        assert not calls, "one has cosigned, and the other is left alone for a while"
        clock.advance(1.01)
        await witnesses.cosigned(note)
        assert calls == ["http://127.0.0.1:1/add-checkpoint"]
        clock.advance(1.01)
        await witnesses.cosigned(note)
        assert len(calls) == 1, "twice as long after the second time"
        clock.advance(1)
        witnesses.all[1].witness = witnesses.all[1].witness._replace(url=other)
        whole = await witnesses.cosigned(note)
        assert len(SignedNote.parse(whole).signatures) == 3
        assert witnesses.is_complete(whole)
        assert witnesses.all[1].failures == 0


async def test_pauses_have_an_end(clock: FakeClock, asking: Callable[..., Witnesses]) -> None:
    witnesses = asking(["http://127.0.0.1:1"])
    for _ in range(40):
        await witnesses.cosigned(LOG.note(5))
        clock.boot = witnesses.all[0].due_ns
    await witnesses.cosigned(LOG.note(5))
    assert witnesses.all[0].due_ns - clock.boot == 60_000_000_000
    assert "w1" in str(witnesses.all[0].fault)
    assert witnesses.witnessed == -1


async def test_a_rollback_is_noticed_at_the_start(tmp_path: Path, asking: Callable[..., Witnesses]) -> None:
    with witness_of(tmp_path, KEYS[0]) as url:
        await asking([url]).cosigned(LOG.note(200))
        with pytest.raises(WitnessAhead, match="w1 has seen 200 entries of this log, and it has 150") as ahead:
            await asking([url]).require_continued(LOG.note(150))
        assert ahead.value.known == 200
        assert "backup" in str(ahead.value.next_step)
        await asking([url]).require_continued(LOG.note(200))
        await asking([url]).require_continued(LOG.note(250))
        await asking(["http://127.0.0.1:1"]).require_continued(LOG.note(1))


async def test_a_split_view_is_found(tmp_path: Path, asking: Callable[..., Witnesses]) -> None:
    """The log's key signs two histories: the witness has seen one, and the other one gets no cosignature."""
    with witness_of(tmp_path, KEYS[0]) as url:
        shown = await asking([url]).cosigned(LOG.note(200))
        for size in (200, 201, 300):
            fork = asking([url], log=FORK)
            note = await fork.cosigned(FORK.note(size))
            assert not quorum_met(SignedNote.parse(note), fork.policy)
            assert isinstance(fork.all[0].fault, SplitSeen)
            with pytest.raises(SplitSeen, match="another history"):
                await asking([url], log=FORK).require_continued(FORK.note(size))
        assert quorum_met(SignedNote.parse(shown), fork.policy)


@pytest.mark.parametrize(
    "answer", ["other key", "other text", "rubbish", "nothing", "status", "size", "no size", "wandering"]
)
async def test_a_witness_that_lies_counts_for_nothing(asking: Callable[..., Witnesses], answer: str) -> None:
    text = LOG.head(5).text()
    key = KEYS[0] if answer == "other text" else KEYS[2]
    false = lines_of((cosign(LOG.head(4).text() if answer == "other text" else text, key, at_s=1),))
    sizes = iter(range(1, 9))

    async def lying(_url: str, _body: bytes) -> Reply:
        return {
            "rubbish": Reply(200, "", b"\xff"),
            "nothing": Reply(200, "", b""),
            "status": Reply(500, "", b""),
            "size": Reply(409, SIZE_TYPE, b"x\n"),
            "no size": Reply(409, "text/plain", b"5\n"),
            "wandering": Reply(409, SIZE_TYPE, b"%d\n" % next(sizes)),
        }.get(answer, Reply(200, "", false))

    witnesses = asking(["http://w.example"], post=lying)
    note = await witnesses.cosigned(LOG.note(5))
    assert note == LOG.note(5)
    assert witnesses.witnessed == -1
    assert witnesses.all[0].fault is not None
    assert witnesses.all[0].known == 0


async def test_others_do_not_wait_for_one_that_is_silent(tmp_path: Path, asking: Callable[..., Witnesses]) -> None:
    go_on = asyncio.Event()
    calls: list[str] = []

    async def silent(url: str, body: bytes) -> Reply:
        calls.append(url)
        if "silent" in url:
            await go_on.wait()
        return await post(url.replace("silent", "127.0.0.1"), body)

    with witness_of(tmp_path, KEYS[0]) as url, witness_of(tmp_path, KEYS[1]) as other:
        slow = url.replace("127.0.0.1", "silent")
        witnesses = asking([slow, other], "any", post=silent)
        note = await witnesses.cosigned(LOG.note(5))
        assert len(SignedNote.parse(note).signatures) == 2
        await witnesses.cosigned(LOG.note(6))
        assert sum("silent" in one for one in calls) == 1, "it is asked one thing at a time"
        late = witnesses.all[0].asking
        assert late is not None
        go_on.set()
        await late
        assert witnesses.all[0].known == 5
        whole = await witnesses.cosigned(LOG.note(7))
        assert len(SignedNote.parse(whole).signatures) == 3


async def test_without_a_quorum_the_time_ends_the_wait(asking: Callable[..., Witnesses]) -> None:
    async def never(_url: str, _body: bytes) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    witnesses = asking(["http://w.example"], post=never, wait_s=0.01)
    assert await witnesses.cosigned(LOG.note(5)) == LOG.note(5)
    assert witnesses.all[0].asking is not None
    await witnesses.aclose()
    assert witnesses.all[0].asking is None


async def test_tiles_that_cannot_be_read_are_no_proof(tmp_path: Path, asking: Callable[..., Witnesses]) -> None:
    def broken(_tile: Tile) -> bytes:
        raise TileInvalid("A tile is gone.")

    with witness_of(tmp_path, KEYS[0]) as url:
        await asking([url]).cosigned(LOG.note(5))
        witnesses = asking([url], read=broken)
        assert await witnesses.cosigned(LOG.note(9)) == LOG.note(9)
        assert "A tile is gone" in str(witnesses.all[0].fault)


def test_policies_that_cannot_be_met_are_refused(clock: FakeClock) -> None:
    given = {"post": post, "read": tiles_of_log(LOG), "clock": clock}
    with pytest.raises(TrustPolicyInvalid, match="too few of them have an address"):
        Witnesses(policy_of(["http://w.example", None], "all"), log=LOG.key.verifier, **given)
    Witnesses(policy_of(["http://w.example", None], "any"), log=LOG.key.verifier, **given)
    with pytest.raises(TrustPolicyInvalid, match="no line for this log"):
        Witnesses(policy_of(["http://w.example"], "any"), log=GrownLog(seed=9).key.verifier, **given)
    nobody = TrustPolicy.parse(b"quorum none\n")
    assert Witnesses(nobody, log=LOG.key.verifier, **given).all == []


async def test_where_nobody_is_needed_every_head_is_witnessed(clock: FakeClock) -> None:
    nobody = TrustPolicy.parse(b"quorum none\n")
    witnesses = Witnesses(nobody, log=LOG.key.verifier, post=post, read=tiles_of_log(LOG), clock=clock)
    assert await witnesses.cosigned(LOG.note(5)) == LOG.note(5)
    assert witnesses.witnessed == 5


async def test_signatures_of_the_log_stay_in_front(tmp_path: Path, asking: Callable[..., Witnesses]) -> None:
    with witness_of(tmp_path, KEYS[0]) as url:
        note = SignedNote.parse(await asking([url]).cosigned(LOG.note(5)))
        assert signers_of(note, [LOG.key.verifier, KEYS[0].verifier]) == [LOG.key.verifier, KEYS[0].verifier]
