"""Keys and the values they name, in the shapes that logs have: JSON, logfmt, headers, YAML, XML, options, structures.

Nothing is parsed as a whole: a key is found, its separator follows, and the value runs to its closing quote or
separator, however long. A quote that never closes runs to the end of the line: rather too much than a tail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from loglease.redaction.patterns import shape_of
from loglease.redaction.rules import key_pattern

Accepts = Callable[[bytes], bool]
MAX_REFUSED: Final = 16
"""Values one inside another that may be refused; the next is masked whatever it is, so that time stays linear."""

# A class behind a name is PHP's for a property that is not public, a length that of a text that PHP has serialised.
# Tables and plans line values up behind many spaces.
_SEPARATOR: Final = (
    r"(?P<close>(?:\\{0,7}[\"'`])?)"
    r"(?:(?::\\{0,7}\"[\w\\]{1,80}\")?:(?:protected|private)\]|:[\w\\]{1,80}:private\]|\]?)"
    r"[ \t]{0,64}(?:(?P<sep>=>|:=|={1,2}|:|;s:[0-9]{1,7}:)[ \t]{0,64}|(?P<other>[ \t]{1,64}|[>,}/]))"
)
# What stands between a separator and a quoted value: its type and length, or what holds it.
_HOLDER: Final = re.compile(
    rb"!![a-z]{1,16}[ \t](?=[^ \t])"
    rb"|(?:string(?:\([0-9]{1,7}\))?[ \t]"
    rb"|\(\*?string\)[ \t]?(?:\(0x[0-9a-f]{1,16}\)\()?\(len=[0-9]{1,7}\)[ \t]"
    rb"|(?:Some|Optional|Just|Secret|SecretStr|SecretString|Zeroizing)\(|<<|\[\]string\{)(?=\\{0,7}[\"'])"
)
# The value of ODBC in braces, which it needs for what is no word, and the member of an object that has the value in it.
_BRACED: Final = re.compile(rb"(?<==)\{(?![\w.$]+\})(?P<value>[^{}\n\"', \t]{1,1024})\};")
_INNER: Final = re.compile(
    rb"(?i)\{(?:[^{}\[\]\n]{0,160}?[ \t,])?\\{0,7}[\"'](?:value|S)(?P<close>\\{0,7}[\"'])"
    rb"[ \t]{0,4}[:=][ \t]{0,4}(?=[\\\"'])"
)
_OPEN: Final = re.compile(rb"(?:[bur]{1,2}(?=[\"']))?(?P<quote>\\{0,7}[\"'`])")
_NAME: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_LONGEST_NAME: Final = 64
_NUMBER: Final = re.compile(rb"-?[0-9][0-9.eE+-]{0,63}(?=[ \t]*(?:[,}\]]|\Z))|(?:true|false|null)(?![\w])")
# What ends a bare value: a space, TAB or CR, a double quote, '&'; ',' and ';' only before a gap or another key; an
# apostrophe only before something that ends words.
_BARE: Final = re.compile(rb"(?:[^ \t\r\n\"&,;'\\]|[,;](?!\s|[\w.-]{1,40}[=:]|\Z)|'(?![\s,;)\]}:]|\Z)|\\(?![\"nrt']))+")
_ESCAPED_QUOTE: Final = re.compile(rb"\\[\"']")
_GAP: Final = re.compile(rb"[ \t,]*")
_TAG: Final = re.compile(rb"<(?:[\w.-]{1,64}:)?[\w.-]{0,64}\Z")
_ELEMENT: Final = re.compile(
    rb"(?:[^<>\n]{0,256}(?<!/)>)?(?:<!\[CDATA\[(?P<raw>(?:[^\]]|\](?!\]>))+)|(?P<plain>[^<]+))"
)
# Two members beside each other: one says what is named, the other which value it has.
_NAMING: Final = re.compile(
    rb"(?i)(?:\\{0,7}[\"'])?(?<![\w-])(?:name|key|var|variable|parameter_?key)\\{0,7}[\"']?[ \t]{0,4}[:=]"
    rb"[ \t]{0,4}\\{0,7}[\"']?[\w.-]{0,64}\Z"
)
_VALUE_KEY: Final = re.compile(rb"(?i)(?:parameter_?)?value(?P<close>\\{0,7}[\"']?)[ \t]{0,4}[:=][ \t]{0,4}")
_BESIDE: Final = re.compile(rb"[ \t]{0,8}[ \t,][ \t]{0,8}\\{0,7}[\"']?")
# What stands before the kind of a thing in the name of a resource, where that kind looks like a key.
_RESOURCE: Final = re.compile(rb"arn:[a-z-]{3,12}:[a-z0-9-]{2,32}:[a-z0-9-]{0,24}:[0-9]{12}:\Z")
_LONGEST_RESOURCE: Final = 96
_FARTHEST: Final = 8192
_MOST_TRIES: Final = 8
_CLOSERS: Final = {ord(")"): b"(", ord("]"): b"[", ord("}"): b"{", ord(">"): b"<"}


class KeyMatcher:
    """All spellings of some keys."""

    def __init__(self, keys: Sequence[str]) -> None:
        spelled = key_pattern([key.lower() for key in keys])
        pattern = f"(?P<key>{spelled}){_SEPARATOR}"
        # For lower-case text: `re` skips what cannot begin a key far faster than where it has to ignore case.
        self._pattern = re.compile(pattern.encode())
        self._reach = shape_of(pattern).longest
        self._whole = re.compile(f"(?i){spelled}\\Z".encode())

    def names(self, key: bytes) -> bool:
        """Tell whether a label or field ends with one of the keys, as whole words."""
        at = 0
        while found := self._whole.search(key, at):
            if _begins_word(key, found.start()):
                return True
            at = found.start() + 1
        return False

    def values(self, text: bytes, low: int, high: int, accepts: Accepts) -> Iterator[tuple[int, int]]:
        """Yield start and end of each accepted value that a key names.

        Inside a value that is not accepted the search goes on, so that a key in it is found, too.

        Args:
            text: one line.
            low: no key begins before.
            high: no key begins here or behind.
            accepts: tells of a value whether it is one to mask.
        """
        at, refused_end, refused = low, -1, 0
        lowered = text.lower()
        while at < high and (found := self._pattern.search(lowered, at, high + self._reach)):
            begun = found.start()
            if begun >= high:
                return
            at = begun + 1
            if not _begins_word(text, begun) or _names_other(text, begun):
                continue
            if at > refused_end:
                refused = 0
            for start, end in _values(text, found):
                if refused < MAX_REFUSED and not accepts(text[start:end]):
                    refused_end, refused = max(refused_end, end), refused + 1
                    continue
                yield start, end
                at = max(at, end)


def _names_other(text: bytes, at: int) -> bool:
    """Tell whether a key is none: ``arn:aws:secretsmanager:eu-west-1:123456789012:secret:``, ``--- PASS: TestName``."""
    if text.startswith(b"PASS: ", at):
        return text[max(0, at - 4) : at] == b"--- "
    return text[at - 1 : at] == b":" and _RESOURCE.search(text, max(0, at - _LONGEST_RESOURCE), at) is not None


def _begins_word(text: bytes, at: int) -> bool:
    """Tell whether a word begins here, at the start, behind a separator, `-D` or the small half of a camelCase name."""
    if at == 0:
        return True
    before, first = text[at - 1 : at], text[at : at + 1]
    if not before.isalnum() or text[at - 2 : at] == b"-D":
        return True
    if not first.isupper():
        return False
    return before.islower() or text[at + 1 : at + 2].islower()


def _values(text: bytes, found: re.Match[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the values that a key names."""
    at = found.end()
    other = found["other"]
    if other is not None:
        if (beside := _value_beside(text, found)) is not None:
            yield beside
            return
        if other in b",}/":
            return
        before = text[max(0, found.start() - _LONGEST_NAME) : found.start()]
        begun = found.start() - len(before) + len(before.rstrip(_NAME))
        if _TAG.search(text, max(0, found.start() - 130), found.start()):
            # An attribute that a key names is found by itself; what follows the tag is the element's value.
            if (other == b">" or b">" in text[at : at + 257]) and (element := _ELEMENT.match(text, at)):
                yield element.span(element.lastgroup or 0)
            return
        if other == b">":
            return
        is_apart = text[found.end("key")] in b" \t"
        if not is_apart or not _takes_next(text, begun, at):
            return
    yield from _values_at(text, at, found["close"])


