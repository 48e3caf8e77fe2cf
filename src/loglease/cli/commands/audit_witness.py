"""`audit witness`: a witness for other people's logs, from this program alone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_bytes
from typing import Annotated, Final, NoReturn

from loglease.audit.note import COSIGNATURE, SigningKey
from loglease.audit.witness import Witness, WitnessState
from loglease.audit.witness_server import WitnessServer
from loglease.cli.errors import InputNeeded, Unreachable, Usage
from loglease.cli.logs import keys_given
from loglease.cli.policy_files import clock_now
from loglease.cli.run import Here, Run, flag
from loglease.cli.secret_files import read_secret, write_secret
from loglease.cli.terminal import json_text
from loglease.model.instant import MICROSECONDS

_SEED_BYTES: Final = 32
_MAX_PORT: Final = 65_535
_FLUSH_FAILED: Final = 74
"""The exit code when it is not known what the disk holds: EX_IOERR."""


def witness(
    *,
    listen: Annotated[str, flag("host and port, such as 127.0.0.1:8090; port 0 takes a free one")],
    log: Annotated[list[str], flag("public key of a log to witness; repeatable")],
    state: Annotated[Path, flag("file with what the witness has seen")],
    key_file: Annotated[Path, flag("file with its private key")],
    new: Annotated[
        str | None, flag("first start: make state and key; the key gets this name, such as witness.example.com/w1")
    ] = None,
    run: Here,
) -> int:
    """Run a witness: it cosigns checkpoints of logs, and never two that contradict each other.

    Needs no server and no database. Prints its public key, and one line of JSON on stderr for each checkpoint. Answers
    POST /add-checkpoint and GET /HEX/checkpoint, HEX being the SHA-256 of a log's name. Ends at SIGINT or SIGTERM. A
    second witness on the same state is refused.
    """
    host, port = _address(listen)
    logs = keys_given(log)
    key = _key(key_file, state, new)
    held = WitnessState(state, flush_failed=_flush_failed)
    try:
        here = Witness(key=key, logs=logs, state=held, now_s=lambda: clock_now() // MICROSECONDS, tell=_telling(run))
        _serve(run, here, key, host, port)
    finally:
        held.close()
    return 0


def _serve(run: Run, here: Witness, key: SigningKey, host: str, port: int) -> None:
    end = threading.Event()
    try:
        server = WitnessServer(host, port, here, tell=_telling(run))
    except OSError as error:
        raise Unreachable(
            f"{host}:{port} cannot be listened on: {error.strerror or error}.", next_step="Choose another port."
        ) from error
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: end.set())
    serving = threading.Thread(target=server.serve_forever, name="witness")
    serving.start()
    if run.out.json:
        run.out.record({"vkey": str(key.verifier), "address": server.url, "logs": here.origins})
    else:
        run.out.facts([("Key", str(key.verifier)), ("Address", server.url), ("Logs", "\n".join(here.origins))])
    end.wait()
    server.stop()
    serving.join()


def _key(file: Path, state: Path, new: str | None) -> SigningKey:
    """Return the key; at a first start, make what is missing."""
    text = read_secret(file)
    if text is None and new is None:
        raise InputNeeded(f"There is no file {file}.", next_step="Make a key at the first start: --new NAME.")
    if new is not None and not state.exists():
        if text is not None:
            raise Usage(
                f"{file} is there, and {state} is not: a witness that has forgotten what it cosigned.",
                next_step="Bring the state back, or begin anew with another key file.",
            )
        WitnessState.make(state, flush_failed=_flush_failed)
    if text is None:
        text = SigningKey(new or "", token_bytes(_SEED_BYTES), COSIGNATURE).text()
        write_secret(file, text + "\n")
    key = SigningKey.parse(text.strip())
    if new is not None and key.verifier.name != new:
        raise Usage(f"The key in {file} is named {key.verifier.name}, not {new}.", next_step="Leave --new away.")
    return key


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > _MAX_PORT:
        raise Usage(f"{text!r} is not host:port.", next_step="Write, for example, --listen 127.0.0.1:8090.")
    return host, int(port)


def _telling(run: Run) -> Callable[[Mapping[str, object]], None]:
    guard = threading.Lock()

    def tell(fields: Mapping[str, object]) -> None:
        with guard:
            run.out.stderr.write(json_text(fields) + "\n")
            run.out.stderr.flush()

    return tell


def _flush_failed(_place: str, _error: OSError) -> NoReturn:
    os._exit(_FLUSH_FAILED)
