"""The oracle: what redaction means, written to be read. No tripwires, no windows, no chunks; every offset is tried.

It shares with the product what a rule says (patterns, validators, where the value of a key ends, marks of blocks), how
an escape reads and how a token is written, and nothing of how finds are looked for, joined or put in place.
"""

import json
import re
import string

from loglease.redaction import Redactor, Span
from loglease.redaction.blocks import BlockState, key_line
from loglease.redaction.confirm import Find
from loglease.redaction.disguises import escape_views, is_text, run_views
from loglease.redaction.edits import quote_around
from loglease.redaction.marks import MARKS
from loglease.redaction.rules import KeyRule, PatternRule
from loglease.redaction.scanning import at_whole_escapes
from loglease.redaction.tokens import canonical_of, mask_token, partial_token, pseudonym

SCALAR = string.ascii_letters + string.digits + ".+-"
ORDER = {"partial": 1, "pseudonym": 2, "mask": 3}
SEQUENCE = re.compile(rb"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]")
REPLACED = {*range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)}
REPLACED |= {0x27E6, 0x27E7, *range(0xE0000, 0xE0080)}


def oracle(redactor: Redactor, text: bytes) -> tuple[bytes, list[Span]]:
    """Return what becomes of a stream's text, whole lines, and the spans in it."""
    plan = redactor._plan
    treatments = {one.rule.id: one.treatment for one in redactor.active}
    state, out, spans = BlockState(), b"", []
    for line in text.split(b"\n")[:-1]:
        at = 0
        for start, end, token, span in edits(redactor, plan, treatments, line, state):
            out += line[at:start]
            spans.append(Span(len(out), len(out) + len(token), *span))
            out += token
            at = end
        out += line[at:] + b"\n"
    return out, spans


def edits(redactor: Redactor, plan, treatments, line: bytes, state: BlockState):
    """Return start, end, replacement and what a span says of it, in order."""
    if len(line) > 1 << 20:
        return [whole(line, "long-line")]
    finds = line_finds(redactor.active, plan.blocks, line)
    for matcher, number in plan.blocks:
        if state.rule in {None, matcher.rule.id}:
            for start, end in matcher.line(line, state):
                (finds if finds is not None else []).append(
                    Find(start, end, redactor.active[number].rule, line[start:end])
                )
    finds = finds and within_json(finds, line)
    limit = None if finds is not None else "encoded-line"
    if redactor.active and line.count(0) * 10 > len(line):
        limit = "binary"
    elif finds is not None and sum(find.end > find.start for find in finds) > 10_000:
        limit = "line"
    if limit is not None:
        return [whole(line, limit)] if line.rstrip(b"\r") or len(line) > 1 else controls(line)
    masks = list(joined(finds, treatments, redactor._keys, line))
    kept = [
        (start, min([end, *(mask[0] for mask in masks if mask[0] > start)]), *rest)
        for start, end, *rest in controls(line)
        if not any(mask[0] <= start < mask[1] for mask in masks)
    ]
    return sorted([*masks, *kept], key=lambda one: one[0])


def within_json(finds, line: bytes):
    """Return finds of which none leaves the string or number in which it begins, in a line that is one document."""
    try:
        if not isinstance(json.loads(line.decode()), dict | list):
            return finds
    except (ValueError, RecursionError):
        return finds
    part_of = parts(line)
    kept = []
    for find in finds:
        start = find.start + (line[find.start] == 0x22 and not part_of[find.start])
        part = part_of[start] if start < len(line) else 0
        here = [at for at in range(len(line)) if part and part_of[at] == part]
        if part > 0:
            here = [at for at in here if start <= at < find.end]
        if here and (here[0], here[-1] + 1) == (find.start, find.end):
            kept.append(find)
        elif here:
            kept.append(Find(here[0], here[-1] + 1, find.rule, line[here[0] : here[-1] + 1]))
    return kept


def parts(line: bytes) -> list[int]:
    """Return for each byte of a document its string, as a number from 1, its scalar, as one below 0, or 0."""
    found, strings, scalars, is_inside, is_escaped = [], 0, 0, False, False
    for byte in line:
        if byte == 0x22 and not is_escaped:
            is_inside = not is_inside
            strings += is_inside
            found.append(0)
        elif is_inside:
            found.append(strings)
        elif chr(byte) in SCALAR:
            scalars += not (found and found[-1] < 0)
            found.append(-scalars)
        else:
            found.append(0)
        is_escaped = byte == 0x5C and not is_escaped
    return found


def whole(line: bytes, limit: str):
    return 0, len(line) - line.endswith(b"\r"), mask_token(limit), ("mask", f"limit.{limit}", "limit", "mask")


def pattern_finds(rule: PatternRule, text: bytes):
    compiled, at = re.compile(rule.pattern.encode(), re.DOTALL), 0
    # The next offset at which it matches is, by the meaning of `search`, the first of all that are tried in turn.
    while found := compiled.search(text, at):
        at = found.start()
        for start, end in candidates(rule, compiled, text, found):
            if holds(rule, text, start, end, at):
                stop = extended(rule, text, found, end)
                yield Find(start, stop, rule, text[start:stop])
                at = max(stop, at + 1)
                break
        else:
            at += 1


def candidates(rule: PatternRule, compiled, text: bytes, found):
    if not rule.all_lengths:
        if found.start(rule.mask or 0) >= 0:
            yield found.span(rule.mask or 0)
        return
    for end in range(found.end(), found.start(), -1):
        if one := compiled.fullmatch(text, found.start(), end):
            yield one.span(rule.mask or 0)


