"""The walk: the whole journey with the real command line on real lines, each step printed with what it showed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from loglease.audit.checkpoint import Checkpoint, head_line
from loglease.audit.note import SignedNote
from loglease.audit.tiles import CHECKPOINT
from loglease.server.demonstration.cast import Answer, Cast, Person, StepFailed
from loglease.server.publishing import LOG_FOLDER

PASSWORDS: Final = {"alice": "alice-reads-the-logs", "bob": "bob-looks-at-requests", "sam": "sam-audits-the-record"}
_REFUSED: Final = 6
_NOT_FOUND: Final = 7
_CUT: Final = 9
_LINES_SHOWN: Final = 3
_WITHIN_S: Final = 30.0
_SHORT_S: Final = 5


@dataclass(slots=True)
class Walk:
    """The steps in order. Each raises `StepFailed` if the product did not do what the step is there to show."""

    cast: Cast
    out: TextIO = field(default_factory=lambda: sys.stdout)
    number: int = 0
    ids: dict[str, str] = field(default_factory=dict)

    def all_steps(self) -> None:
        """Walk."""
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("Start a shop that logs, real traffic against it, and the server", self.begin),
            ("Add people: alice reads, bob approves, sam audits", self.people),
            ("Nobody has access: alice is refused", self.no_access),
            ("alice asks for warnings and errors of the shop", self.ask),
            ("alice cannot approve her own request", self.self_approval),
            ("bob looks at it and approves", self.approve),
            ("alice reads exactly that slice, redacted", self.read),
            ("What lies outside the scope is refused", self.outside),
            ("alice follows the shop live; bob revokes, and the stream ends at once", self.revoke),
            (f"A grant of {_SHORT_S} seconds ends by itself", self.expiry),
            ("sam sees all of it on the record", self.record),
            ("Anybody checks the record with nothing but files and a public key", self.verify),
        )
        for title, step in steps:
            self.number += 1
            self._say(f"\n{self.number:>2}. {title}")
            started = time.monotonic()
            step()
            self._say(f"    ({time.monotonic() - started:.1f} s)")

    def begin(self) -> None:
        """Start everything and wait until there is an error to look for."""
        self.cast.start_shop()
        self.cast.start_server()
        self._say(f"    server    {self.cast.server}")
        self._say(f"    log files {self.cast.logs}/*/*.log")
        shop = self.cast.logs / "shop" / "shop.log"
        _until(lambda: shop.exists() and '"level": "error"' in shop.read_text(), "the shop logs an error")

    def people(self) -> None:
        """Add the people and sign them in."""
        admin = self._sign_in("admin", self.cast.admin_password)
        for name, extra in (("alice", ()), ("bob", ("--group", "approvers")), ("sam", ("--role", "auditor"))):
            words = ("admin", "user", "add", name, *extra, "--password-stdin")
            self._expect(admin.run(*words, typed=PASSWORDS[name] + "\n"), 0)
            self._sign_in(name, PASSWORDS[name])
            self._say(f"    $ loglease {' '.join(words)}")

    def no_access(self) -> None:
        """Show that nobody reads without a grant."""
        self._shown(self._alice, "logs", '{service="shop"}', code=_NOT_FOUND)

    def ask(self) -> None:
        """Ask for one slice."""
        words = ("request", '{service="shop"}', "--source", "shop-logs", "--level", "warn", "--for", "10m")
        self._shown(self._alice, *words, "--reason", "checkouts fail since nine", "--wait", "0", code=10)
        self.ids["request"] = self._newest(self._alice, "requests", "--mine")

    def self_approval(self) -> None:
        """Show that nobody approves for themselves."""
        self._shown(self._alice, "approve", self.ids["request"], "--yes", code=_REFUSED, last=4)

    def approve(self) -> None:
        """Let somebody else approve."""
        self._shown(self._bob, "approve", self.ids["request"], "--comment", "go ahead", "--yes")
        self.ids["grant"] = self._newest(self._alice, "grants", "--mine")

    def read(self) -> None:
        """Read, and compare with the raw line in the file."""
        log = self.cast.logs / "shop" / "shop.log"
        raw = [line for line in log.read_text().splitlines() if '"level": "error"' in line][-1]
        self._say(f"    in the file   {raw[:230]}")
        answer = self._shown(self._alice, "logs", '|= "checkout failed"', "--limit", str(_LINES_SHOWN))
        leaked = re.search(r"[a-z]+\.[a-z]+@example\.|\b\d{15,16}\b|Bearer [0-9a-f]{8}", answer.shown)
        if leaked or "⟦" not in answer.shown:
            raise StepFailed("A line was served that is not masked as it should be.")

    def outside(self) -> None:
        """Ask for what the grant does not cover."""
        self._shown(self._alice, "logs", '{service="billing"}', "--grant", self.ids["grant"], code=_REFUSED)

    def revoke(self) -> None:
        """Follow live, revoke, and show how fast the stream ended."""
        tail = self._tail(self.ids["grant"])
        words = ("revoke", self.ids["grant"], "--reason", "incident over", "--yes")
        self._say(f"    bob   $ loglease {_typed(words)}")
        acknowledged = self._expect(self._bob.run(*words), 0)
        self._indented(acknowledged.shown)
        rest, code = _ended(tail)
        self._indented("\n".join(rest.splitlines()[-3:]), "alice ")
        if code != _CUT or "revoked" not in rest:
            raise StepFailed(f"The tail ended with {code}, not because it was revoked:\n{rest[-800:]}")
        closed = self._facts("session.closed", self.ids["grant"])
        cut = [entry["cut_ms"] for entry in closed if entry.get("why") == "revoked" and "cut_ms" in entry]
        if not cut:
            raise StepFailed("The record does not say how long the cut took.")
        self._say(f"    measured: {max(cut)} ms from the revocation to the last byte of the stream")

    def expiry(self) -> None:
        """Let a short grant run out."""
        words = ("request", '{service="shop"}', "--source", "shop-logs", "--for", f"{_SHORT_S}s", "--new")
        self._shown(self._alice, *words, "--reason", "one more look", "--wait", "0", code=10, last=2)
        request = self._newest(self._alice, "requests", "--mine")
        self._expect(self._bob.run("approve", request, "--yes"), 0)
        grant = self.ids["short"] = self._newest(self._alice, "grants", "--mine")
        started = time.monotonic()
        rest, code = _ended(self._tail(grant))
        self._indented("\n".join(rest.splitlines()[-3:]), "alice ")
        if code != _CUT or "expired" not in rest:
            raise StepFailed(f"The tail ended with {code}, not because its time was over:\n{rest[-800:]}")
        self._say(f"    it ran for {time.monotonic() - started:.1f} s")

    def record(self) -> None:
        """Look at what was recorded."""
        needed = {"access.refused", "request.submitted", "offer.made", "review.given", "request.approved"}
        needed |= {"grant.scheduled", "grant.activated", "session.opened", "query.recorded", "batch.served"}
        needed |= {"session.closed", "grant.revoked", "grant.ended"}
        until = time.monotonic() + _WITHIN_S
        while True:  # that a grant expired is written down a moment after it has
            entries = self._sam.objects("audit", "list", "--all")
            missing = needed - {entry["type"] for entry in entries}
            if not missing:
                break
            if time.monotonic() > until:
                raise StepFailed(f"The record lacks {', '.join(sorted(missing))}.")
        self._shown(self._sam, "audit", "list", "--grant", self.ids["grant"])
        self._say(f"    {len(entries)} entries in all")

    def verify(self) -> None:
        """Verify the published log, and print its head."""
        started = self._sam.objects("audit", "list", "--type", "service.started")
        log = self.cast.folder / "data" / LOG_FOLDER
        self._shown(self._sam, "audit", "verify", str(log), "--key", str(started[0]["data"]["vkey"]))
        note = SignedNote.parse((log / CHECKPOINT).read_bytes())
        self._say(f"    {head_line(Checkpoint.parse(note.text))}")

    def next_steps(self) -> None:
        """Print where everything is and what to try now, with ids that exist."""
        self._shown_request()
        self._say(
            f"""
