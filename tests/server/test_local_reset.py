from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.api.world import settings_in

from loglease.model.principal import Role
from loglease.server.local_reset import new_admin_password, reset_admin
from loglease.server.settings import SettingsInvalid
from loglease.server.wiring import build, close
from loglease.store.interface import StoreUnavailable


async def test_the_first_account_is_recovered_on_a_stopped_server_only(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with pytest.raises(SettingsInvalid, match="There is no database"):
        await new_admin_password(settings)
    services = await build(settings)
    added = await services.accounts.first_admin()
    assert added is not None
    assert added.password is not None
    with pytest.raises(StoreUnavailable, match="is in use"):
        await new_admin_password(settings)
    old = await services.sign_ins.sign_in("admin", added.password, address="192.0.2.1")
    await close(services)

    password = await new_admin_password(settings)
    services = await build(settings)
    try:
        found = await services.sign_ins.sign_in("admin", password, address="192.0.2.1")
        assert found.must_change
        assert found.principal.roles == {Role.ADMIN}
        ended = await services.store.read(lambda tx: tx.tokens.by_lookup(old.access.lookup))
        assert ended is None or ended.revoked_at is not None
    finally:
        await close(services)


def test_the_command_says_what_stops_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    assert reset_admin(data_dir=tmp_path / "nowhere", out=out) == 2
    assert out.getvalue() == ""
    assert "next: Name the directory of the server: --data-dir." in capsys.readouterr().err
