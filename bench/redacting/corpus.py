"""A labelled corpus of log lines from a seed: what is planted, what only looks alike, and where each stands, in bytes.

Of the lines 45 % are JSON, 25 % logfmt, the rest access logs, syslog, klog, Java and stack traces. Most hold
look-alikes; 8 % hold an order number in the shape of a card. How many hold something to mask is the density: ``sparse``
2 %, ``dense`` 30 %, ``full`` all ordinary lines. Private keys stand in one line with written line ends, and over many.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote

from bench.redacting.dice import END, LOOK_ALIKE, NAMED, PLANTED, WRITTEN_LF, Dice, look_alike, planted
from bench.redacting.kinds import KINDS, Kind
from bench.redacting.lookalikes import (
    CARD_SHAPED,
    LOOK_ALIKES,
    browser,
    clock,
    nanoseconds,
    plain,
    pod,
    private_address,
    sentence,
)
from bench.redacting.values import key_lines

DENSITIES: Final = {"sparse": 0.02, "dense": 0.30, "full": 1.0}
CARD_SHAPED_SHARE: Final = 0.08
KEY_LINES: Final = "private-key"
# One in so many planted values is a private key over many lines; it takes as many lines as all others together.
KEY_EVERY: Final = 150


class Label(NamedTuple):
    """A labelled value: the range of bytes in the text, the kind, and which value it is a part of.

    A private key over many lines is one value with a label for each line of its payload.
    """

    start: int
    end: int
    kind: str
    value: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """Lines and labels, sorted by place."""

    text: bytes
    planted: tuple[Label, ...]
    look_alikes: tuple[Label, ...]

    @property
    def lines(self) -> int:
        """Return how many lines it has."""
        return self.text.count(b"\n")


class Line(NamedTuple):
    """What a frame is given to write."""

    dice: Dice
    number: int
    message: str
    fields: list[tuple[str, str, bool]]

    @property
    def second(self) -> str:
        """Return the time of day, which goes on as lines are written."""
        return f"{self.number // 36000 % 24:02}:{self.number // 600 % 60:02}:{self.number // 10 % 60:02}"


_LEVELS: Final = ("info", "info", "info", "debug", "warn", "error")
_MARK: Final = re.compile(rf"[{PLANTED}{LOOK_ALIKE}]([^{NAMED}]*){NAMED}([^{END}]*){END}")


def _json(line: Line) -> str:
    dice = line.dice
    pairs = [
        ("ts", json.dumps(f"2026-07-31T{line.second}.{dice.randrange(10**6):06}Z")),
        ("level", json.dumps(dice.choice(_LEVELS))),
        ("service", '"checkout"'),
        ("trace_id", _text(look_alike("trace-id", dice.hexed(32)))),
        ("span_id", _text(look_alike("span-id", dice.hexed(16)))),
        ("pod", _text(look_alike("pod", pod(dice)))),
        ("msg", _text(line.message)),
    ]
    own = [(key, value if number and dice.random() < 0.5 else _text(value)) for key, value, number in line.fields]
    if own and dice.random() < 0.2:
        own = [("ctx", "{" + ",".join(f'"{key}":{value}' for key, value in own) + "}")]
    elif own and dice.random() < 0.1:
        inner = "{" + ",".join(f'"{key}":{value}' for key, value in own) + "}"
        own = [("payload", _text(inner))]
    pairs[5:5] = own
    pairs.append(("status", str(dice.choice([200, 200, 204, 404, 500]))))
    between, colon = dice.choice([(",", ":"), (", ", ": ")])
    return "{" + between.join(f'"{key}"{colon}{value}' for key, value in pairs) + "}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _logfmt(line: Line) -> str:
    dice = line.dice
    own = "".join(f" {key}={_logfmt_value(value)}" for key, value, _ in line.fields)
    return (
        f"ts=2026-07-31T{line.second}.{dice.randrange(1000):03}Z level={dice.choice(_LEVELS)} "
        f"caller=server.go:{dice.randrange(900)} msg={_logfmt_value(line.message)}{own} "
        f"trace_id={look_alike('trace-id', dice.hexed(32))} took={dice.randrange(900)}ms"
    )


def _logfmt_value(value: str) -> str:
    return _text(value) if re.search(r'[\s"=\\]', _MARK.sub(r"\2", value)) else value


def _access(line: Line) -> str:
    dice = line.dice
    query = "&".join([f"page={dice.randrange(90)}", *(f"{key}={_quoted(value)}" for key, value, _ in line.fields)])
    return (
        f"{look_alike('private-address', private_address(dice))} - - [31/Jul/2026:{line.second} +0000] "
        f'"GET /items/{dice.randrange(10**6)}?{query} HTTP/1.1" {dice.choice([200, 200, 304, 404])} '
        f'{dice.randrange(10**5)} "-" "{look_alike("browser", browser(dice))}"'
    )


def _quoted(value: str) -> str:
    """Write a value as a part of an address, as programs (everything) or browsers (what has to be) escape it."""
    safe = "" if PLANTED in value else "/:@%?&="
    return "".join(
        mark + kind + NAMED * bool(mark) + quote(text, safe=safe) + END * bool(mark)
        for mark, kind, text in _parts(value)
    )


def _syslog(line: Line) -> str:
    return f"Jul 31 {line.second} node-{line.dice.randrange(40)} shopd[{line.dice.randrange(30000)}]: {_said(line)}"


def _klog(line: Line) -> str:
    dice = line.dice
    begin = f"{dice.choice('IWE')}0731 {line.second}.{dice.randrange(10**6):06} {dice.randrange(1, 9):7}"
    return f"{begin} {dice.choice(['controller', 'reflector', 'store'])}.go:{dice.randrange(900)}] {_said(line)}"


def _java(line: Line) -> str:
    dice = line.dice
    worker = f"[http-nio-8080-exec-{dice.randrange(40)}]"
    return f"2026-07-31 {line.second},{dice.randrange(1000):03} INFO  {worker} c.e.shop.OrderService - {_said(line)}"


def _trace(line: Line) -> str:
    dice = line.dice
    places = [
        f"\tat com.acme.shop.{dice.choice(['Cart', 'Ledger', 'Order'])}{dice.choice(['Service', 'Client'])}."
        f"{dice.choice(['apply', 'call', 'lambda$run$0'])}(Shop.java:{dice.randrange(900)})"
        for _ in range(dice.randrange(3, 7))
    ]
    return "\n".join([f"java.lang.IllegalStateException: {_said(line)}", *places])


def _said(line: Line) -> str:
    return "".join(f"{key}={_logfmt_value(value)} " for key, value, _ in line.fields) + line.message


# Frames with their share of the entries; a stack trace has several lines.
FRAMES: Final[tuple[tuple[Callable[[Line], str], float], ...]] = (
    (_json, 46.5), (_logfmt, 26), (_access, 9), (_syslog, 7.5), (_klog, 4.5), (_java, 5.5), (_trace, 1),
)  # fmt: skip


class Writer:
    """Writes one corpus, entry by entry."""

    def __init__(self, seed: int, share: float, escapes_every: int | None) -> None:
        self._dice = Dice(seed)
        self._share = share
        self._escapes_every = escapes_every
        self._deck: list[Kind] = []
        self._number = 0
        self._until_key = 1

    def entries(self) -> Iterator[str]:
        """Yield marked entries without end, each of one line or more."""
        dice = self._dice
        frames, weights = [frame for frame, _ in FRAMES], [weight for _, weight in FRAMES]
        while True:
            self._number += 1
            frame = dice.choices(frames, weights)[0]
            if dice.random() < self._share:
                self._until_key -= 1
                if self._until_key == 0:
                    self._until_key = KEY_EVERY
                    yield from self._key(frame)
                    continue
                yield frame(self._holding(frame))
            else:
                yield frame(self._ordinary())

    def _ordinary(self) -> Line:
        """Return a line that holds nothing to mask, and mostly something that looks so."""
        dice = self._dice
        fields = self._look_alikes()
        if dice.random() < 0.35:
            return Line(dice, self._number, sentence(dice, dice.choice(LOOK_ALIKES)), fields)
        return Line(dice, self._number, plain(dice), fields)

    def _look_alikes(self) -> list[tuple[str, str, bool]]:
        dice = self._dice
        kinds = [dice.choice(LOOK_ALIKES)] if dice.random() < 0.6 else []
        if dice.random() < CARD_SHAPED_SHARE:
            kinds.append(CARD_SHAPED)
        fields = [
            (dice.choice(kind.fields), look_alike(kind.name, kind.draw(dice)), kind is CARD_SHAPED)
            for kind in kinds
            if kind.fields
        ]
        if self._escapes_every and self._number % self._escapes_every == 0:
            fields.append(
                ("url", f"/search?q=caf%C3%A9%20{dice.randrange(900)}%2F{dice.randrange(9)}&next=%2Fhome", False)
            )
        return fields

    def _holding(self, frame: Callable[[Line], str]) -> Line:
        """Return a line that holds a planted value: in a field of its own, or in what it says."""
        dice, fields = self._dice, self._look_alikes()
        kind = self._drawn(fielded=frame is _access)
        if frame is _access or (kind.fields and dice.random() < 0.5):
            fields.append((dice.choice(kind.fields), kind.marked(dice), kind.number))
            dice.shuffle(fields)
            return Line(dice, self._number, plain(dice), fields)
        said = dice.choice(kind.texts).replace("{}", kind.marked(dice))
        return Line(dice, self._number, f"{plain(dice)}: {said}" if dice.random() < 0.3 else said, fields)

    def _drawn(self, *, fielded: bool) -> Kind:
        """Draw the next kind from a shuffled deck, so that each comes as often as any other."""
        place = next((at for at, kind in enumerate(self._deck) if kind.fields or not fielded), None)
        if place is None:
            fresh = list(KINDS)
            self._dice.shuffle(fresh)
            self._deck += fresh
            return self._drawn(fielded=fielded)
        return self._deck.pop(place)

    def _key(self, frame: Callable[[Line], str]) -> Iterator[str]:
        """Yield the lines of a private key, each framed as its writer frames lines."""
        dice = self._dice
        begin, payload, end = key_lines(dice)
        yield (_java if frame is _access else frame)(Line(dice, self._number, "loaded signing key", []))
        around = dice.choice(KEY_FRAMES)(dice)
        yield "\n".join(around(line) for line in (begin, *(planted(KEY_LINES, part) for part in payload), end))


def _behind(prefix: str) -> Callable[[str], str]:
    return lambda line: prefix + line


def _in_a_field(dice: Dice) -> Callable[[str], str]:
    trace = look_alike("trace-id", dice.hexed(32))
    return lambda line: f'{{"level":"debug","msg":{_text(line)},"trace_id":"{trace}"}}'


def _in_logfmt(dice: Dice) -> Callable[[str], str]:
    trace = look_alike("trace-id", dice.hexed(32))
    return lambda line: f'level=debug msg="{line}" trace_id={trace}'


def _in_a_container(dice: Dice) -> Callable[[str], str]:
    moment = f"2026-07-31T{clock(dice)}.{dice.digits(9)}Z"
    return lambda line: f'{{"log":{_text(line + WRITTEN_LF)},"stream":"stderr","time":"{moment}"}}'


# How the lines of a key over many lines are framed.
KEY_FRAMES: Final[tuple[Callable[[Dice], Callable[[str], str]], ...]] = (
    lambda _: _behind(""),
    lambda _: _behind("    "),
    lambda dice: _behind(f"Jul 31 {clock(dice)} node-3 shopd[{dice.randrange(30000)}]: "),
    lambda dice: _behind(f"{nanoseconds(dice)} "),
    lambda dice: _behind(f"2026-07-31T{clock(dice)}.{dice.digits(9)}Z stderr F "),
    _in_a_field,
    _in_logfmt,
    _in_a_container,
)


def generated(density: str, lines: int, *, seed: int = 1, escapes_every: int | None = None) -> Corpus:
    """Return a corpus of at least so many lines.

    Args:
        density: a key of `DENSITIES`.
        lines: how many.
        seed: the same one gives the same corpus.
        escapes_every: every so many entries hold an address with percent-escapes.
    """
    parts: list[bytes] = []
    labels: dict[str, list[Label]] = {PLANTED: [], LOOK_ALIKE: []}
    at = written = value = 0
    for entry in Writer(seed, DENSITIES[density], escapes_every).entries():
        value += 1  # that of all lines of a key in the entry
        key = value
        for mark, kind, text in _parts(entry.replace(WRITTEN_LF, "\\n") + "\n"):
            raw = text.encode()
            if mark:
                value += 1
                labels[mark].append(Label(at, at + len(raw), kind, key if kind == KEY_LINES else value))
            parts.append(raw)
            at += len(raw)
        written += entry.count("\n") + 1
        if written >= lines:
            break
    return Corpus(b"".join(parts), tuple(labels[PLANTED]), tuple(labels[LOOK_ALIKE]))


def _parts(entry: str) -> Iterator[tuple[str, str, str]]:
    """Yield an entry in parts: mark and kind, both empty for what is not labelled, and the text."""
    at = 0
    for found in _MARK.finditer(entry):
        yield "", "", entry[at : found.start()]
        yield found[0][0], found[1], found[2]
        at = found.end()
    yield "", "", entry[at:]
