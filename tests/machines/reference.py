"""What access must do, written down a second time: plain dictionaries, no code of the product.

Every method answers whether the act is accepted; the machine compares that, and every state, with the product.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MINUTE = 60
REVIEW_WITHIN = 120 * MINUTE
ACTIVATE_WITHIN = 60 * MINUTE
DURATION = 10 * MINUTE
LINES = 1_000
MOST_AT_ONCE = 256
MOST_PENDING = {"human": 10, "agent": 2}


@dataclass
class Who:
    name: str
    person: str
    kind: str = "human"
    approver: bool = False
    admin: bool = False
    enabled: bool = True


@dataclass
class Request:
    requester: Who
    need: int
    expires: int
    eligible: set[str]
    state: str = "pending"
    verdicts: dict[str, str] = field(default_factory=dict)
    reviewers: list[str] = field(default_factory=list)


@dataclass
class Grant:
    request: str
    holder: Who
    activate_by: int
    state: str = "scheduled"
    until: int | None = None
    suspended: bool = False
    lines: int = 0
    why: str | None = None


@dataclass
class Session:
    grant: str
    open: bool = True
    ceiling: int = 0
    settled: int = 0


class Reference:
    def __init__(self, people: list[Who]) -> None:
        self.now = 0
        self.people = {one.name: one for one in people}
        self.requests: dict[str, Request] = {}
        self.grants: dict[str, Grant] = {}
        self.sessions: dict[str, Session] = {}
        self.locked: set[str] = set()

    # What is true now.

    def request_state(self, name: str) -> str:
        request = self.requests[name]
        return "expired" if request.state == "pending" and self.now >= request.expires else request.state

    def grant_state(self, name: str) -> str:
        grant = self.grants[name]
        if grant.state in ("ended", "revoked"):
            return grant.state
        if self.now >= (grant.activate_by if grant.until is None else grant.until):
            return "ended"
        if grant.suspended or not grant.holder.enabled or grant.holder.person in self.locked:
            return "suspended"
        return grant.state

    def is_live(self, name: str) -> bool:
        return self.grant_state(name) in ("scheduled", "active", "suspended")

    def barred(self, who: Who) -> bool:
        return not who.enabled or who.person in self.locked

    def may_see(self, who: Who, request: Request) -> bool:
        return who.person == request.requester.person or who.name in request.eligible or who.admin

    def may_take_away(self, who: Who, request: Request) -> bool:
        return who.name in request.eligible or who.name == request.requester.name or who.admin

    def able(self, requester: Who) -> set[str]:
        return {
            one.name
            for one in self.people.values()
            if one.approver and one.kind == "human" and one.enabled and one.person != requester.person
        }

    def enough(self, request: Request) -> bool:
        counted = {
            self.people[name].person
            for name in request.reviewers
            if not self.barred(self.people[name]) and name in request.eligible
        }
        return len(counted) >= request.need

    # Acts.

    def may_submit(self, who: Who, need: int) -> bool:
        pending = [
            one for name, one in self.requests.items() if one.requester is who and self.request_state(name) == "pending"
        ]
        others = {self.people[name].person for name in self.able(who)}
        return not self.barred(who) and len(pending) < MOST_PENDING[who.kind] and len(others) >= need

    def submit(self, who: Who, need: int, name: str) -> None:
        self.requests[name] = Request(who, need, self.now + REVIEW_WITHIN, self.able(who))

    def review(self, who: Who, name: str, verdict: str, *, right_digest: bool) -> tuple[bool, bool]:
        """Answer whether it is accepted, and whether it completes the request."""
        request = self.requests[name]
        own = who.person == request.requester.person
        if not self.may_see(who, request) or who.kind != "human" or self.barred(who) or own or not right_digest:
            return False, False
        if request.verdicts.get(who.person) == verdict:
            return True, False
        if request.verdicts.get(who.person) == "deny" or self.request_state(name) != "pending":
            return False, False
        if who.name not in request.eligible:
            return False, False
        if verdict == "deny":
            request.verdicts[who.person] = "deny"
            request.state = "denied"
            return True, False
        request.reviewers.append(who.name)
        request.verdicts[who.person] = "approve"
        complete = self.enough(request)
        if complete and not request.requester.enabled:
            request.state = "denied"  # no policy is for them any more
            return True, False
        if complete:
            request.state = "approved"
        return True, complete

    def grant(self, name: str, request: str) -> None:
        self.grants[name] = Grant(request, self.requests[request].requester, self.now + ACTIVATE_WITHIN)

    def cancel(self, who: Who, name: str) -> bool:
        request = self.requests[name]
        if request.requester is not who:
            return False
        if request.state == "cancelled":
            return True
        if self.request_state(name) != "pending":
            return False
        request.state = "cancelled"
        return True

    def activate(self, who: Who, name: str) -> bool:
        grant = self.grants[name]
        if grant.holder is not who or self.barred(who):
            return False
        state = self.grant_state(name)
        if state == "active":
            return True
        if state != "scheduled" or not self.enough(self.requests[grant.request]):
            return False
        grant.state, grant.until = "active", self.now + DURATION
        return True

    def give_back(self, who: Who, name: str) -> bool:
        grant = self.grants[name]
        if grant.holder is not who:
            return False
        if grant.why == "returned":
            return True
        if not self.is_live(name):
            return False
        grant.state, grant.why = "ended", "returned"
        return True

    def revoke(self, who: Who, name: str) -> bool:
        grant = self.grants[name]
        request = self.requests[grant.request]
        if not self.may_see(who, request) or not self.may_take_away(who, request):
            return False
        if grant.state == "revoked":
            return True
        if not self.is_live(name):
            return False
        grant.state = "revoked"
        return True

    def suspend(self, who: Who, name: str) -> bool:
        grant = self.grants[name]
        request = self.requests[grant.request]
        accepted = self.may_see(who, request) and self.may_take_away(who, request) and self.is_live(name)
        grant.suspended = grant.suspended or accepted
        return accepted

    def resume(self, who: Who, name: str) -> bool:
        grant = self.grants[name]
        request = self.requests[grant.request]
        own = who.person == request.requester.person
        accepted = self.may_see(who, request) and self.may_take_away(who, request) and not own and self.is_live(name)
        grant.suspended = grant.suspended and not accepted
        return accepted

    def lock(self, person: str) -> None:
        self.locked.add(person)
        for name, request in self.requests.items():
            if request.requester.person == person and self.request_state(name) == "pending":
                request.state = "cancelled"

    def may_open(self, who: Who, name: str) -> bool:
        grant = self.grants[name]
        return self.may_read(grant, name) and self.activate(who, name)

    def may_read(self, grant: Grant, name: str) -> bool:
        return self.grant_state(name) in ("scheduled", "active") and grant.lines < LINES

    def reserve(self, name: str, lines: int, settled: int) -> int | None:
        """Answer how many lines may follow now; None where it is refused."""
        session = self.sessions[name]
        grant = self.grants[session.grant]
        if not session.open or self.grant_state(session.grant) != "active":
            return None
        handed = min(session.settled + settled, session.ceiling)
        still_open = session.ceiling - handed
        more = max(0, min(lines, MOST_AT_ONCE - still_open, LINES - grant.lines))
        if still_open + more < 1:
            return 0
        session.settled = handed
        session.ceiling += more
        grant.lines += more
        return still_open + more

    def close(self, name: str, settled: int) -> None:
        session = self.sessions[name]
        if not session.open:
            return
        session.open = False
        session.settled = min(session.settled + settled, session.ceiling)
        grant = self.grants[session.grant]
        grant.lines -= session.ceiling - session.settled
        others = any(one.open and one.grant == session.grant for one in self.sessions.values())
        active = grant.state == "active" and grant.until is not None and self.now < grant.until
        if active and not others and grant.lines >= LINES:
            grant.state, grant.why = "ended", "used"
