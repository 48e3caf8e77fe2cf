"""The oracle: what redaction means, written to be read. No tripwires, no windows, no chunks; every offset is tried.

It shares with the product what a rule says (patterns, validators, keys) and how an escape reads, and nothing of how
finds are looked for, joined or put in place.
"""

import re

from loglease.redaction import Redactor
from loglease.redaction.blocks import BlockState, key_line
from loglease.redaction.confirm import Find
from loglease.redaction.disguises import MARKS, RUN_MARKS, escape_views, run_views
from loglease.redaction.rules import KeyRule, PatternRule
from loglease.redaction.tokens import canonical_of, mask_token, partial_token, pseudonym

ORDER = {"partial": 1, "pseudonym": 2, "mask": 3}
INSIDE = re.compile(rb"[0-9]{2}|[A-Z]{2}|[a-z]{2}")


def pattern_finds(rule: PatternRule, text: bytes):
    compiled, at = re.compile(rule.pattern.encode(), re.DOTALL), 0
    while at < len(text):
        for start, end in candidates(rule, compiled, text, at):
            if holds(rule, text, start, end, at):
                stop = extended(rule, compiled, text, at, end)
                yield Find(start, stop, rule, text[start:stop])
                at = max(stop, at + 1)
                break
        else:
            at += 1


def candidates(rule: PatternRule, compiled, text: bytes, at: int):
    found = compiled.match(text, at)
    if found is None:
        return
    if rule.all_lengths:
        for end in range(found.end(), at, -1):
            whole = compiled.fullmatch(text, at, end)
            if whole and not INSIDE.match(text, end - 1):
                yield whole.span(rule.mask or 0)
        return
    start, end = found.span(rule.mask or 0)
    if start < 0:
        return
    yield start, end


def extended(rule: PatternRule, compiled, text: bytes, at: int, end: int) -> int:
    if rule.extend and end == compiled.match(text, at).end():
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


def line_finds(active, text: bytes):
    """Return the finds in a line, or None where it has to be masked whole as encoded."""
    raw = list(text_finds(active, text))
    views = []
    if any(re.search(mark.encode(), text) for mark in MARKS):
        found = escape_views(text)
        if found is None:
            return None
        views = found
    runs = list(run_views(text)) if any(re.search(mark.encode(), text) for mark in RUN_MARKS) else []
    seen = []
    for view in (*views, *runs):
        at = 0
        for part in view.text.split(b"\n"):
            for find in text_finds(active, part):
                start, end = view.raw_range(find.start + at, find.end + at)
                seen.append(find._replace(start=start, end=end))
            at += len(part) + 1
    return [*uncut(raw, seen, views), *seen]


def uncut(raw, seen, views):
    for find in raw:
        left = views[0].splits(find.start) if views else None
        right = views[0].splits(find.end) if views else None
        if not (left or right):
            yield find
        elif not any(one.rule is find.rule and one.start < find.end and find.start < one.end for one in seen):
            yield find._replace(start=left[0] if left else find.start, end=right[1] if right else find.end)


def oracle(redactor: Redactor, text: bytes) -> list[tuple[int, int, str, bytes]]:
    """Return start, end, rule and token of every mask in whole lines that hold no control characters."""
    active, plan = redactor.active, redactor._plan
    treatments = {one.rule.id: one.treatment for one in active}
    state, at, masks = BlockState(), 0, []
    for line in text.split(b"\n"):
        finds = line_finds(active, line)
        for matcher, number in plan.blocks:
            begins = re.search(matcher.rule.tripwire.encode(), line)
            if state.rule or begins:
                for start, end in matcher.line(line, state):
                    (finds if finds is not None else []).append(Find(start, end, active[number].rule, line[start:end]))
        if finds is None:
            end = len(line) - line.endswith(b"\r")
            masks.append((at, at + end, "limit.encoded-line", mask_token("encoded-line")))
        else:
            masks += [
                (at + s, at + e, rule, token) for s, e, rule, token in joined(finds, treatments, redactor._keys, line)
            ]
        at += len(line) + 1
    return masks


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
        ranked = sorted(
            enumerate(group),
            key=lambda one: (
                -one[1].rule.severity,
                one[1].start - one[1].end,
                one[1].rule.id,
                one[1].start,
                -one[1].end,
                one[0],
            ),
        )
        named = ranked[0][1]
        treatment = max((treatments[find.rule.id] for find in group), key=lambda one: ORDER[one.kind])
        if ORDER[treatments[named.rule.id].kind] == ORDER[treatment.kind]:
            treatment = treatments[named.rule.id]
        token = mask_token(named.rule.label)
        if treatment.kind != "mask" and (named.start, named.end) == (start, end):
            value = canonical_of(named.rule.cls, named.value)
            if treatment.part:
                token = partial_token(named.rule.label, treatment.part, value)
            else:
                token = pseudonym(value, cls=named.rule.cls, label=named.rule.label, key=keys.pseudonym).encode()
        yield start, end, named.rule.id, token


def boundary(line: bytes, at: int, step: int) -> int:
    for _ in range(3):
        if 0 < at < len(line) and 0x80 <= line[at] < 0xC0:
            at += step
    return at
