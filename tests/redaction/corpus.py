"""What the tests of redaction share: redactors, made-up secrets, lines of many shapes, and undoing of edits."""

import random
from functools import cache

from hypothesis import strategies as st

from loglease.redaction import Keys, Redacted, Redactor, packs, redactor_for
from loglease.redaction.selftest import example_of

MARKER = bytes(range(16))
KEYS = Keys(bytes(range(32)))
ENGINES = ("hyperscan", "re2", "python")


@cache
def redactor(engine: str = "hyperscan", profile: str = "pii-default@1", tokens: str = "neutralise") -> Redactor:
    return redactor_for([profile], keys=KEYS, marker=MARKER, engine=engine, tokens=tokens)  # type: ignore[arg-type]


def redacted(text: bytes, engine: str = "hyperscan", profile: str = "pii-default@1") -> bytes:
    stream = redactor(engine, profile).open()
    return stream.feed(text).out + stream.close().out


def whole(text: bytes, **kind: str) -> Redacted:
    return redactor(**kind).open().feed(text, [len(text)] if text else [])


EXAMPLES = [example_of(marked).text for pack in packs() for rule in pack.rules for marked in rule.examples]
OTHERS = [example_of(marked).text for pack in packs() for rule in pack.rules for marked in rule.non_examples]
LOOKALIKES = [
    b"trace=4bf92f3577b34da6a3ce929d0e0e4736 span=00f067aa0ba902b7",
    b'{"request_id":"123e4567-e89b-12d3-a456-426614174000"}',
    b"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 pulled",
    b"commit da39a3ee5e6b4b0d3255bfef95601890afd80709 (HEAD -> main)",
    b"ts=1722420000123456789 took=1532",
    b"order 4111111111111112 shipped, invoice 2024073100012345",
    b"pod checkout-7d9f8b6c5d-x2v4q on node ip-10-0-3-17",
    b"dev eth0 00:1b:44:11:3a:b7 up at 12:34:56",
    b"upgraded v1.22.333.4 -> 2.0.0-rc.1+build.5 (Chrome/129.0.0.0)",
    b"password policy check passed for 3 users; token bucket refilled; key rotation done",
    b"GET /assets/logo@2x.png 200 1532 0.004",
    b"user_id=42 session started; retry_after=30s",
    b"std::vector<int>::at(): out of range in Foo::bar()",
    b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    b"2026-07-31T10:00:00.123456+02:00 INFO [main] c.e.App - Started in 3.2 s",
]
NOISE = [
    b"",
    b" ",
    b"plain text",
    b"\r",
    b"a\tb",
    b"\x1b[31mred\x1b[0m",
    b"\x00\x01",
    b"\xff\xfe",
    "ünï ⟦x⟧ 日本".encode(),
]
ESCAPES = [
    b"%40", b"%2540", b"\\u0040", b"\\x40", b"&#64;", b"&commat;", b"\\n", b'\\"', b"\xe2\x80\x8b", b"\xc2\xad", b"=3D",
    b"\\", b'"', b"'", b":", b"=", b"@", b"&", b"-----BEGIN RSA PRIVATE KEY-----", b"-----END RSA PRIVATE KEY-----",
    b"password", b"token: ", b"4111 1111 1111 1111", b"MIIEpAIBAAKCAQEAabcdabcdabcdabcd", b"203.0.113.9", b"::1",
    b"2001:db8::1", b"_", b"x", b"card",
]  # fmt: skip

FRAGMENTS = EXAMPLES + OTHERS + LOOKALIKES + NOISE + ESCAPES
fragments = st.sampled_from(FRAGMENTS)
lines = st.lists(fragments, max_size=5).map(b" ".join) | st.lists(fragments, max_size=5).map(b"".join)
spaced = st.lists(st.lists(fragments, max_size=5).map(b" ".join), max_size=6).map(b"\n".join)
texts = st.lists(lines, max_size=6).map(b"\n".join)


def mixture(seed: int, *, apart: bool = False) -> bytes:
    """Return whole lines mixed from all of the above; equal for equal seeds.

    Args:
        apart: a space stands between any two parts, and no byte of one is changed.
    """
    chance = random.Random(seed)  # noqa: S311 - text for tests
    lines = []
    for _ in range(chance.randrange(1, 6)):
        between = b" " if apart else chance.choice([b"", b" ", b" "])
        line = between.join(chance.choice(FRAGMENTS) for _ in range(chance.randrange(6)))
        if line and not apart and chance.random() < 0.2:
            at = chance.randrange(len(line))
            line = line[:at] + bytes([chance.randrange(256)]) + line[at + 1 :]
        lines.append(line + chance.choice([b"\n", b"\n", b"\n", b"\r\n"]))
    return b"".join(lines)


def undone(result: Redacted, raw: bytes) -> bool:
    """Tell whether the text outside all spans stands in the raw text, in order, with only the spans between."""
    at = left = 0
    for span in result.spans:
        part = result.out[left : span.start]
        place = raw.find(part, at)
        if place < 0 or (left == 0 and place != 0):
            return False
        at, left = place + len(part), span.end
    return raw[at:].endswith(result.out[left:])


SAMPLES = EXAMPLES + LOOKALIKES
