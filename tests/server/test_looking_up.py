"""A value is looked up under very many keys by a shorter way than the one that redaction takes; both give the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.ids import GrantId
from loglease.model.instant import Instant
from loglease.model.key_scope import KeyScope
from loglease.redaction import Keys, Lookup, RedactionError, builtin_library
from loglease.redaction.errors import Withheld
from loglease.redaction.tokens import KEY_BYTES, SALT_BYTES
from loglease.server.reading import keys_in
from loglease.server.who_saw import KEY_DESTROYED, value_wanted
from loglease.store.served_index_interface import GrantKey

LIBRARY = builtin_library()
SHOWN, MASKED = "pii-default@1", "raw@1"
salts = st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES) | st.just(b"") | st.binary(max_size=40)
keys = st.builds(
    GrantKey,
    number=st.integers(1),
    id=st.text().map(GrantId),
    policy=st.text(),
    reach=st.sampled_from(KeyScope),
    scheduled_at=st.integers(0, 2**50).map(Instant),
    salt=salts,
    shared_salt=st.none() | salts,
    profiles=st.sets(st.sampled_from([SHOWN, MASKED])).map(frozenset),
)
masters = st.binary(min_size=KEY_BYTES, max_size=100)
values = st.sampled_from([("email", b"Jane@example.com"), ("pii", b"+49 30 1234567"), ("field", b"4bf92f35")])


@given(masters | st.binary(max_size=KEY_BYTES - 1), keys, values)
def test_a_value_has_the_pseudonyms_of_every_key_that_the_grant_may_have_had(
    master: bytes, key: GrantKey, asked: tuple[str, bytes]
) -> None:
    cls, value = asked
    lookup = Lookup(LIBRARY, cls)
    expected, whys = set[str](), {pin: str(why) for pin in key.profiles if (why := lookup.hidden(pin)) is not None}
    if any(lookup.hidden(pin) not in {"profile_raw", "class_absent", "class_masked"} for pin in key.profiles):
        for scope in KeyScope:
            if scope.reach > key.reach.reach:
                continue
            try:
                expected |= lookup.pseudonyms(value, _keys(scope, key, master))
            except RedactionError:
                whys = dict.fromkeys(key.profiles, KEY_DESTROYED)
    found = value_wanted(cls, value, library=LIBRARY, master=master).look(key)
    assert set(found.pseudonyms) == expected
    assert found.hidden == whys


def _keys(scope: KeyScope, key: GrantKey, master: bytes) -> Keys:
    return keys_in(
        scope,
        master,
        grant_id=key.id,
        policy=key.policy,
        scheduled_at=key.scheduled_at,
        salt=key.salt,
        shared_salt=key.shared_salt,
    )


@given(masters, st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES), st.text(), st.binary(max_size=200))
def test_the_shorter_way_has_the_tokens_of_the_longer_one(master: bytes, salt: bytes, grant: str, value: bytes) -> None:
    lookup = Lookup(LIBRARY, "pii")
    expected = lookup.pseudonyms(value, Keys.derived(master, salt=salt, grant_id=grant))
    assert expected
    assert frozenset(lookup.value_of_grants(value, master)(salt, grant)) == expected


@pytest.mark.parametrize(("master", "salt"), [(b"m" * 31, b"s" * 32), (b"m" * 32, b"s" * 31), (b"m" * 32, b"")])
def test_without_a_whole_key_there_is_no_token(master: bytes, salt: bytes) -> None:
    with pytest.raises(Withheld):
        Lookup(LIBRARY, "email").value_of_grants(b"jane@example.com", master)(salt, "grt_1")
