"""Commands that run on the machine of a server: of the server's own package, and found by name when they are run."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from loglease.cli.errors import InputNeeded, Usage
from loglease.cli.run import HereFlags, flag

_LOCAL: Final = "loglease.server.local"
_RESET: Final = "loglease.server.local_reset"
_KEYS: Final = "loglease.server.local_keys"
_RESTORE: Final = "loglease.server.local_restore"
_MIGRATE: Final = "loglease.server.local_migrate"
_DEMO: Final = "loglease.server.local_demo"

DataDir = Annotated[Path | None, flag("where database, keys and logs of this server are")]


def serve(
    *,
    data_dir: DataDir = None,
    listen: Annotated[str | None, flag("address of pages, API and gateway; default: 127.0.0.1:8080")] = None,
    health: Annotated[str | None, flag("address of health checks; default: 127.0.0.1:8081")] = None,
    insecure_http: Annotated[bool, flag("accept plain HTTP from other machines")] = False,
    flags: HereFlags,
) -> int:
    """Run the server: control plane, gateway and web pages in one process.

    Needs no configuration. The first start makes the account admin and shows its password once. --config names the
    server's configuration file here.
    """
    return called(
        _LOCAL,
        "serve",
        config=flags.config,
        data_dir=data_dir,
        listen=listen,
        health=health,
        insecure_http=insecure_http,
    )


def doctor(*, data_dir: DataDir = None, flags: HereFlags) -> int:
    """Check this installation: ok, warn or fail, each with a remedy.

    Changes nothing. Exits with 3 if a check failed. --config names the server's configuration file here.
    """
    return called(_LOCAL, "doctor", config=flags.config, data_dir=data_dir, as_json=flags.output == "json")


def reset_admin(*, data_dir: DataDir = None, flags: HereFlags) -> int:
    """Give the account admin a new password, on the machine of a server that is stopped.

    For when nobody can sign in as an administrator any more. The password is printed this once, on stdout. --config
    names the server's configuration file here.
    """
    return called(_RESET, "reset_admin", config=flags.config, data_dir=data_dir)


def rotate_key(
    which: Annotated[Literal["log"], Parameter(name="KEY", help="log: the key that signs the audit log")],
    /,
    *,
    data_dir: DataDir = None,
    overlap: Annotated[
        str | None,
        flag("for how long the old key signs beside the new one, such as 14d; 0 for not at all; default: 30d"),
    ] = None,
    end_overlap: Annotated[
        bool, flag("rotate although an older key still signs beside the present one; that one signs no more")
    ] = False,
    flags: HereFlags,
) -> int:
    """Put another key in the place of one, on the machine of a server that is stopped.

    Of the audit log: the present key goes to log.key.old, a new one of the same name signs, and both sign until the
    overlap is over, so that everybody who checks the log has time to learn the new public key. It is recorded as
    key.rotated. What is interrupted can be repeated: then the rotation that began is finished. --config names the
    server's configuration file here.
    """
    _ = which  # the only one so far
    return called(
        _KEYS,
        "rotate_log_key",
        config=flags.config,
        data_dir=data_dir,
        overlap=overlap,
        end_overlap=end_overlap,
        as_json=flags.output == "json",
    )


def restore_log(
    *,
    from_: Annotated[Path | None, flag("a copy of the published log, such as of its directory", name="--from")] = None,
    next_generation: Annotated[bool, flag("leave the log as it is and begin its next generation; needs --yes")] = False,
    data_dir: DataDir = None,
    flags: HereFlags,
) -> int:
    """Go on with the audit log of a stopped server whose database, or whose key, was lost.

    With --from, entries that were signed and that an older database lacks are put back. If no copy has them, or the
    log's key is gone, nobody can go on with this log: --next-generation begins another one with the next number at the
    end of its name and a key of its own, and keeps the old one beside it as log-1 and log-1.db. Either way every live
    grant waits until somebody resumes it. A command that was interrupted can be repeated. --config names the server's
    configuration file here.
    """
    if (from_ is None) is not next_generation:
        raise Usage("Give either a copy of the log or nothing to go on from.", next_step="--from, or --next-generation")
    if next_generation and not flags.yes:
        raise InputNeeded(
            "The next generation has another name and another key: everybody who checks the log has to be told, and "
            "what the lost entries said of rights is not known to this server any more.",
            next_step="Look for the key and for copies of the log first. To go on without: repeat it with --yes.",
        )
    return called(
        _RESTORE, "restore_log", config=flags.config, data_dir=data_dir, source=from_, as_json=flags.output == "json"
    )


def migrate_store(*, data_dir: DataDir = None, flags: HereFlags) -> int:
    """Move the database of a stopped server into PostgreSQL.

    database.url says where to; that database has to be empty. Everything is copied at once, read back and compared, and
    the audit log goes on where it was. The file stays, as loglease.db.moved, and no server uses it any more. --config
    names the server's configuration file here.
    """
    return called(_MIGRATE, "migrate_store", config=flags.config, data_dir=data_dir, as_json=flags.output == "json")


def demo(
    *,
    exit_: Annotated[bool, flag("end after the walk instead of leaving the server running", name="--exit")] = False,
) -> int:
    """Walk the whole journey on real log lines, then leave the server running."""
    return called(_DEMO, "demo", exit_after=exit_)


def called(module: str, name: str, **arguments: Any) -> int:
    """Call a command of the server's package by its name."""
    return int(getattr(import_module(module), name)(**arguments) or 0)
