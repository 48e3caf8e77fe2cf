"""Tokens and pseudonyms, by fixed vectors."""

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from tests.redaction.corpus import MARKER, redactor

from loglease.redaction import TOKEN, Keys, Withheld, pseudonym, redactor_for
from loglease.redaction.tokens import canonical_of, mask_token, partial_token

ZERO = bytes(32)


def test_a_pseudonym_is_what_the_published_recipe_says() -> None:
    digest = hmac.new(ZERO, b"pii.email\0anna@example.com", hashlib.sha256).digest()
    expected = base64.b32encode(digest).decode().lower()[:10]
    assert pseudonym(b"anna@example.com", cls="pii.email", label="email", key=ZERO) == f"⟦email:{expected}⟧"


@pytest.mark.parametrize(
    ("cls", "value", "token"),
    [
        ("pii.email", b"anna@example.com", "⟦x:lw7dr4i4nd⟧"),
        ("net.ip.public", b"203.0.113.9", "⟦x:kt76kzcf43⟧"),
        ("pii.iban", b"DE89370400440532013000", "⟦x:yehmiup4wg⟧"),
    ],
)
def test_pseudonyms_never_change(cls: str, value: bytes, token: str) -> None:
    assert pseudonym(value, cls=cls, label="x", key=ZERO) == token


def test_a_grants_key_is_derived_and_never_changes() -> None:
    keys = Keys.derived(b"m" * 32, salt=b"s" * 32, grant_id="grt_01J00000000000000000000000")
    assert keys.pseudonym.hex() == "180352d270aec03c631b44ae1a4c0def19bc25abf5f6955255a33c5522054dbb"
    assert keys != Keys.derived(b"m" * 32, salt=b"t" * 32, grant_id="grt_01J00000000000000000000000")
    assert keys != Keys.derived(b"m" * 32, salt=b"s" * 32, grant_id="grt_01J00000000000000000000001")


@given(st.binary(min_size=32, max_size=96), st.binary(min_size=32, max_size=32), st.text(max_size=40))
def test_a_key_is_what_the_standard_derivation_gives(master: bytes, salt: bytes, name: str) -> None:
    """HKDF with SHA-256, RFC 5869, as somebody else wrote it."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"loglease/pseudonym/1\0" + name.encode())
    assert Keys.derived(master, salt=salt, grant_id=name).pseudonym == derivation.derive(master)


def test_a_shared_key_is_derived_and_never_changes() -> None:
    master, salt = b"m" * 32, b"s" * 32
    day = Keys.of_team_day(master, salt=salt, policy="payments", day="2026-11-27")
    assert day.pseudonym.hex() == "e37145fc7a14d02570a2b324212e118bb6266e4f2a7423e634b9fee14c5350a0"
    everywhere = Keys.of_deployment(master, salt=salt)
    assert everywhere.pseudonym.hex() == "fe9eb0ead5ad2a3b903cc94b35d85e51fbfaf2444ec656ed279f109914d0b7df"


def test_no_two_scopes_have_one_key() -> None:
    """Also where their names say the same, and the same salt is used for all."""
    master, salt = b"m" * 32, b"s" * 32
    names = ["payments", "2026-11-27", "payments\0002026-11-27", "", "deployment", "team-day"]
    keys = [Keys.derived(master, salt=salt, grant_id=name) for name in names]
    keys += [
        Keys.of_team_day(master, salt=salt, policy=policy, day=day)
        for policy in ("payments", "sre")
        for day in ("2026-11-27", "2026-11-28")
    ]
    keys.append(Keys.of_deployment(master, salt=salt))
    assert len({one.pseudonym for one in keys}) == len(keys)


@pytest.mark.parametrize(("master", "salt"), [(b"short", b"s" * 32), (b"m" * 32, b"short"), (b"", b"")])
def test_there_is_no_key_without_master_and_salt(master: bytes, salt: bytes) -> None:
    with pytest.raises(Withheld, match="key_missing"):
        Keys.derived(master, salt=salt, grant_id="g")
    with pytest.raises(Withheld, match="key_missing"):
        Keys.of_team_day(master, salt=salt, policy="p", day="2026-11-27")
    with pytest.raises(Withheld, match="key_missing"):
        Keys.of_deployment(master, salt=salt)


@pytest.mark.parametrize(
    ("cls", "forms"),
    [
        ("pii.email", [b"A@b.example", b"a@B.EXAMPLE"]),
        ("pci.card", [b"4111 1111 1111 1111", b"4111-1111-1111-1111", b"4111111111111111"]),
        ("pii.iban", [b"DE89 3704 0044 0532 0130 00", b"de89370400440532013000"]),
        ("pii.phone", [b"+49 (30) 123-4567", b"+49301234567"]),
        ("net.ip.public", [b"2001:DB8::1", b"2001:0db8:0:0:0:0:0:1"]),
        ("net.ip.public", [b"::ffff:203.0.113.9", b"203.0.113.9"]),
    ],
)
def test_equal_values_have_one_canonical_form(cls: str, forms: list[bytes]) -> None:
    assert len({canonical_of(cls, form) for form in forms}) == 1


def test_equal_values_get_equal_tokens_in_a_grant_and_different_ones_in_two() -> None:
    lines = [b"A@b.example\n", b"a%40b.example\n", b"a@b.example\n", b"x a\\u0040b.example\n"]
    tokens = [TOKEN.findall(redactor().open().feed(line).out) for line in lines]
    assert len({token for found in tokens for token in found}) == 1
    other = redactor_for(["pii-default@1"], keys=Keys(ZERO), marker=MARKER)
    assert other.open().feed(lines[0]).out != redactor().open().feed(lines[0]).out


def test_tokens_tell_no_length() -> None:
    assert len({len(pseudonym(b"x" * size, cls="c", label="l", key=ZERO)) for size in range(100)}) == 1


def test_partial_tokens_concede_what_the_profile_says_and_no_more() -> None:
    assert partial_token("card", "last4", b"4111111111111111").decode() == "⟦card …1111⟧"
    assert partial_token("email", "domain", b"anna@example.com").decode() == "⟦email …@example.com⟧"
    assert partial_token("ip", "network", b"203.0.113.9").decode() == "⟦ip 203.0.113.0/24⟧"
    assert partial_token("card", "last4", b"4111").decode() == "⟦card⟧"
    assert partial_token("email", "domain", b"not an address").decode() == "⟦email⟧"
    assert all(TOKEN.fullmatch(token) for token in (mask_token("x"), partial_token("ip", "network", b"203.0.113.9")))