def _values_at(text: bytes, at: int, close: bytes) -> Iterator[tuple[int, int]]:
    """Yield the value that begins behind a separator, or those of an array, or the one inside what holds it."""
    if holder := _HOLDER.match(text, at):
        at = holder.end()
    elif text[at : at + 1] == b"[" and close:
        yield from _array(text, at + 1, close)
        return
    elif inner := _INNER.match(text, at):
        at, close = inner.end(), inner["close"]
    elif braced := _BRACED.match(text, at):
        yield braced.span("value")
        return
    value = _value(text, at, close)
    if value is not None:
        yield value[:2]


def _takes_next(text: bytes, begun: int, at: int) -> bool:
    """Tell whether the word behind a name and a space is its value: of an option, or of a keyword before a text."""
    if text[begun : begun + 2] == b"--":
        return text[at : at + 2] != b"--"
    before = text[max(0, begun - 1) : begun]
    if text[begun : begun + 1] == b"-":
        return before in {b"", b" ", b"\t", b"'", b'"', b">"} and text[at : at + 1] not in {b"-", b""}
    return before == b":" and text[at : at + 1] == b'"' and text[begun - 2 : begun - 1] in {b"", b" ", b"{", b"["}


def _value_beside(text: bytes, found: re.Match[bytes]) -> tuple[int, int] | None:
    """Return the value of what has a key for its name, as in ``"name":"key","value":"…"``; in either order."""
    gap = _BESIDE.match(text, found.end("close"))
    behind = _VALUE_KEY.match(text, gap.end()) if gap else None
    if behind is None and text[found.end() - 1] not in b",}/>":
        return None
    named = _NAMING.search(text, max(0, found.start() - 2 * _LONGEST_NAME), found.start())
    if named is None:
        return None
    if behind is not None:
        value = _value(text, behind.end(), behind["close"])
        return None if value is None else value[:2]
    before = _value_before(text, found.string, named.start())
    if before is None and text[found.end() - 1] == ord(">") and (element := _ELEMENT.match(text, found.end() - 1)):
        return element.span(element.lastgroup or 0)
    return before


