"""Redaction: find secrets and personal data in log bytes and replace them before anything else sees the text.

Public: `Redactor` and `RedactionStream` (the work), `Redacted`, `Span`, `Counters` (the result), `Withheld` (nothing
may leave), profiles and packs by name, keys for pseudonyms, engines by name. All else is private. No I/O but reading
the data files that come with the package.
"""

from loglease.redaction.builtin import STRICTNESS, packs, profile_named, profiles, strictness
from loglease.redaction.comparison import weaknesses
from loglease.redaction.engine import ENGINES, Engine, engine_named
from loglease.redaction.errors import (
    REASONS,
    EngineUnavailable,
    Fault,
    PluginInvalid,
    ProfileInvalid,
    ProfileUnknown,
    Reason,
    RedactionError,
    RulesInvalid,
    Withheld,
)
from loglease.redaction.library import Library, builtin_library, load_library
from loglease.redaction.lookup import Hidden, Lookup
from loglease.redaction.plugins import Extensions, Plugin, load_plugins
from loglease.redaction.profile import Profile, Treatment, parse_profile
from loglease.redaction.redactor import RedactionStream, Redactor, redactor_for
from loglease.redaction.result import Counters, Redacted, Span
from loglease.redaction.revealing import Revealed
from loglease.redaction.rule_documents import parse_pack
from loglease.redaction.rules import Pack, Rule
from loglease.redaction.selftest import prove_again
from loglease.redaction.tokens import KEY_BYTES, SALT_BYTES, TOKEN, Keys, pseudonym

__all__ = [
    "ENGINES",
    "KEY_BYTES",
    "REASONS",
    "SALT_BYTES",
    "STRICTNESS",
    "TOKEN",
    "Counters",
    "Engine",
    "EngineUnavailable",
    "Extensions",
    "Fault",
    "Hidden",
    "Keys",
    "Library",
    "Lookup",
    "Pack",
    "Plugin",
    "PluginInvalid",
    "Profile",
    "ProfileInvalid",
    "ProfileUnknown",
    "Reason",
    "Redacted",
    "RedactionError",
    "RedactionStream",
    "Redactor",
    "Revealed",
    "Rule",
    "RulesInvalid",
    "Span",
    "Treatment",
    "Withheld",
    "builtin_library",
    "engine_named",
    "load_library",
    "load_plugins",
    "packs",
    "parse_pack",
    "parse_profile",
    "profile_named",
    "profiles",
    "prove_again",
    "pseudonym",
    "redactor_for",
    "strictness",
    "weaknesses",
]
