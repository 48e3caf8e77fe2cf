"""Which addresses calls of ours may go to."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from loglease.server.notifications.channel import Undelivered
from loglease.server.notifications.outgoing import is_permitted, permitted_address

OUTSIDE = ("1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1")
INSIDE = ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1")
NEVER = ("169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "255.255.255.255")  # noqa: S104 - to be refused


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_outside_is_permitted(address: str) -> None:
    assert is_permitted(address, private=False)


@pytest.mark.parametrize("address", INSIDE)
def test_one_inside_only_where_the_settings_say_so(address: str) -> None:
    assert not is_permitted(address, private=False)
    assert is_permitted(address, private=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_never(address: str) -> None:
    assert not is_permitted(address, private=False)
    assert not is_permitted(address, private=True)


async def test_a_name_with_an_address_inside_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolved(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, 0, 0, "", (one, 443)) for one in ("1.1.1.1", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
    with pytest.raises(Undelivered, match="inside"):
        await permitted_address("two.example.com", 443, private=False)
    assert await permitted_address("two.example.com", 443, private=True) == "1.1.1.1"


async def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Undelivered, match="not known"):
        await permitted_address("x" * 300, 443, private=True)
