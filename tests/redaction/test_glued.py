"""A value glued to a word or an underscore is the same value; ids that only contain its digits are not."""

import random
import uuid

import pytest
from tests.redaction.corpus import ENGINES, redacted, redactor

CARD = "4111111111111111"
IBAN = "DE89370400440532013000"
GITHUB = "ghp_u8jzPde0IgxLd6GncfBAepfJBd0Kh8oOOL8d"
TELEGRAM = "123456789:AAzqpGHoPZgPDcgaE40o1C6xc4sohdmM0Lm"

GLUED = [
    (f"user_{CARD}", CARD),
    (f"card{CARD}", CARD),
    (f"id={CARD}x", CARD),
    (f"{CARD}_2", CARD),
    (f"n{CARD}_n{CARD}n", CARD),
    (f"{CARD}_{CARD}", CARD),
    (f"cc{CARD}", CARD),
    ("card4000000000000000006", "4000000000000000006"),
    ("cc_4111-1111-1111-1111_x", "4111-1111-1111-1111"),
    ("amex3782 822463 10005usd", "3782 822463 10005"),
    (f"to_{IBAN}", IBAN),
    (f"account{IBAN}eur", IBAN),
    (f"IBAN{IBAN}EUR", IBAN),
    ("iban_DE89 3704 0044 0532 0130 00_x", "DE89 3704 0044 0532 0130 00"),
    ("ssn_536-22-8726", "536-22-8726"),
    ("user536-22-8726x", "536-22-8726"),
    ("phone_+14155552671_x", "+14155552671"),
    ("tel+14155552671", "+14155552671"),
    ("phone_415-555-2671", "415-555-2671"),
    (f"x{GITHUB}", GITHUB),
    (f"bot{TELEGRAM}", TELEGRAM),
    ("user_AKIAEDT4SYWB5WKH7DNS_AKIAEDT4SYWB5WKH7DNS", "AKIAEDT4SYWB5WKH7DNS"),
    ("twilio_SK8263dfe574de739988b886e7577496a2_x", "SK8263dfe574de739988b886e7577496a2"),
    ("my_aws_secret_access_key=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", "iVpzz63FfkCzJr4i0B3JrTAwR4y9ojfljoQoaF/x"),
    ("sent_sk-HeVVEqZe2qpUWnoVPDF2yeE6RsXcNOPmeMjvqPVStNKiaEdF", "sk-HeVVEqZe2qpUWnoVPDF2yeE6RsXcNOPmeMjvqPVStNKiaEdF"),
]

IDS = [
    f"order_{CARD}1",
    f"order_1{CARD}",
    f"digits_{CARD}{CARD}",
    f"0x{CARD}",
    f"etag a{CARD}0b",
    f"span 0000000a{CARD}",
    "id_41111111-4111-1111-1111-111111111111",
    "id_4111411a-4111-1111-1111-1111a1111111",
    "application_1445144423722_0020 blk_1608999687919862906 blk_-1608999687919862",
    "t1722420000123456789 t1722420000123456 at_20260731100000",
    f"SHA_A{IBAN}F1",
    "start+1234567890 took+1234567890ns",
    "1536-22-8726 536-22-87261 a-536-22-8726",
    "task-runner-for-the-nightly-cleanup-of-old-sessions",
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("text", "value"), GLUED)
def test_a_glued_value_is_masked_and_what_it_is_glued_to_stays(text: str, value: str, engine: str) -> None:
    out = redacted(text.encode() + b"\n", engine).decode()
    rest = text.split(value)
    assert value not in out
    assert out.startswith(rest[0] + "⟦")
    assert out.endswith("⟧" + rest[-1] + "\n")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("text", IDS)
def test_an_id_that_holds_such_digits_stays(text: str, engine: str) -> None:
    assert redacted(text.encode() + b"\n", engine).decode() == text + "\n"


@pytest.mark.parametrize(("text", "value"), GLUED)
def test_a_label_is_masked_in_its_name_and_in_its_value(text: str, value: str) -> None:
    for result in (redactor().value(None, text.encode()), redactor().value("path", text.encode())):
        assert value.encode() not in result.out
        assert result.spans


def test_digests_and_ids_at_random_hold_no_cards() -> None:
    chance = random.Random(20)  # noqa: S311 - made-up ids
    ids = [f"{chance.getrandbits(4 * width):0{width}x}" for width in (24, 32, 40, 64) for _ in range(4_000)]
    ids += [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(4_000)]
    text = "".join(f"trace_{one} id {one}\n" for one in ids).encode()
    assert redacted(text) == text


def test_a_long_tail_of_one_letter_does_not_hide_a_key() -> None:
    key = b"sk-HeVVEqZe2qpUWnoVPDF2yeE6RsXcNOPmeMjvqPVStNKiaEdF"
    key += b"HeVVEqZe2qpUWnoVPDF2yeE6RsXcNOPmeMjvqPVStNKiaEdF" * 5
    assert redacted(b"of " + key + b"a" * 9_000 + b"\n") == "of ⟦openai-key⟧\n".encode()
