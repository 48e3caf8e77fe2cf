from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from tests.api.world import settings_in

from loglease.server.process import serving
from loglease.server.proxies import Proxies
from loglease.server.settings import SettingsInvalid, load_settings

OURS = Proxies.named(["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"])
SLOW = {"enforced": True, "address_per_s": 0.01, "address_burst": 2}


def caller(peer: str | None, *lists: str, proxies: Proxies = OURS) -> str | None:
    headers = [(b"x-forwarded-for", text.encode()) for text in lists]
    return proxies.caller_of({"client": None if peer is None else (peer, 1), "headers": headers})


@pytest.mark.attack("AU-06")
@pytest.mark.parametrize(
    ("peer", "lists", "found"),
    [
        ("203.0.113.9", ["198.51.100.7"], None),
        (None, ["198.51.100.7"], None),
        ("127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("::ffff:127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["192.0.2.66, 198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["192.0.2.66, 198.51.100.7, 10.1.2.3"], "198.51.100.7"),
        ("127.0.0.1", ["192.0.2.66", "198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["10.1.2.3"], "10.1.2.3"),
        ("127.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("127.0.0.1", ["[2001:db8:2::7]:4711"], "2001:db8:2::7"),
        ("127.0.0.1", ["2001:db8:2::7, 2001:db8:1::1"], "2001:db8:2::7"),
        ("127.0.0.1", ["198.51.100.7, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7, unknown, 10.1.2.3"], "10.1.2.3"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
    ],
)
def test_the_caller_is_the_rightmost_hop_that_is_no_proxy_of_ours(
    peer: str | None, lists: list[str], found: str | None
) -> None:
    assert caller(peer, *lists) == found


@pytest.mark.attack("AU-06")
def test_without_a_configured_proxy_nothing_is_believed() -> None:
    assert caller("127.0.0.1", "198.51.100.7", proxies=Proxies(())) is None


@pytest.mark.parametrize("text", ["proxy.example.com", "10.0.0.1/8", "10.0.0.0/33", ""])
def test_what_is_no_address_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(overrides={"data_dir": str(tmp_path), "http": {"trusted_proxies": [text]}}, environment={})
    assert "is no address or network" in refused.value.faults[0].detail


@pytest.mark.parametrize(("proxies", "statuses"), [([], {429}), (["127.0.0.1"], {401})])
async def test_behind_a_proxy_each_caller_has_their_own_rate(
    tmp_path: Path, proxies: list[str], statuses: set[int]
) -> None:
    http = {"listen": "127.0.0.1:0", "health": "127.0.0.1:0", "trusted_proxies": proxies}
    async with (
        serving(settings_in(tmp_path, http=http, limits=SLOW)) as ready,
        httpx2.AsyncClient(base_url=ready.url, trust_env=False) as client,
    ):
        for path in ("/api/v1/me", "/g/grt_01JDC91T7K0000000000000000/logs"):
            for number in range(4):
                answer = await client.get(path, headers={"X-Forwarded-For": f"198.51.100.{number}"})
            assert {answer.status_code} == statuses
        for _ in range(3):
            same = await client.get("/api/v1/me", headers={"X-Forwarded-For": "192.0.2.1, 198.51.100.77"})
        assert same.status_code == 429
