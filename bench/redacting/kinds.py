"""What is planted: for each kind how a value is drawn, which sentences name it, and under which field names it appears.

In a sentence ``{}`` stands for the value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.redacting.dice import BASE32, BASE64, LETTERS, PLANTED, URL_BASE64, WORD, Dice, planted, with_crc
from bench.redacting.values import (
    argon2,
    aws_pair,
    bank_account,
    basic_credentials,
    card,
    email,
    github,
    inline_key,
    ipv4,
    ipv6,
    password,
    phone,
    plain_card,
    signed_token,
    social_security_number,
    token,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of planted value.

    `draw` returns the value, or a text with its values marked. `number`: it may stand in JSON without quotes.
    """

    name: str
    draw: Callable[[Dice], str]
    texts: tuple[str, ...]
    fields: tuple[str, ...] = ()
    number: bool = False

    def marked(self, dice: Dice) -> str:
        """Draw a value, marked."""
        value = self.draw(dice)
        return value if PLANTED in value else planted(self.name, value)


_KEY_SENTENCES: Final = ("config dump: {field}={}", "retry with {field}: {}", "args: --{field}={} --verbose")


def _named(name: str, draw: Callable[[Dice], str], fields: Sequence[str], *, number: bool = False) -> Kind:
    """Return a kind that only its key makes recognisable."""
    return Kind(
        name,
        draw,
        tuple(text.replace("{field}", field) for field in fields for text in _KEY_SENTENCES),
        tuple(fields),
        number,
    )


