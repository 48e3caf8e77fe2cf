"""The public objects: a `Redactor` for profiles and a key, and a `RedactionStream` for each stream of a session.

Fail closed: whatever goes wrong inside, the caller gets `Withheld` without a cause, and the stream is dead afterwards.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, Literal, Self, TypeVar

from loglease.redaction.blocks import BlockState
from loglease.redaction.builtin import packs as builtin_packs
from loglease.redaction.builtin import profile_named
from loglease.redaction.confirm import Find, KeyFinder
from loglease.redaction.decisions import FIELD, MASKED, NUMBER_SHAPED, SCANNED, SUBJECT, is_below
from loglease.redaction.edits import Chosen, Edit, spliced, token_of
from loglease.redaction.engine import ENGINES, Engine, engine_named
from loglease.redaction.errors import EngineUnavailable, Reason, Withheld
from loglease.redaction.plan import LIMIT_LONG, Active, Plan
from loglease.redaction.profile import MASK, Profile, Treatment, strictest
from loglease.redaction.result import Counters, Redacted
from loglease.redaction.revealing import Revealed, revealed
from loglease.redaction.rules import Pack, Rule
from loglease.redaction.scanning import MAX_LINE, edits_of, whole_line
from loglease.redaction.selftest import plan_of
from loglease.redaction.tokens import Keys
from loglease.redaction.treating import is_secret

Tokens = Literal["neutralise", "keep"]
_Result = TypeVar("_Result")
_LONG: Final = b"-"  # stands for the bytes of a line that was dropped as it arrived
_LF: Final = 0x0A


class Redactor:
    """Profiles, rules, an engine and a key. Immutable, shared by threads."""

    def __init__(self, plan: Plan, keys: Keys | None, tokens: Tokens) -> None:
        self._plan = plan
        self._keys = keys
        self._tokens = tokens
        # Labels and metadata are no lines: what paths say of them goes by their names.
        self._values = self if plan.paths is None else type(self)(plan.for_values(), keys, tokens)
        self._kept_values = self if plan.paths is None else type(self)(plan.for_values(kept=True), keys, tokens)

    @classmethod
    def build(
        cls,
        profiles: Sequence[Profile],
        packs: Sequence[Pack],
        *,
        engine: Engine,
        keys: Keys | None,
        marker: bytes,
        tokens: Tokens = "neutralise",
    ) -> Self:
        """Resolve and compile; of several profiles all rules apply, each with its strictest treatment.

        Args:
            profiles: at least one.
            packs: every pack that they name; others are ignored.
            engine: see `engine_named`.
            keys: the key of the grant's pseudonyms; None only if no class is treated so.
            marker: random bytes of the process, 16 or more, from which the canary is made.
            tokens: `keep` leaves tokens in the input alone: for text of our own only.

        Raises:
            Withheld: ``profile_invalid``, ``key_missing`` or ``selftest_failed``.
            EngineUnavailable: this engine does not work here; try the next.
        """
        plan = plan_of(profiles, packs, engine=engine, marker=marker)
        if keys is None and any(one.kind == "pseudonym" for one in plan.treatments.values()):
            raise Withheld("key_missing")
        return cls(plan, keys, tokens)

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, over the profiles and every rule in force."""
        return self._plan.digest

    @property
    def engine(self) -> str:
        """Name of the engine that scans."""
        return self._plan.engine

    @property
    def block_marks(self) -> tuple[bytes, ...]:
        """Literals; on a line that holds none of them no block begins."""
        return self._plan.block_marks

    @property
    def active(self) -> tuple[Active, ...]:
        """Every rule in force with its treatment, for listings."""
        return self._plan.active

    @property
    def subject_labels(self) -> frozenset[str]:
        """Labels of the pseudonyms that stand for people: of class `pii`, and of fields that a path treats so."""
        return frozenset(one.rule.label for one in self._plan.active if is_below(one.rule.cls, SUBJECT)) | {FIELD.label}

    @property
    def finds_subjects(self) -> bool:
        """Whether it masks people at all, so that they can be counted."""
        return any(is_below(one.rule.cls, SUBJECT) for one in self._plan.active)

    def names(self, key: str) -> bool:
        """Tell whether a key rule or a path names this label or field, or does not let it pass."""
        said = SCANNED if self._plan.paths is None else self._plan.paths.named(key)
        return said.hidden or said.treatment is not None or bool(self._naming(key))

    def open(self) -> RedactionStream:
        """Begin a stream: one for each label set of a session."""
        return RedactionStream(self)

    def attach(self, stream: RedactionStream) -> RedactionStream:
        """Give a stream that was pickled its redactor again."""
        stream._redactor = self  # noqa: SLF001 - one room
        return stream

    def value(self, key: str | None, value: bytes) -> Redacted:
        """Redact a label's value, metadata or a value that a query decoded; a label's name comes with no key.

        Raises:
            Withheld: as `RedactionStream.feed`.
        """
        return closed(lambda: self._value(key, value), self.withheld)

    def withheld(self, reason: Reason, rule: str | None = None) -> Withheld:
        """Return what is raised for a text that this redactor cannot vouch for."""
        return Withheld(reason, rule=rule, engine=self._plan.engine, profile=self._plan.profile)

    def reveal(self, line: bytes, number: int) -> Revealed | None:
        """Return one masked value of a line in clear. For the reveal alone, which is approved and recorded.

        Args:
            line: one entry as its source has it, without its line end.
            number: which of its masks, from 1.

        Returns:
            None if no mask has this number, or it stands for more than a value: a line that met a limit.

        Raises:
            Withheld: as `RedactionStream.feed`.
        """
        return closed(lambda: revealed(line, number, plan=self._plan, keys=self._keys), self.withheld)

    def _naming(self, key: str) -> list[tuple[KeyFinder, Active]]:
        raw = key.encode("utf-8", "replace")
        return [
            (one.matcher, one)
            for one in self._plan.active
            if isinstance(one.matcher, KeyFinder) and one.matcher.names(raw)
        ]

    def _value(self, key: str | None, value: bytes) -> Redacted:
        said = SCANNED if key is None or self._plan.paths is None else self._plan.paths.named(key)
        if said.hidden and value:
            return self._replaced(value, MASKED, MASK)
        naming = self._naming(key) if key is not None else []
        accepted = [one for finder, one in naming if value and finder.accepts(value)]
        if said.treatment is not None and value:
            return self._treated(value, said.treatment, accepted)
        if said.kept:
            accepted = [one for one in accepted if not is_below(one.rule.cls, NUMBER_SHAPED)]
        if not accepted:
            scans = self._kept_values if said.kept else self._values
            return scans.open()._fed(value, [len(value)] if value else [])  # noqa: SLF001 - one room
        first = min(accepted, key=lambda one: (-one.rule.severity, one.rule.id))
        return self._replaced(value, first.rule, max((one.treatment for one in accepted), key=lambda one: one.strength))

    def _treated(self, value: bytes, treatment: Treatment, accepted: list[Active]) -> Redacted:
        """Return a value that a path names: as strict as the path says, and as any rule for secrets."""
        scanned = self._values.open()._fed(value, [len(value)])  # noqa: SLF001 - one room
        found = {span.rule for span in scanned.spans}
        inside = [one for one in self._plan.active if one.rule.id in found]
        is_whole = len(scanned.spans) == 1 and scanned.spans[0][:2] == (0, len(scanned.out))
        alone = self._plan.paths is not None and self._plan.paths.alone
        strict = [one for one in (*accepted, *inside) if not alone or is_secret(one.rule)]
        treatments = [treatment, *(one.treatment if is_whole or one in accepted else MASK for one in strict)]
        like = [one.rule for one in (*accepted, *(inside if is_whole else ()))]
        rule = min(like, key=lambda one: (-one.severity, one.id), default=FIELD)
        return self._replaced(value, rule, strictest(treatments))

    def _replaced(self, value: bytes, rule: Rule, treatment: Treatment) -> Redacted:
        token = token_of(Chosen(0, len(value), Find(0, len(value), rule, value), treatment), self._keys)
        edit = Edit(0, len(value), token, "mask", rule.id, rule.cls, treatment.kind)
        out, spans, _ = spliced(value, [edit], None)
        counters = Counters(engine=self.engine, input_bytes=len(value), lines=1, lines_touched=1, masks={rule.id: 1})
        return Redacted(out, spans, counters, [len(out)])