def _value_before(text: bytes, lowered: bytes, end: int) -> tuple[int, int] | None:
    """Return the value of the member that ends before a place."""
    stop = end
    for _ in range(_MOST_TRIES):
        stop = lowered.rfind(b"value", max(0, end - _FARTHEST), stop)
        key = _VALUE_KEY.match(text, stop) if stop >= 0 else None
        value = _value(text, key.end(), key["close"]) if key else None
        if value is not None and value[2] < end and not text[value[2] : end].strip(b" \t,"):
            return value[:2]
        if stop < 0:
            break
    return None


def _array(text: bytes, at: int, quote: bytes) -> Iterator[tuple[int, int]]:
    """Yield the values of a JSON array of texts and numbers."""
    while at < len(text):
        found = _GAP.match(text, at)
        at = found.end() if found else at
        if text[at : at + 1] in {b"]", b"{", b"[", b""}:
            return
        value = _value(text, at, quote)
        if value is None or value[2] <= at:
            return
        yield value[:2]
        at = value[2]


def _value(text: bytes, at: int, close: bytes) -> tuple[int, int, int] | None:
    """Return start and end of the value that begins here, and where its own syntax ends."""
    opened = _OPEN.match(text, at)
    if opened and _opens(text, opened):
        end = _closing(text, opened.end(), opened["quote"])
        return opened.end(), end, end + len(opened["quote"])
    if text[at : at + 1] in {b"{", b"["}:
        return None
    if close.endswith(b'"') and (number := _NUMBER.match(text, at)):
        return at, number.end(), number.end()
    bare = _BARE.match(text, at)
    if bare is None:
        return None
    end = bare.end()
    if _ESCAPED_QUOTE.match(text, end):
        end += 2 - quote_length(end + 2 - _before_slashes(text, at, end))
    end = _trimmed(text, at, end)
    return (at, end, end) if end > at else None


def _opens(text: bytes, found: re.Match[bytes]) -> bool:
    """Tell whether a quote opens a value: with backslashes before it that end one, only if the same follows."""
    quote = found["quote"]
    return len(quote) == quote_length(len(quote)) or text.find(quote, found.end()) >= 0


def quote_length(size: int) -> int:
    """Return how long the quote is by which a run of backslashes and a quote, so long together, ends its text.

    At each level of nesting all of these double, so that what is before the quote of its level are pairs of the text.
    """
    return size & -size


def _before_slashes(text: bytes, low: int, at: int) -> int:
    """Return where the backslashes before a place begin, not before `low`."""
    while at > low and text[at - 1] == 0x5C:  # noqa: PLR2004 - a backslash
        at -= 1
    return at


def _closing(text: bytes, at: int, quote: bytes) -> int:
    """Return where a quoted value ends: before the same quote with as many backslashes, else at the end of the line.

    More backslashes escape the quote within the value, unless they are pairs at its own level of nesting: those are the
    end of the value.
    """
    depth = len(quote) - 1
    mark = quote[-1:]
    while (end := text.find(mark, at)) >= 0:
        slashes = _before_slashes(text, at, end)
        count = end - slashes
        if count < depth:
            return slashes
        if (count - depth) % (2 * depth + 2) == 0:
            return end - depth
        at = end + 1
    return len(text)


def _trimmed(text: bytes, start: int, end: int) -> int:
    """Leave out a bracket at the end that closes one opened before the value, and a separator behind the value."""
    while end > start:
        last = text[end - 1]
        opener = _CLOSERS.get(last)
        closes = opener is not None and opener in text[max(0, start - 256) : start] and opener not in text[start:end]
        if not closes and last not in b",;":
            break
        end -= 1
    return end