KINDS: Final = (
    Kind(
        "github-token",
        github,
        ("cloned with {}", "fetch of https://x-access-token:{}@github.com/acme/shop.git failed"),
        ("github_token", "gh_pat"),
    ),
    Kind(
        "github-fine",
        lambda dice: f"github_pat_{dice.text(WORD, 22)}_{dice.text(WORD, 59)}",
        ("using {} for the release",),
        ("pat",),
    ),
    Kind("gitlab-token", token("glpat-", URL_BASE64, 20), ("runner registered by {}",), ("gitlab",)),
    Kind(
        "slack-token",
        lambda dice: f"xoxb-{dice.digits(12)}-{dice.digits(12)}-{dice.text(WORD, 24)}",
        ("posting as {}",),
        ("slack",),
    ),
    Kind(
        "slack-webhook",
        lambda dice: f"T{dice.text(BASE32, 8)}/B{dice.text(BASE32, 9)}/{dice.text(WORD, 24)}",
        ("POST https://hooks.slack.com/services/{} 200",),
    ),
    Kind(
        "stripe-key",
        lambda dice: f"{dice.choice(['sk', 'rk'])}_live_{dice.text(WORD, 24)}",
        ("charge refused for {}", "stripe key {} rolled"),
        ("stripe",),
    ),
    Kind(
        "aws-key-id",
        lambda dice: dice.choice(["AKIA", "ASIA"]) + dice.text(BASE32, 16),
        ("signature of {} does not match",),
        ("aws_key",),
    ),
    Kind("aws-pair", aws_pair, ("env {}", "dumped {}")),
    Kind("private-key-inline", inline_key, ("parsed {}",)),
    Kind("google-api-key", token("AIza", URL_BASE64, 35), ("geocoding refused for {}",), ("maps",)),
    Kind("openai-key", token("sk-proj-", WORD, 64), ("model call with {}",), ("openai",)),
    Kind(
        "anthropic-key",
        lambda dice: f"sk-ant-api03-{dice.text(URL_BASE64, 93)}AA",
        ("model call with {}",),
        ("anthropic",),
    ),
    Kind("hugging-face", token("hf_", LETTERS, 34), ("pulled model with {}",), ("hub",)),
    Kind("npm-token", lambda dice: with_crc("npm_", dice.text(WORD, 30)), ("publish as {}",), ("npm",)),
    Kind("pypi-token", token("pypi-AgEIcHlwaS5vcmc", URL_BASE64, 140), ("upload with {}",), ("pypi",)),
    Kind("docker-token", token("dckr_pat_", URL_BASE64, 27), ("login with {}",), ("registry",)),
    Kind("digitalocean", token("dop_v1_", "0123456789abcdef", 64), ("droplet made by {}",), ("cloud",)),
    Kind(
        "sendgrid-key",
        lambda dice: f"SG.{dice.text(URL_BASE64, 22)}.{dice.text(URL_BASE64, 43)}",
        ("mail sent by {}",),
        ("mailer",),
    ),
    Kind("twilio-key", token("SK", "0123456789abcdef", 32), ("sms sent by {}",), ("twilio",)),
    Kind("shopify-token", token("shpat_", "0123456789abcdef", 32), ("catalogue synced by {}",), ("shop",)),
    Kind(
        "telegram-token",
        lambda dice: f"{dice.randrange(10**8, 10**10)}:AA{dice.text(URL_BASE64, 33)}",
        ("bot {} answered",),
        ("bot",),
    ),
    Kind("vault-token", token("hvs.", URL_BASE64, 95), ("unsealed by {}",), ("vault",)),
    Kind(
        "grafana-token",
        lambda dice: f"glsa_{dice.text(WORD, 32)}_{dice.hexed(8)}",
        ("dashboard pushed by {}",),
        ("grafana",),
    ),
    Kind(
        "azure-storage",
        lambda dice: dice.text(BASE64, 86) + "==",
        ("DefaultEndpointsProtocol=https;AccountName=acmelogs;AccountKey={};EndpointSuffix=core.windows.net",),
    ),
    Kind(
        "signed-url",
        lambda dice: dice.hexed(64),
        ("GET https://acme.s3.amazonaws.com/a.csv?X-Amz-Expires=300&X-Amz-Signature={} 200",),
    ),
    Kind("jwt", signed_token, ("session {} refreshed", "claims of {} are stale"), ("assertion",)),
    Kind("bcrypt", lambda dice: f"$2b$12${dice.text(WORD, 53)}", ("hash {} is outdated",), ("hash",)),
    Kind("argon2", argon2, ("hash {} verified",), ("hash",)),
    _named("password", password, ("password", "db_password", "DB_PASSWORD", "passwd", "userPassword")),
    _named("api-key", lambda dice: dice.text(WORD, 32), ("api_key", "apiKey", "x-api-key")),
    _named("client-secret", lambda dice: dice.text(URL_BASE64, 40), ("client_secret", "clientSecret")),
    _named("access-token", lambda dice: dice.text(URL_BASE64, 48), ("access_token", "refresh_token", "csrf_token")),
    _named("session", lambda dice: dice.hexed(32).upper(), ("session_id", "JSESSIONID")),
    _named("otp", lambda dice: str(dice.randrange(100_000, 1_000_000)), ("otp", "mfa_code"), number=True),
    _named("cvv", lambda dice: str(dice.randrange(100, 1_000)), ("cvv", "cvc"), number=True),
    Kind(
        "url-password",
        password,
        (
            "connect to postgres://app:{}@db-1:5432/shop",
            "cache at redis://:{}@cache-0:6379/0",
            "broker amqp://shop:{}@mq:5672/",
        ),
    ),
    Kind(
        "bearer",
        lambda dice: dice.text(URL_BASE64, 43),
        ("upstream said 401 for Authorization: Bearer {}", "header Authorization=Bearer {}"),
    ),
    Kind("basic", basic_credentials, ("upstream said 401 for Authorization: Basic {}",), ()),
    Kind(
        "cookie",
        lambda dice: dice.text(WORD, 32),
        ("request had Cookie: sid={}; theme=dark", "answered Set-Cookie: sid={}; Path=/; HttpOnly"),
    ),
    Kind(
        "connection-string", password, ("open Server=tcp:db-2,1433;Database=shop;User Id=app;Password={};Encrypt=true",)
    ),
    Kind(
        "email",
        email,
        ("mail to {} queued", "user {} signed in", "invited <{}>", "bounce from={}"),
        ("email", "user", "recipient", "to"),
    ),
    Kind("card", card, ("card {} declined", "charge on {} settled", "payment with {}: ok"), ("card", "instrument")),
    Kind("card-number", plain_card, ("pan {} stored",), ("card_number", "pan", "instrument"), number=True),
    Kind("iban", bank_account, ("payout to {} queued", "account {} verified"), ("iban", "account")),
    Kind("ssn", social_security_number, ("applicant {} verified", "ssn {} on file"), ("ssn", "tax_id")),
    Kind("phone", phone, ("sms to {} sent", "phone {} confirmed"), ("phone", "mobile")),
    Kind("ipv4", ipv4, ("connection from {} accepted", "client {} timed out"), ("client_ip", "remote_addr", "peer")),
    Kind(
        "ipv6", ipv6, ("connection from {} accepted", "client [{}]:443 timed out"), ("client_ip", "remote_addr", "peer")
    ),
)