def extended(rule: PatternRule, text: bytes, found, end: int) -> int:
    if rule.extend and end == found.end():
        while end < len(text) and re.match(rule.extend.encode(), text[end : end + 1]):
            end += 1
    return end


def holds(rule: PatternRule, text: bytes, start: int, end: int, begun: int) -> bool:
    def stands(near) -> bool:
        before = text[max(0, begun - near.within) : begun].lower()
        return any(word in before for word in near.words)

    if rule.near and not stands(rule.near):
        return False
    if rule.not_near and stands(rule.not_near):
        return False
    return all(check(text, start, end) for check in rule.validate)


def text_finds(active, text: bytes):
    for one in active:
        if isinstance(one.rule, PatternRule):
            yield from pattern_finds(one.rule, text)
        elif isinstance(one.rule, KeyRule):
            yield from one.matcher.finds(text, 0, len(text))
        elif one.rule.id.endswith(".key-line") and (found := key_line(text)):
            yield Find(*found, one.rule, text[found[0] : found[1]])


def marked(text: bytes) -> bool:
    return any(re.search(mark.encode(), text) for mark in MARKS)


def all_views(text: bytes, every: bool) -> list | None:
    """Return every view of a line, generation by generation; None where it has to be masked whole as encoded."""
    found = escape_views(text) if marked(text) else []
    if found is None:
        return None
    runs = list(run_views(text, every=every))
    for view in found:
        runs += run_views(view.text, view, known=view.parent.text if view.parent else text, every=every)
    views = [*found, *runs]
    for run in runs:
        if marked(run.text) and is_text(run.text):
            inner = escape_views(run.text, run)
            if inner is None:
                return None
            views += inner
    return views


def line_finds(active, blocks, text: bytes):
    """Return the finds in a line, or None where it has to be masked whole as encoded."""
    if not active:
        return []
    raw = list(text_finds(active, text))
    views = all_views(text, any(one.rule.cls == "opaque.run" for one in active))
    if views is None:
        return None
    seen = []
    for view in views:
        at = 0
        states = [(matcher, BlockState(), number) for matcher, number in blocks]
        for part in view.text.split(b"\n"):
            finds = list(text_finds(active, part))
            for matcher, state, number in states:
                finds += [Find(s, e, active[number].rule, part[s:e]) for s, e in matcher.line(part, state)]
            for find in finds:
                start, end = view.raw_range(find.start + at, find.end + at)
                seen.append(find._replace(start=start, end=end))
            at += len(part) + 1
    return [*reversed(seen), *(at_whole_escapes(raw, seen, text) if marked(text) else raw)]


def joined(finds, treatments, keys, line):
    groups: list[list[Find]] = []
    finds = [
        find._replace(start=boundary(line, find.start, -1), end=boundary(line, find.end, 1))
        for find in finds
        if find.start < find.end
    ]
    for find in sorted(finds, key=lambda one: one.start):
        if groups and find.start < max(one.end for one in groups[-1]):
            groups[-1].append(find)
        else:
            groups.append([find])
    for group in groups:
        start, end = group[0].start, max(find.end for find in group)
        named = min(group, key=lambda one: (-one.rule.severity, one.start - one.end, one.rule.id, one.start))
        treatment = max((treatments[find.rule.id] for find in group), key=lambda one: ORDER[one.kind])
        if ORDER[treatments[named.rule.id].kind] == ORDER[treatment.kind]:
            treatment = treatments[named.rule.id]
        token, kind = mask_token(named.rule.label), "mask"
        if treatment.kind != "mask" and (named.start, named.end) == (start, end):
            value, kind = canonical_of(named.rule.cls, named.value), treatment.kind
            if treatment.part:
                token = partial_token(named.rule.label, treatment.part, value)
            else:
                token = pseudonym(value, cls=named.rule.cls, label=named.rule.label, key=keys.pseudonym).encode()
        quote = quote_around(line, start, end)
        yield start, end, quote + token + quote, ("mask", named.rule.id, named.rule.cls, kind)


def boundary(line: bytes, at: int, step: int) -> int:
    for _ in range(3):
        if 0 < at < len(line) and 0x80 <= line[at] < 0xC0:
            at += step
    return at


def controls(line: bytes):
    """Return the edits of what may not pass whatever the profile; a CR at the end belongs to the line's end."""
    found, at, end = [], 0, len(line) - line.endswith(b"\r")

    def replaced(stop: int, text: str) -> int:
        found.append((at, stop, text.encode(), ("control", "control", "control", "neutralise")))
        return stop

    while at < end:
        byte = line[at]
        if sequence := SEQUENCE.match(line, at):
            at = replaced(sequence.end(), "␛")
        elif byte == 0x7F:
            at = replaced(at + 1, "␡")
        elif byte < 0x20 and byte != 0x09:
            at = replaced(at + 1, chr(0x2400 + byte))
        elif byte < 0x80:
            at += 1
        else:
            size, char = character(line[at : at + 4])
            at = (
                replaced(at + size, "\N{REPLACEMENT CHARACTER}") if char is None or ord(char) in REPLACED else at + size
            )
    return found


def character(data: bytes) -> tuple[int, str | None]:
    """Return the bytes and the character that data begins with; None for bytes that are none."""
    try:
        char = data.decode()[0]
    except UnicodeDecodeError as fault:
        if fault.start == 0:
            return fault.end, None
        char = data[: fault.start].decode()[0]
    return len(char.encode()), char
