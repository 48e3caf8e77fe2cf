"""What stands in a secret's place and is none: a state, a message, the name of where it is kept, a folder, words."""

from __future__ import annotations

import re
from typing import Final

# One word that tells how a value is, in its place.
_STATES: Final = frozenset(
    b"absent accepted anonymous authentication blocked bounced cannot changed chauthtok checking configured "
    b"created disabled enabled encrypted expired failed filtered generated hidden incorrect invalid is loaded "
    b"locked masked mismatch mismatched missing must n/a no none not null ok omitted optional present protected "
    b"provided redacted rejected removed required reset revoked rotated sent set should string supplied too "
    b"unchanged undefined unknown unset unverified updated valid verified via yes".split()
)
# What a message about a value is made of. SECURITY: two words or more, and nothing else may be between them.
_SAID: Final = frozenset(
    b"a an and any are as at be been blank can can't cannot character characters common confirm confirmation "
    b"contain contains did didn't digit digits do does doesn't don't empty ensure enter entirely exceed expected "
    b"expired failed fewer field has have in include incorrect invalid is it least length less letter letters "
    b"long longer lowercase match matches maximum may minimum missing more must no not null number numbers "
    b"numeric of one only or passphrase password passwords please previously provide provided recently required "
    b"reused same set short shorter should similar special string supplied symbol symbols than that the this to "
    b"token too uppercase used valid value was weak were with wrong you your".split()
)
_TELLING: Final = frozenset(
    b"blank can't cannot common contain didn't doesn't don't empty expected expired failed incorrect invalid "
    b"long longer match missing must not numeric required reused short shorter should similar valid weak wrong".split()
)
_SAID_WORD: Final = re.compile(rb"[A-Za-z']+|[0-9]{1,3}")
_SAID_ONLY: Final = re.compile(rb"[A-Za-z0-9 .,:;!()'-]{5,200}")
_DIGIT: Final = re.compile(rb"[0-9]")
_WORDS_WITH_NUMBER: Final = 5
_BEFORE_STATE: Final = b"*([<"
_BEHIND_STATE: Final = b").,:;!]}>*"
# A name for a secret that is kept elsewhere, or of something else: a file, a resource, an object of a cluster, a
# security identifier, an id of Twilio's, a keyed digest.
_REFERENCE: Final = re.compile(
    rb"/(?:etc|run|var|home|root|srv|opt|usr|tmp|mnt|app|data|secrets?|config|certs?|keys|Users|workspace|builds)/"
    rb"[a-zA-Z][\w.@+/-]{1,500}"
    rb"|arn:aws[a-z-]{0,8}:[a-z0-9-]{2,32}:[a-z0-9-]{0,24}:[0-9]{0,12}:[\w./:+=@*-]{1,512}|alias/[a-z][a-z/_-]{1,64}"
    rb"|(?=[a-z-]{2,63}/)(?:[a-z]+-)*[a-z]+/(?=[a-z0-9]*[-.])[a-z]+(?:[-.](?:[a-z]+|[0-9]{1,3}))*"
    rb"|(?:AC|CA|CF|IS|MG|MM|PN|RE|SM)[0-9a-f]{32}|0x[0-9a-f]{1,16}|S-1-[0-9]{1,3}(?:-[0-9]{1,10}){1,15}|hmac-sha256:[0-9a-f]{64}"
)
_FOLDER: Final = re.compile(
    rb"~?/(?:[a-z0-9_.-]{0,255}|(?:Users|[a-z0-9_.-]{1,255})/[\w.@+:=,/-]{0,4096})|~|[A-Za-z]:[\\/][\w.\\/ -]{1,4096}"
)
_WORDS: Final = re.compile(rb"[a-z]{3,}[0-9]{0,3}(?:[-_./](?:[a-z]{2,}[0-9]{0,4}|v?[0-9]{1,4}[a-z]{0,4})){2,64}")
_OBJECT: Final = re.compile(rb"[a-z][a-z-]{0,62}/[a-z][a-z0-9]{0,30}(?:[-.][a-z0-9]{1,16}){1,12}")
# An id among words and numbers, as the keys of caches are.
_ID: Final = rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,64}"
_PARTS: Final = re.compile(rb"(?:(?:" + _ID + rb"|[a-z][a-z_-]{0,30}[0-9]{0,4}|[0-9]{1,20})(?:[:/|#]|\Z)){2,16}")
_ONE_ID: Final = re.compile(rb"(?:\A|[:/|#])(?:" + _ID + rb")(?:[:/|#]|\Z)")
_SPEAKER: Final = re.compile(rb"[a-z]+(?:-[a-z]+)+\([^\n]*")
_VOWEL: Final = re.compile(rb"[aeiou]")
_DATABASE: Final = re.compile(
    rb"(?i)(?:jdbc:)?(?:postgres(?:ql)?|mysql|mariadb|rediss?|mongodb|amqps?|sqlite|sqlserver|mssql|clickhouse|nats|"
    rb"memcached|cockroachdb|cassandra|oracle)(?:[+:][a-z0-9]{1,20})?:/{2,4}[^\s@]*"
)
_CREDENTIAL: Final = re.compile(rb"(?i)pass|pwd|user|secret|token|key|sig|auth|cred|%40")
_KINDS: Final = (b"0123456789", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
_PART: Final = re.compile(rb"[A-Za-z0-9]+")


def is_message(value: bytes) -> bool:
    """Tell whether a value says how a value is, as `missing` and `must not be blank` do."""
    plain = value.strip().lstrip(_BEFORE_STATE).rstrip(_BEHIND_STATE).lower()
    if b" " not in plain:
        return plain in _STATES
    if not _SAID_ONLY.fullmatch(plain):
        return False
    words = _SAID_WORD.findall(plain)
    # A password may be a word and some digits.
    if len(words) < 2 or (len(words) < _WORDS_WITH_NUMBER and _DIGIT.search(plain)):  # noqa: PLR2004 - as it says
        return False
    return not _TELLING.isdisjoint(words) and all(word in _SAID or word.isdigit() for word in words)


def is_reference(value: bytes) -> bool:
    """Tell whether a value only names a secret that is kept elsewhere: a file, a resource, an object of a cluster."""
    return bool(_REFERENCE.fullmatch(value))


def is_folder(value: bytes) -> bool:
    """Tell whether a value is an absolute path, none of whose names mixes capitals, small letters and digits."""
    if not _FOLDER.fullmatch(value):
        return False
    return not any(all(len(part.translate(None, kind)) < len(part) for kind in _KINDS) for part in _PART.findall(value))


def is_words(value: bytes) -> bool:
    """Tell whether a value is words and small numbers joined, a name with ids, or what a component says."""
    if _SPEAKER.fullmatch(value) or _OBJECT.fullmatch(value):
        return True
    if _PARTS.fullmatch(value) and _ONE_ID.search(value):
        return True
    return bool(_WORDS.fullmatch(value)) and len(_VOWEL.findall(value)) * 6 >= len(value)


def is_open_address(value: bytes) -> bool:
    """Tell whether a value is the address of a database without a user part or anything named like a credential."""
    return bool(_DATABASE.fullmatch(value)) and not _CREDENTIAL.search(value)
