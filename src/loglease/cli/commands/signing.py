"""`policy key`, `sign`, `verify` and `publish`: bundles that people sign, and their way to a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from loglease.cli.commands.local import DataDir, called
from loglease.cli.run import HereFlags, flag

_POLICY: Final = "loglease.server.local_policy"
_PUBLISH: Final = "loglease.server.local_publish"

Bundle = Annotated[Path, Parameter(name="DIR", help="directory with *.yaml")]


def key(
    file: Annotated[Path, Parameter(name="FILE", help="where the private key is, or is to be")],
    /,
    *,
    flags: HereFlags,
) -> int:
    """Make a private key for signing, and print its public key.

    A file that is there is read, never replaced. It is PEM without a password, mode 0600. The public key goes into the
    server's configuration, policy.keys.
    """
    return called(_POLICY, "make_key", file=file, as_json=flags.output == "json")


def sign(
    directory: Bundle,
    /,
    *,
    key: Annotated[Path, flag("file with your private key")],
    revision: Annotated[
        int | None, flag("make a manifest with this revision; without, sign the one that is there")
    ] = None,
    not_before: Annotated[str | None, flag("refused before: a time, or a duration from now")] = None,
    expires: Annotated[str | None, flag("nothing new is granted after: a time, or a duration from now")] = None,
    flags: HereFlags,
) -> int:
    """Sign the policy documents of a directory.

    Writes manifest.json and signatures.json there. Whoever signs after that gives no --revision and signs the same
    manifest. Exits with 3 if the documents have errors, fail their tests, or are not those of the manifest.
    """
    return called(
        _POLICY,
        "sign",
        directory=directory,
        key=key,
        revision=revision,
        not_before=not_before,
        expires=expires,
        as_json=flags.output == "json",
    )


def verify(
    directory: Bundle,
    /,
    *,
    keys: Annotated[
        list[str] | None, flag("who may sign, as NAME=KEY; repeatable; without, the server's policy.keys")
    ] = None,
    needed: Annotated[int | None, flag("how many of them have to")] = None,
    data_dir: DataDir = None,
    flags: HereFlags,
) -> int:
    """Verify that the files of a directory are those that enough people signed.

    Exits with 3 if a file is missing, changed or too much, if signatures are missing, or if it has expired. --config
    names the server's configuration file here.
    """
    return called(
        _POLICY,
        "verify",
        directory=directory,
        keys=tuple(keys or ()),
        needed=needed,
        config=flags.config,
        data_dir=data_dir,
        as_json=flags.output == "json",
    )


def publish(directory: Bundle, /, *, data_dir: DataDir = None, flags: HereFlags) -> int:
    """Put a bundle where the server of this machine reads it, in one step, and have it read.

    Run it as the server's user. The bundle is verified with the server's configuration first. One that the server
    refuses is taken back, and the command exits with 3. Without a running server it is read at the next start. --config
    names the server's configuration file here.
    """
    return called(
        _PUBLISH,
        "publish",
        directory=directory,
        config=flags.config,
        data_dir=data_dir,
        as_json=flags.output == "json",
    )