The server is running; Ctrl-C ends it and removes {self.cast.folder}.

  Page       {self.cast.server}
  Logins     {", ".join(f"{name} / {password}" for name, password in PASSWORDS.items())}
             admin / {self.cast.admin_password}

  Try in another terminal
    export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"
    export LOGLEASE_SERVER={self.cast.server}
    loglease login bob                                  # password above
    loglease approve {self.ids["waiting"]}              # alice waits for this one
    loglease requests {self.ids["request"]}             # the whole history of the first request
    loglease login alice && loglease tail               # then revoke it on bob's page and watch it end
"""
        )

    def _shown_request(self) -> None:
        """Leave one request waiting, so that there is something to decide."""
        words = ("request", '{service="billing"}', "--source", "shop-logs", "--for", "30m")
        self._alice.run(*words, "--reason", "why are charges declined?", "--wait", "0")
        self.ids["waiting"] = self._newest(self._alice, "requests", "--mine")

    @property
    def _alice(self) -> Person:
        return self.cast.person("alice")

    @property
    def _bob(self) -> Person:
        return self.cast.person("bob")

    @property
    def _sam(self) -> Person:
        return self.cast.person("sam")

    def _sign_in(self, name: str, password: str) -> Person:
        person = self.cast.person(name)
        self._expect(person.run("login", name, "--password-stdin", typed=password + "\n"), 0)
        return person

    def _tail(self, grant: str) -> subprocess.Popen[str]:
        """Start alice's tail and return once lines come."""
        words = ("tail", "--grant", grant, "--since", "10s")
        self._say(f"    alice $ loglease {' '.join(words)}")
        tail = self._alice.start(*words)
        if tail.stdout is None:
            raise StepFailed("The tail has no output.")
        for _ in range(_LINES_SHOWN):
            self._indented(tail.stdout.readline().rstrip()[:200], "alice ")
        return tail

    def _newest(self, person: Person, *words: str) -> str:
        return str(person.objects(*words, "--limit", "1")[0]["id"])

    def _facts(self, kind: str, grant: str) -> list[dict[str, Any]]:
        """Return the facts of entries of a kind about a grant, once there are some."""
        until = time.monotonic() + _WITHIN_S
        while time.monotonic() < until:
            entries = self._sam.objects("audit", "list", "--type", kind, "--grant", grant)
            if any("cut_ms" in entry["data"] for entry in entries):
                return [entry["data"] for entry in entries]
            time.sleep(0.2)
        return []

    def _shown(self, person: Person, *words: str, code: int = 0, last: int = 40) -> Answer:
        self._say(f"    {person.name} $ loglease {_typed(words)}")
        answer = self._expect(person.run(*words), code)
        self._indented("\n".join(answer.shown.splitlines()[-last:]))
        return answer

    def _expect(self, answer: Answer, code: int) -> Answer:
        if answer.code != code:
            raise StepFailed(f"It ended with exit code {answer.code}, not {code}:\n{answer.shown}")
        return answer

    def _indented(self, text: str, prefix: str = "") -> None:
        for line in text.splitlines():
            self._say(f"      {prefix}{line[:230]}")

    def _say(self, text: str) -> None:
        print(text, file=self.out, flush=True)


def _typed(words: Sequence[str]) -> str:
    """Return words as somebody types them in a shell."""
    return " ".join(f"'{word}'" if re.search(r"[ {|]", word) else word for word in words)


def _ended(tail: subprocess.Popen[str]) -> tuple[str, int]:
    try:
        rest, _ = tail.communicate(timeout=_WITHIN_S)
    except subprocess.TimeoutExpired as error:
        tail.kill()
        raise StepFailed("The tail did not end.") from error
    return rest, tail.returncode


def _until(holds: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _WITHIN_S
    while not holds():
        if time.monotonic() > until:
            raise StepFailed(f"Waited {_WITHIN_S:.0f} s in vain until {what}.")
        time.sleep(0.1)
