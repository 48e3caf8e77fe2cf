"""What must stay: values that look like secrets or personal data and are none, and ordinary sentences."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.redacting.dice import URL_BASE64, WORD, Dice, iban_holds, look_alike, luhn_holds


@dataclass(frozen=True, slots=True)
class LookAlike:
    """A kind of look-alike: how it is drawn, sentences with ``{}`` where it stands, and field names."""

    name: str
    draw: Callable[[Dice], str]
    texts: tuple[str, ...]
    fields: tuple[str, ...] = ()


def drawn_uuid(dice: Dice) -> str:
    """Return a random UUID."""
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def pod(dice: Dice) -> str:
    """Return the name of a pod of a deployment."""
    letters = "bcdfghjklmnpqrstvwxz2456789"
    service = dice.choice(["checkout", "cart", "ledger", "gateway", "mailer"])
    return f"{service}-{dice.text(letters, 10)}-{dice.text(letters, 5)}"


def card_shaped(dice: Dice) -> str:
    """Return sixteen digits that begin as a card does and fail its check digit."""
    while True:
        digits = dice.choice(["4", "51", "55", "6011", "2305", "3530"]) + dice.digits(16)
        if not luhn_holds(digits[:16]):
            return digits[:16]


def _iban_shaped(dice: Dice) -> str:
    while True:
        value = "DE" + dice.digits(20)
        if not iban_holds(value):
            return value


def browser(dice: Dice) -> str:
    """Return a user agent."""
    major = dice.randrange(90, 140)
    return (
        f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{major}.0.{dice.randrange(1000, 7000)}.{dice.randrange(200)} Safari/537.36"
    )


def clock(dice: Dice) -> str:
    """Return a time of day."""
    return f"{dice.randrange(24):02}:{dice.randrange(60):02}:{dice.randrange(60):02}"


def private_address(dice: Dice) -> str:
    """Return an address inside a network."""
    return dice.choice(
        [
            f"10.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(1, 255)}",
            f"192.168.{dice.randrange(256)}.{dice.randrange(1, 255)}",
            f"172.{dice.randrange(16, 32)}.{dice.randrange(256)}.{dice.randrange(1, 255)}",
        ]
    )


def nanoseconds(dice: Dice) -> str:
    """Return a time in nanoseconds since 1970."""
    return str(1_790_000_000_000_000_000 + dice.randrange(10**16))


def _word(*words: str) -> Callable[[Dice], str]:
    return lambda dice: dice.choice(words)


def _version(dice: Dice) -> str:
    return f"v{dice.randrange(30)}.{dice.randrange(40)}.{dice.randrange(500)}.{dice.randrange(10)}"


def _mac(dice: Dice) -> str:
    return ":".join(dice.hexed(2) for _ in range(6))


def _ulid(dice: Dice) -> str:
    return "01J" + dice.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 23)


LOOK_ALIKES: Final = (
    LookAlike(
        "uuid", drawn_uuid, ("request {} done", "job {} queued", "saga {} compensated"), ("request_id", "job_id")
    ),
    LookAlike("hex-32", lambda dice: dice.hexed(32), ("md5 {} matches", "blob {} stored"), ("checksum", "parent_id")),
    LookAlike(
        "digest", lambda dice: "sha256:" + dice.hexed(64), ("pulled image {}", "layer {} exists"), ("image", "digest")
    ),
    LookAlike(
        "commit", lambda dice: dice.hexed(40), ("deployed commit {}", "HEAD is now at {}"), ("commit", "revision")
    ),
    LookAlike(
        "order-number",
        lambda dice: dice.digits(dice.randrange(8, 13)),
        ("order {} shipped", "invoice {} booked"),
        ("order_id", "invoice"),
    ),
    LookAlike("version", _version, ("upgraded agent to {}", "schema is {} now"), ("version", "build")),
    LookAlike("browser", browser, ("agent {}",), ("user_agent",)),
    LookAlike("clock", clock, ("next run at {}", "window closes {} UTC"), ("next_run",)),
    LookAlike(
        "block-id",
        lambda dice: f"blk_{dice.choice(['', '-'])}{dice.randrange(1, 9)}{dice.digits(18)}",
        ("received block {} of size 67108864", "replicated {}"),
        ("block",),
    ),
    LookAlike("pod", pod, ("evicted {}", "endpoint {} is ready"), ("pod", "upstream")),
    LookAlike("nanoseconds", nanoseconds, ("snapshot at {}", "offset {} committed"), ("ts_ns", "cursor")),
    LookAlike("mac", _mac, ("lease renewed for {}",), ("hwaddr",)),
    LookAlike("private-address", private_address, ("dialled {}", "endpoint {} added"), ("node_ip", "bind")),
    LookAlike(
        "file-name", _word("logo@2x.png", "icon@3x.webp", "site.min.js", "app.v2.css"), ("GET /assets/{}",), ("asset",)
    ),
    LookAlike("package", _word("left-pad@1.3.0", "vue@3.4.21", "@acme/ui@2.0.1"), ("resolved {}",), ("package",)),
    LookAlike(
        "repository",
        _word("git@github.com:acme/shop.git", "git@gitlab.example:ops/run.git"),
        ("cloning {}",),
        ("repository",),
    ),
    LookAlike(
        "unit", _word("user@1000.service", "getty@tty1.service", "backup@daily.timer"), ("started {}",), ("unit",)
    ),
    LookAlike(
        "words",
        _word(
            "password policy check passed",
            "token bucket refilled",
            "secret rotation is due in 3 days",
            "no api key needed here",
            "session closed by peer",
            "basic health check ok",
            "bearer of bad news",
        ),
        ("{}",),
        ("note",),
    ),
    LookAlike(
        "plain-field",
        _word(
            "token_type=bearer",
            "tokens_used=512",
            "password_changed=true",
            "key=user:1234:cart",
            "auth=none",
            "passwords: 3",
            "max_tokens: 4096",
            "secret_count=2",
        ),
        ("state {}",),
    ),
    LookAlike("ulid", _ulid, ("event {} published",), ("event_id",)),
    LookAlike("object-id", lambda dice: dice.hexed(24), ("document {} saved",), ("doc",)),
    LookAlike("pointer", lambda dice: "0x" + dice.hexed(16), ("fault at {}",), ("addr",)),
    LookAlike("java-object", lambda dice: f"com.acme.Cart@{dice.hexed(8)}", ("leaked {}",), ("bean",)),
    LookAlike(
        "oid", lambda dice: f"1.3.6.1.4.1.{dice.randrange(1, 60000)}.{dice.randrange(1, 30)}", ("trap {}",), ("oid",)
    ),
    LookAlike("iban-shaped", _iban_shaped, ("reference {} filed",), ("reference",)),
    LookAlike(
        "part-number",
        lambda dice: f"{dice.randrange(100, 1000)}-{dice.digits(3)}-{dice.digits(5)}",
        ("part {} restocked",),
        ("part",),
    ),
    LookAlike("ray-id", lambda dice: f"{dice.hexed(16)}-FRA", ("ray {}",), ("ray",)),
    LookAlike("aws-trace", lambda dice: f"Root=1-{dice.hexed(8)}-{dice.hexed(24)}", ("trace {}",), ("amzn_trace",)),
    LookAlike("etag", lambda dice: f"W/{dice.hexed(3)}-{dice.text(URL_BASE64, 27)}", ("etag {} unchanged",), ("etag",)),
    LookAlike(
        "path",
        lambda dice: f"/var/lib/{dice.text(WORD.lower(), 8)}/{dice.hexed(12)}/data.db",
        ("opened {}",),
        ("path",),
    ),
    LookAlike("decimal", lambda dice: f"{dice.random():.16f}", ("ratio {}",), ("score",)),
)

CARD_SHAPED: Final = LookAlike(
    "card-shaped", card_shaped, ("order {} shipped", "shipment {} left", "invoice {} booked"), ("order_no", "shipment")
)

PLAIN: Final = (
    "worker started", "cache warmed in {n} ms", "processed {n} of {n} rows", "GET /api/v1/items/{n} 200 in {n} ms",
    "connection pool at {n} of 200", "flushed {n} entries", "garbage collection took {n} ms", "slow query: {n} ms",
    "retrying in {n} s", "health check passed", "config reloaded", "queue depth {n}", "rolled log file {n}",
    "Verbindung wiederhergestellt für Gerät {n}", "обработано {n} записей",
)  # fmt: skip


def plain(dice: Dice) -> str:
    """Return an ordinary sentence."""
    text = dice.choice(PLAIN)
    while "{n}" in text:
        text = text.replace("{n}", str(dice.randrange(900)), 1)
    return text


def sentence(dice: Dice, kind: LookAlike) -> str:
    """Return a sentence with a marked look-alike."""
    return dice.choice(kind.texts).replace("{}", look_alike(kind.name, kind.draw(dice)))
