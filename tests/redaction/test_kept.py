"""Text of ours that is redacted again: tokens stay, and what stands beside them stays as it was."""

import pytest
from tests.redaction.corpus import redacted, redactor

from loglease.redaction.kept import covered, text_against, text_before
from loglease.redaction.tokens import TOKEN

BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
PAYLOAD = "MIIEpAIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun"
SECRET = "iVpzz63FfkCzJr4i0B3JrTAwR4y9ojfljoQoaF/x"


def again(text: str, profile: str) -> str:
    out = redactor(profile=profile, tokens="keep").open().feed(text.encode()).out
    return out.decode()


@pytest.mark.parametrize("profile", ["pii-default@1", "strict@1", "secrets@1"])
@pytest.mark.parametrize(
    "text",
    [
        f"aws_secret_access_key={SECRET} AKIA0000000000000001 seen",
        '26-87-96-35-Fax {"to":"a+b@mail.example.co.uk"} 612 345 678 &',
        f"maestro secret={SECRET}{SECRET} 6304123456789012347",
    ],
    ids=["a vendor's word", "a word for telephones", "a word for cards"],
)  # fmt: skip
def test_a_short_token_brings_no_word_nearer(text: str, profile: str) -> None:
    once = redacted(text.encode() + b"\n", profile=profile).decode()
    assert again(once, profile) == once


@pytest.mark.parametrize("profile", ["pii-default@1", "strict@1", "secrets@1"])
@pytest.mark.parametrize(
    "line",
    [
        f"got {PAYLOAD} at X-Amz-Date=20260731T000000Z",
        f"https://chat.googleapis.com/v1/spaces/AAAAbcdEFGH/messages?key={PAYLOAD}&token={SECRET} 00000000-4111-1111-1111-111111111111",
        f"aws_secret_access_key={SECRET} access token validation-endpoint-reached",
        f'{PAYLOAD} {{"n":5555555555554444}}',
    ],
    ids=["a run", "a run named by another rule", "a value of a key", "a number in JSON"],
)
def test_in_a_block_a_token_means_what_its_payload_meant(line: str, profile: str) -> None:
    text = f"{BEGIN}\n{line}\n{PAYLOAD}\nplain words here\n{END}\nafter_the_end_of_it\n"
    once = redacted(text.encode(), profile=profile).decode()
    assert PAYLOAD not in once
    assert again(once, profile) == once


def test_a_block_that_another_profile_left_is_masked_beside_tokens_of_that_profile() -> None:
    text = f"{BEGIN}\n⟦ip⟧ {PAYLOAD}\n{END}\n"
    assert again(text, "secrets@1") == f"{BEGIN}\n⟦ip⟧ ⟦private-key⟧\n{END}\n"


def test_a_long_token_takes_no_word_away_that_speaks_against_a_value() -> None:
    text = "order a@b.io or 0664 123456 shipped\n"
    once = redacted(text.encode()).decode()
    assert "0664 123456" in once
    assert again(once, "pii-default@1") == once
    assert again("mail ⟦email⟧ on 0664 123456 shipped\n", "strict@1") == "mail ⟦email⟧ on ⟦phone⟧ shipped\n"


TOKENS = [
    "⟦ip⟧", "⟦a⟧", "⟦email:q3f7k2p7xa⟧", "⟦card …1111⟧", "⟦email …@example.com⟧", "⟦ip 203.0.113.0/24⟧", "⟦private-key⟧",
]  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
def test_a_cover_is_as_long_as_its_token_and_ends_what_stands_before(token: str) -> None:
    text = f"Secret {token} and key=".encode()
    out = covered(text, frozenset({b"private-key"}))
    assert TOKEN.search(text)
    assert len(out) == len(text)
    assert out.startswith(b"Secret 0")
    assert out.endswith(b"0 and key=")
    assert text_before(out, len(out), 40) == b" and key="
    assert text_before(out, len(out), 4) == b"key="
    assert text_against(out, len(out), 40) == b"secret  and key="
    assert text_against(out, len(out), 12) == b"et  and key="
    assert text_before(text, len(text), 4) == b"key="