class RedactionStream:
    """The state of one stream: the partial line and the block it stands in. Not shared by threads.

    Can be pickled between calls; the pickle holds no key and needs `Redactor.attach` afterwards.
    """

    __slots__ = ("_block", "_carried", "_dead", "_dropped_cr", "_dropping", "_parts", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor: Redactor | None = redactor
        self._parts: list[bytes] = []
        self._carried = 0
        self._dropping = False
        self._dropped_cr = False
        self._block = BlockState()
        self._dead: Reason | None = None

    def feed(self, chunk: bytes, ends: Sequence[int] | None = None) -> Redacted:
        """Redact what is complete of the text so far.

        Args:
            chunk: bytes of the stream, in order.
            ends: where entries end in the chunk, in order, the last at its end; each entry is then complete. Without
                them entries are lines, and a last line without LF waits for the next call.

        Raises:
            Withheld: nothing of this chunk may leave; this stream raises it at every later call, too.
        """
        return self._guarded(lambda: self._fed(chunk, ends))

    @property
    def is_fresh(self) -> bool:
        """Whether nothing before has a bearing on what comes: no line is begun and no block is open."""
        return self._dead is None and not self._carried and not self._dropping and self._block.rule is None

    def close(self) -> Redacted:
        """Redact what was carried: the last line without LF.

        Raises:
            Withheld: as `feed`.
        """
        return self._guarded(self._flushed)

    def withhold(self, reason: Reason = "deadline") -> None:
        """End the stream from outside, such as at a missed deadline."""
        self._dead = reason
        self._parts, self._carried = [], 0

    def __getstate__(self) -> tuple[Any, ...]:
        """Return the state without the redactor, hence without keys."""
        return (self._parts, self._carried, self._dropping, self._dropped_cr, self._block, self._dead)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._redactor = None
        self._parts, self._carried, self._dropping, self._dropped_cr, self._block, self._dead = state

    def _guarded(self, step: Callable[[], Redacted]) -> Redacted:
        if self._dead is not None:
            raise self.withheld(self._dead)
        try:
            return closed(step, self.withheld)
        except Withheld as fault:
            self.withhold(fault.reason)
            raise

    def withheld(self, reason: Reason, rule: str | None = None) -> Withheld:
        """Return what is raised for a text of this stream that cannot be vouched for."""
        return Withheld(reason, rule=rule) if self._redactor is None else self._redactor.withheld(reason, rule)

    def _fed(self, chunk: bytes, ends: Sequence[int] | None) -> Redacted:
        if ends is None:
            return self._feed_lines(chunk)
        if (ends[-1] if ends else 0) != len(chunk) or any(one > two for one, two in pairwise((0, *ends))):
            raise Withheld("rule_error")
        if not self._carried and not self._dropping:
            return self._redact(chunk, ends)
        carried, long = self._taken(b"")
        moved = [len(carried), *(end + len(carried) for end in ends)]
        return self._redact(carried + chunk, moved, long_first=long)

    def _feed_lines(self, chunk: bytes) -> Redacted:
        cut = chunk.rfind(b"\n") + 1
        if cut == 0:
            self._carry(chunk)
            return self._nothing()
        whole = chunk if cut == len(chunk) else chunk[:cut]
        data, long = self._taken(whole)
        self._carry(chunk[cut:])
        return self._redact(data, None, long_first=long)

    def _flushed(self) -> Redacted:
        data, long = self._taken(b"")
        return self._redact(data, [len(data)], long_first=long) if data else self._nothing()

    def _carry(self, part: bytes) -> None:
        """Keep a piece of a line; of a line over the limit keep only that it is one, and whether it ends with CR."""
        if not part:
            return
        self._dropped_cr = part.endswith(b"\r")
        if self._dropping:
            return
        self._parts.append(part)
        self._carried += len(part)
        if self._carried > MAX_LINE:
            self._parts, self._carried, self._dropping = [], 0, True

    def _taken(self, more: bytes) -> tuple[bytes, bool]:
        """Return what was carried joined with what follows, and whether its first line was over the limit."""
        if self._dropping:
            end = max(more.find(b"\n"), 0)
            ends_with_cr = more[end - 1 : end] == b"\r" if end else self._dropped_cr
            self._dropping = False
            return _LONG + (b"\r" if ends_with_cr else b"") + more[end:], True
        data = b"".join((*self._parts, more)) if self._parts else more
        self._parts, self._carried = [], 0
        return data, False

    def _nothing(self) -> Redacted:
        return Redacted(b"", (), Counters(), ())

    def _redact(self, data: bytes, ends: Sequence[int] | None, *, long_first: bool = False) -> Redacted:
        counters = Counters(input_bytes=len(data))
        edits = self._edits(data, ends, counters, long_first=long_first)
        out, spans, moved = spliced(data, edits, ends)
        return Redacted(out, spans, counters, moved)

    def _edits(
        self, data: bytes, ends: Sequence[int] | None, counters: Counters, *, long_first: bool
    ) -> Sequence[Edit]:
        redactor = self._redactor
        if redactor is None:
            raise Withheld("engine_error")
        plan = redactor._plan  # noqa: SLF001 - one room
        counters.engine = plan.engine
        work, inserted = (data, []) if ends is None else _with_line_ends(data, ends)
        edits: list[Edit] = []
        for start, end, long in _pieces(work, long_first=long_first):
            if long:
                stop = end - 1 - (work[end - 2 : end - 1] == b"\r")
                edits.append(whole_line(start, stop, LIMIT_LONG))
                counters.long_lines += 1
                counters.lines += 1
                counters.lines_touched += 1
                continue
            block = work if end - start == len(work) else work[start:end]
            found = edits_of(
                block,
                plan=plan,
                keys=redactor._keys,  # noqa: SLF001 - one room
                state=self._block,
                keep_tokens=redactor._tokens == "keep",  # noqa: SLF001 - one room
                counters=counters,
            )
            edits.extend(_shifted(found, start) if start else found)
        return _without_inserted(edits, inserted)


def _shifted(edits: Sequence[Edit], by: int) -> Iterator[Edit]:
    return (edit._replace(start=edit.start + by, end=edit.end + by) for edit in edits)


def _with_line_ends(data: bytes, ends: Sequence[int]) -> tuple[bytes, list[int]]:
    """Return the data with an LF behind each entry that has none, and where those were put in."""
    inserted: list[int] = []
    parts: list[bytes] = []
    start = 0
    for end in ends:
        parts.append(data[start:end])
        if start == end or data[end - 1] != _LF:
            inserted.append(end + len(inserted))
            parts.append(b"\n")
        start = end
    return (b"".join(parts), inserted) if inserted else (data, inserted)


def _without_inserted(edits: list[Edit], inserted: Sequence[int]) -> list[Edit]:
    if not inserted:
        return edits
    moved = []
    for edit in edits:
        before = bisect_left(inserted, edit.start)
        moved.append(edit._replace(start=edit.start - before, end=edit.end - before))
    return moved


def _pieces(work: bytes, *, long_first: bool) -> Iterator[tuple[int, int, bool]]:
    """Cut whole lines into pieces of at most 1 MiB and an LF; a line over that is a piece of its own."""
    at, size = 0, len(work)
    if long_first:
        at = work.find(b"\n") + 1
        yield 0, at, True
    while at < size:
        limit = at + MAX_LINE + 1
        if limit >= size:
            yield at, size, False
            return
        cut = work.rfind(b"\n", at, limit) + 1
        if cut:
            yield at, cut, False
            at = cut
        else:
            end = work.find(b"\n", limit) + 1
            yield at, end, True
            at = end


def closed(step: Callable[[], _Result], withheld: Callable[[Reason, str | None], Withheld]) -> _Result:
    """Run a step; whatever it raises leaves as `Withheld` that holds nothing of the cause.

    Args:
        withheld: makes it of a reason and a rule.

    SECURITY: an exception's text, context and traceback could carry log text. Tested in `test_withheld.py`.
    """
    try:
        return step()
    except Withheld as fault:
        reason: Reason = fault.reason
        rule = fault.rule
    except Exception:  # noqa: BLE001 - fails closed: any fault withholds the text and ends the stream
        reason, rule = "rule_error", None
    raise withheld(reason, rule)


def redactor_for(
    pins: Sequence[str],
    *,
    keys: Keys | None,
    marker: bytes,
    engine: str = "auto",
    profiles: Sequence[Profile] | None = None,
    packs: Sequence[Pack] | None = None,
    tokens: Tokens = "neutralise",
) -> Redactor:
    """Build a redactor for profiles by name and version, with the best engine that passes its self-test here.

    Args:
        pins: such as ``pii-default@1``.
        keys: as `Redactor.build`.
        marker: as `Redactor.build`.
        engine: ``auto``, or one engine by name and no other.
        profiles: the profiles to look in; by default the built-in ones.
        packs: the packs that they name; by default the built-in ones.
        tokens: as `Redactor.build`.

    Raises:
        ProfileUnknown: there is no such profile.
        Withheld: as `Redactor.build`; ``selftest_failed`` where no engine is left.
        EngineUnavailable: there is no engine of that name, or the one asked for does not work here.
    """
    chosen = [profile_named(pin, profiles) for pin in pins]
    known = builtin_packs() if packs is None else packs
    if engine != "auto":
        return Redactor.build(chosen, known, engine=engine_named(engine), keys=keys, marker=marker, tokens=tokens)
    for candidate in ENGINES.values():
        try:
            return Redactor.build(chosen, known, engine=candidate, keys=keys, marker=marker, tokens=tokens)
        except EngineUnavailable:
            continue
        except Withheld as fault:
            if fault.reason != "selftest_failed":
                raise
    raise Withheld("selftest_failed")
