from __future__ import annotations

from tests.pages.world import World


async def test_every_page_answers(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    bob = await world.signed_in("bob@example.com")
    request = await world.ask()
    for path in (
        "/",
        "/requests",
        "/requests/new",
        "/grants",
        "/settings",
        "/password",
        "/help",
        "/problems",
        "/problems/policy_denied",
        f"/requests/{request.id}",
    ):
        got = await alice.get(path)
        assert got.status_code == 200, (path, got.text)
    for path in (
        f"/requests/{request.id}",
        f"/requests/{request.id}/decide?verdict=approve&narrow=1",
        f"/requests/{request.id}/decide?verdict=deny",
    ):
        got = await bob.get(path)
        assert got.status_code == 200, (path, got.text)
    grant = await world.approve(request)
    for path in (f"/grants/{grant.id}", f"/grants/{grant.id}/logs"):
        got = await alice.get(path)
        assert got.status_code == 200, (path, got.text)
    got = await bob.get(f"/grants/{grant.id}/revoke")
    assert got.status_code == 200
