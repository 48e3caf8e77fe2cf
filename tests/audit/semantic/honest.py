"""Honest logs by seed: a server in use, with many requests, grants and sessions at once, and all that happens to them.

It is a machine of its own, which shares no code with the product: it does only what is allowed at the moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.audit.semantic.twins import RAISE, REVEAL
from tests.audit.semantic.writer import APPROVERS, HOUR, LEADS, ONE, ORIGIN, TWO, Asked, Granted, Opened, Writer, digest

from loglease.model.instant import Instant, after, instant_text, parse_instant

PEOPLE = ("sub_alice", "sub_bob", "sub_carol", "sub_dave", "sub_erin")
TWINS = ("sub_mia", "sub_max")
ASKERS = (*PEOPLE, *TWINS, "sub_bot")
STAGES = [{"from": [APPROVERS], "need": 1}, {"from": [LEADS], "need": 1}]
EITHER = [{"any_of": [{"from": [LEADS], "need": 2}, {"from": [APPROVERS, "user:erin"], "need": 1}]}]
EACH = [{"all_of": [{"from": [LEADS], "need": 1}, {"from": [APPROVERS], "need": 2}]}]
PLANS = (
    (1, [ONE]),
    (1, [ONE]),
    (1, [EITHER]),
    (2, [TWO]),
    (2, [STAGES]),
    (3, [EACH]),
    (1, [ONE, [{"from": [LEADS], "need": 1}]]),
)
LATER = 400 * 24 * HOUR


@dataclass
class Pending:
    asked: Asked
    need: int
    reviewers: list[str] = field(default_factory=list)
    narrowed: list[dict[str, Any]] = field(default_factory=list)
    before: Held | None = None


@dataclass
class Held:
    """A grant that is not over."""

    granted: Granted
    reviewers: list[str]
    active: bool = False
    causes: list[str] = field(default_factory=list)
    sessions: list[Opened] = field(default_factory=list)
    elevation: str | None = None
    before: Held | None = None
    extension: Held | None = None

    @property
    def holder(self) -> str:
        return self.granted.asked.by

    @property
    def left(self) -> int:
        return int(self.granted.data["limits"]["lines"] - self.granted.lines)


@dataclass
class Lock:
    id: str
    on: str
    subject: str | None
    until: Instant | None


def human(subject: str) -> str:
    return "sub_alice" if subject == "sub_bot" else subject


class Server:
    """Writes an honest log, act by act."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)  # noqa: S311 - a test repeats
        self.log = Writer()
        self.asked = 0
        self.pending: list[Pending] = []
        self.held: list[Held] = []
        self.afterwards: list[tuple[Granted, list[str]]] = []
        self.locks: list[Lock] = []
        self.proposals: list[tuple[Any, list[str]]] = []

    def run(self, journeys: int) -> Writer:
        """Act until so many requests were made, and what came of them is over."""
        self.log.begin()
        for one in TWINS:
            self.log.person(one)
        self.log.change(TWINS[1], "suspected", other=TWINS[0])
        while self.asked < journeys:
            self.advance(self.draw.choice((0, 0.01, 0.2, 3, 20)))
            act = self.draw.choices(self.acts, self.weights)[0]
            act(self)
        while self.pending or self.held:
            self.advance(HOUR)
        return self.log

    # Time.

    def advance(self, seconds: float) -> None:
        """Let time pass, and end what it ends, each at its time."""
        log = self.log
        target = Instant(log.now + round(seconds * 1_000_000))
        while (due := self._next(target)) is not None:
            at, thing = due
            log.now = max(log.now, at)
            if isinstance(thing, Lock):
                self.locks.remove(thing)
            elif isinstance(thing, Pending):
                self.pending.remove(thing)
                log.expire(thing.asked)
            else:
                self.over(thing, "expired")
        log.now = max(log.now, target)

    def _next(self, target: Instant) -> tuple[Instant, Lock | Pending | Held] | None:
        due: list[tuple[Instant, int, Lock | Pending | Held]] = []
        due += [(one.until, 0, one) for one in self.locks if one.until is not None]
        due += [(parse_instant(one.asked.wish["expires_at"]), 1, one) for one in self.pending]
        due += [(one.granted.until, 2, one) for one in self.held]
        soonest = min(due, key=lambda one: one[:2], default=None)
        return None if soonest is None or soonest[0] > target else (soonest[0], soonest[2])

    # Who may.

    def is_locked(self, subject: str) -> bool:
        return any(one.subject == subject for one in self.locks)

    def reviewers_for(self, subject: str, but: list[str]) -> list[str]:
        able = [one for one in PEOPLE if one not in (human(subject), *but) and not self.is_locked(one)]
        return self.draw.sample(able, len(able))

    def is_usable(self, one: Held) -> bool:
        stopped = any(lock.subject is None for lock in self.locks) or self.is_locked(one.holder)
        held = one.causes or (one.before is not None and "person" in one.before.causes)
        return not (stopped or held)

    def pick(self, test: Callable[[Held], bool]) -> Held | None:
        found = [one for one in self.held if test(one)]
        return self.draw.choice(found) if found else None

    # Requests.

    def _ask(self, by: str | None = None, need: int = 0, plans: Any = (), **changes: Any) -> Pending | None:
        by = by or self.draw.choice(ASKERS)
        if self.is_locked(by):
            return None
        self.asked += 1
        limits = {"lines": self.draw.choice((60, 1_000, 5_000)), "bytes": 10_000_000}
        duration_s = self.draw.choice((60, 600, 1_800))
        asked = self.log.ask(by, plans=plans, **({"limits": limits, "duration_s": duration_s} | changes))
        return Pending(asked, need)

    def ask(self) -> None:
        need, plans = self.draw.choice(PLANS)
        made = self._ask(None, need, plans)
        if made is not None:
            self.pending.append(made)

    def review(self) -> None:
        """Review something that waits: approve, perhaps less of it, or deny."""
        if not self.pending:
            return
        one = self.draw.choice(self.pending)
        able = self.reviewers_for(one.asked.by, one.reviewers)
        if not able:
            return
        by = able[0]
        if self.draw.random() < 0.08:
            self.pending.remove(one)
            self.log.deny(one.asked, by)
            return
        narrowed = None
        if self.draw.random() < 0.2 and not {"reveal", "elevation"} & one.asked.offer.keys():
            narrowed = self._narrowed(one)
        self.log.review(one.asked, by, names=[APPROVERS, LEADS], narrowed=narrowed)
        one.reviewers.append(by)
        if len(one.reviewers) >= one.need and not any(map(self.is_locked, one.reviewers)):
            self._approve(one, by)

    def _narrowed(self, one: Pending) -> dict[str, Any]:
        offer = one.asked.offer
        (scope,) = offer["scopes"]
        less = scope | {"rules_c": [*scope["rules_c"], digest(f"rule {len(one.narrowed)} of {one.asked.id}")]}
        limits = {name: value // 2 for name, value in offer["limits"].items()}
        one.narrowed.append({"scopes": [less], "duration_s": offer["duration_s"] // 2, "limits": limits})
        return one.narrowed[-1]

    def _approve(self, one: Pending, by: str, **changes: Any) -> Held:
        if one in self.pending:
            self.pending.remove(one)
        if one.narrowed:
            (scope,) = one.narrowed[0]["scopes"]
            rules = sorted({rule for less in one.narrowed for rule in less["scopes"][0]["rules_c"]})
            changes |= one.narrowed[0] | {"scopes": [scope | {"rules_c": rules}]}
        if one.before is not None:
            begins = one.before.granted.until
            until = after(begins, changes.get("duration_s", one.asked.offer["duration_s"]))
            changes |= {"not_before_at": instant_text(begins), "activate_by_at": instant_text(until)}
        held = Held(self.log.approve(one.asked, by=by, **changes), one.reviewers, before=one.before)
        if one.before is not None:
            one.before.extension = held
        self.held.append(held)
        return held

    def cancel(self) -> None:
        if self.pending:
            one = self.draw.choice(self.pending)
            self.pending.remove(one)
            self.log.cancel(one.asked)

    def at_once(self) -> None:
        """Take an automatic route, or break the glass."""
        breaks = self.draw.random() < 0.4
        made = self._ask(outcome="break_glass" if breaks else "auto")
        if made is None:
            return
        looks = breaks or self.draw.random() < 0.3
        review_by = {"review_by_at": instant_text(after(self.log.now, LATER))} if looks else {}
        held = self._approve(made, "system", **review_by)
        if looks:
            self.afterwards.append((held.granted, []))
        if self.is_usable(held):
            self._activate(held)

    def look(self) -> None:
        """Look afterwards at what was read without an approval."""
        if not self.afterwards:
            return
        number = self.draw.randrange(len(self.afterwards))
        granted, before = self.afterwards[number]
        stands = before[-1].partition(" ")[0] if before else "open"
        objector = [one.partition(" ")[2] for one in before if stands == one.partition(" ")[0] == "not_justified"]
        able = self.reviewers_for(granted.asked.by, objector)
        ways = {
            "open": ("justified", "not_justified", "follow_up", "more"),
            "follow_up": ("justified", "not_justified"),
            "not_justified": ("justified",),
        }
        way = self.draw.choice(ways[stands])
        if not able or (way == "more" and before):
            return
        if way == "more":
            self.log.look(granted, "justified", able[0], stands="open")
            return
        self.log.look(granted, way, able[0])
        before.append(f"{way} {able[0]}")
        if way == "justified":
            del self.afterwards[number]

    # Grants.

    def _activate(self, one: Held, **changes: Any) -> None:
        self.log.activate(one.granted, **changes)
        one.active = True

    def activate(self) -> None:
        one = self.pick(lambda one: not one.active and one.before is None and self.is_usable(one))
        if one is not None and not any(map(self.is_locked, one.reviewers)):
            self._activate(one)

    def extend(self) -> None:
        """Ask for more time; somebody approves at once."""
        one = self.pick(lambda one: one.active and one.extension is None and self.is_usable(one) and one.holder != "x")
        able = [] if one is None else self.reviewers_for(one.holder, [])
        if (
            one is None
            or not able
            or "reveal" in one.granted.data
            or one.granted.asked.offer["outcome"] == "break_glass"
        ):
            return
        made = self._ask(one.holder, 1, [ONE], wish={"extends": one.granted.id}, duration_s=60)
        if made is None:
            return
        made.before = one
        self.log.review(made.asked, able[0], names=[APPROVERS])
        made.reviewers.append(able[0])
        self._approve(made, able[0])

    def reveal(self) -> None:
        """See one masked value: asked for, approved, and shown at once."""
        one = self.pick(lambda one: one.active and self.is_usable(one) and "reveal" not in one.granted.data)
        able = [] if one is None else self.reviewers_for(one.holder, [])
        if one is None or not able:
            return
        wanted = REVEAL | {"grant": one.granted.id}
        duration_s = 1
        made = self._ask(one.holder, 1, [ONE], wish={"reveal": wanted}, offer={"reveal": wanted}, duration_s=duration_s)
        if made is None:
            return
        self.log.review(made.asked, able[0], names=[APPROVERS])
        made.reviewers.append(able[0])
        held = self._approve(made, able[0])
        self._activate(held, until_at=instant_text(min(after(self.log.now, duration_s), one.granted.until)))
        session = self.log.open(held.granted, kind="reveal")
        data = {name: value for name, value in REVEAL.items() if name != "grant"} | {"rule": "email"}
        self.log.write("reveal.served", session.actor, data, self.log.ref(held.granted, session=session.id))
        self.log.close(session)
        self.over(held, "used")

    def elevate(self) -> None:
        """Raise a level: asked for, approved and raised at once."""
        made = self._ask(None, 1, [ONE], wish={"elevation": RAISE}, offer={"elevation": RAISE})
        able = [] if made is None else self.reviewers_for(made.asked.by, [])
        if made is None or not able:
            return
        self.log.review(made.asked, able[0], names=[APPROVERS])
        made.reviewers.append(able[0])
        held = self._approve(made, able[0])
        if self.is_usable(held):
            self._activate(held)
            held.elevation = self.log.elevate(held.granted)

    def suspend(self) -> None:
        one = self.pick(lambda one: "person" not in one.causes)
        if one is None:
            return
        cause = self.draw.choice(("person", "person", "policy", "guardrail"))
        by = self.draw.choice([name for name in PEOPLE if name != human(one.holder)]) if cause == "person" else "system"
        self.log.suspend(one.granted, cause, by)
        self._held_by(one, cause)
        self.cut(one, "suspended")

    def _held_by(self, one: Held, cause: str) -> None:
        """Note a cause; the same one twice is lifted once."""
        if cause not in one.causes:
            one.causes.append(cause)

    def resume(self) -> None:
        one = self.pick(lambda one: bool(one.causes))
        if one is None:
            return
        cause = self.draw.choice(one.causes)
        by = self.draw.choice([name for name in PEOPLE if name != human(one.holder)])
        by = by if cause in ("person", "restore") else "system"
        self.log.resume(one.granted, cause, by)
        one.causes.remove(cause)

    def take_away(self) -> None:
        one = self.pick(lambda one: True)
        if one is not None:
            self.over(one, self.draw.choice(("revoked", "returned")))

    def over(self, one: Held, why: str) -> None:
        """End a grant, its sessions, and what was to go on from it."""
        self.held.remove(one)
        log = self.log
        if why == "expired":
            self.cut(one, "expired")
        if one.elevation is not None:
            log.revert(one.granted, one.elevation, self.draw.choice(("reverted", "failed")))
        by = self.draw.choice([name for name in PEOPLE if name != human(one.holder)])
        if why == "revoked":
            log.revoke(one.granted, by)
        else:
            log.end(one.granted, why, early=True)
        follows = one.extension
        if follows is not None and follows in self.held:
            if why == "expired" and one.active:
                self._goes_on(one, follows)
            else:
                self.held.remove(follows)
                if why == "revoked":
                    log.revoke(follows.granted, by, object=one.granted.id)
                else:
                    log.end(follows.granted, why if why != "expired" else "returned")
        if why != "expired":
            self.cut(one, "revoked" if why == "revoked" else "ended")

    def _goes_on(self, one: Held, follows: Held) -> None:
        able = self.is_usable(follows) and not any(map(self.is_locked, follows.reviewers))
        if able and self.log.now < follows.granted.until:
            begins = one.granted.until
            until = after(begins, follows.granted.data["duration_s"])
            self._activate(follows, from_at=instant_text(begins), until_at=instant_text(until))

    # Sessions.

    def begin_session(self) -> None:
        one = self.pick(lambda one: one.active and self.is_usable(one) and one.left > 0)
        if one is not None:
            one.sessions.append(self.log.open(one.granted))

    def batch(self) -> None:
        one = self.pick(lambda one: bool(one.sessions) and self.is_usable(one))
        if one is None:
            return
        session = self.draw.choice(one.sessions)
        had = session.ceiling[0] - session.total[0]
        lines = self.draw.randint(0, had)
        reserve = min(self.draw.choice((1, 100, 256)), one.left, 256 - had + lines)
        if had - lines + reserve > 0:
            self.log.batch(session, lines=lines, reserve=had - lines + reserve)

    def close(self) -> None:
        one = self.pick(lambda one: bool(one.sessions))
        if one is not None:
            self._close(one, self.draw.choice(one.sessions), self.draw.choice(("complete", "client", "slow")))

    def _close(self, one: Held, session: Opened, why: str) -> None:
        had = session.ceiling[0] - session.total[0]
        one.sessions.remove(session)
        self.log.close(session, why, lines=0 if why == "crash" else self.draw.randint(0, had))

    def cut(self, one: Held, why: str) -> None:
        """Close the sessions of a grant within a moment."""
        for session in list(one.sessions):
            self.log.wait(self.draw.choice((0, 0.001, 0.01)))
            self._close(one, session, why)

    # What else happens.

    def lock(self) -> None:
        if len(self.locks) > 1:
            return
        until = after(self.log.now, self.draw.choice((5, 60))) if self.draw.random() < 0.5 else None
        subject = self.draw.choice((None, "sub_dave", "sub_erin", "sub_mia"))
        if subject is not None and self.is_locked(subject):
            return
        on = "principal" if subject is not None else self.draw.choice(("everything", "source", "policy"))
        thing = {"source": "files", "policy": "one-approval", "principal": subject}.get(on) or ""
        self.locks.append(Lock(self.log.lock(on, thing, until=until), on, subject, until))
        for one in list(self.held):
            if subject in (None, one.holder):
                self.cut(one, "locked")
        for waits in list(self.pending):
            if waits.asked.by == subject:
                self.pending.remove(waits)
                self.log.cancel(waits.asked, "locked")

    def lift(self) -> None:
        if self.locks:
            one = self.locks.pop()
            self.log.lift(one.id, one.subject)

    def restart(self) -> None:
        """Stop and start, or crash and start: what was open is closed before anything opens."""
        crashes = self.draw.random() < 0.5
        if not crashes:
            self._close_all("drain")
            self.log.stop()
        self.log.wait(self.draw.choice((1, 20)))
        self.log.start("crash" if crashes else "stop")
        self._close_all("crash")

    def _close_all(self, why: str) -> None:
        for one in self.held:
            for session in list(one.sessions):
                self._close(one, session, why)

    def restore(self) -> None:
        """Find an older database: everything is suspended until somebody resumes it."""
        log = self.log
        log.epoch += 1
        data = {"from": "backup", "old_origin": ORIGIN, "old_size": 1, "old_root": "unknown"}
        log.write("log.restored", "system", data | {"epoch": log.epoch, "suspended": len(self.held)})
        for one in self.held:
            log.suspend(one.granted, "restore", "system")
            self._held_by(one, "restore")
        for waits in self.pending:
            log.cancel(waits.asked, "restore")
        self.pending.clear()
        log.start("crash")
        self._close_all("crash")

    def govern(self) -> None:
        """Propose a policy, review it, or take it into force."""
        if self.proposals and self.draw.random() < 0.7:
            proposal, given = self.proposals[-1]
            needed = proposal[1]["needed"]
            if self.draw.random() < 0.1:
                self.log.write("policy.withdrawn", "sub_admin", {"why": "author"}, {"proposal": proposal[0]})
                self.proposals.pop()
                return
            able = [one for one in PEOPLE if one not in given and not self.is_locked(one)]
            given.append(self.draw.choice(able))
            self.log.review_policy(proposal, given[-1])
            if len(given) == needed:
                self.proposals.pop()
                self.log.accept(proposal, given)
            return
        widens = self.draw.random() < 0.5
        self.proposals.append((self.log.propose(needed=2 if widens else 1, widens=widens), []))

    def administer(self) -> None:
        """Add somebody, give a role with two, sign in, make a token, be refused."""
        log, one = self.log, f"sub_new{len(self.log.entries)}"
        log.person(one)
        log.change(one, "groups", ["sre"])
        if able := [other for other in ("sub_erin", *PEOPLE) if not self.is_locked(other)]:
            log.change(one, "roles", ["auditor"], approved_by=able[0])
        log.write(
            "signin.succeeded", one, {"auth": {"method": "password", "mfa": False, "age_s": 0}, "issuer": "local"}
        )
        token = log.id("tok")
        issued = {"token": token, "subject": one, "rights": [], "expires_at": instant_text(after(log.now, 60))}
        log.write("token.issued", one, issued, {"token": token})
        times = {"first_at": instant_text(log.now), "last_at": instant_text(log.now)}
        refused = {"operation": "read", "code": "not_found", "count": 1}
        log.write("access.refused", one, refused | times, {"grant": "grt_of_nobody"})
        if self.draw.random() < 0.3:
            log.change(one, "disabled")

    acts: tuple[Callable[[Server], None], ...] = (
        ask,
        review,
        cancel,
        at_once,
        look,
        activate,
        extend,
        reveal,
        elevate,
        suspend,
        resume,
        take_away,
        begin_session,
        batch,
        close,
        lock,
        lift,
        restart,
        restore,
        govern,
        administer,
    )
    weights = (20, 30, 1, 4, 4, 20, 2, 2, 2, 3, 5, 4, 25, 60, 20, 1, 3, 0.4, 0.1, 2, 1)
