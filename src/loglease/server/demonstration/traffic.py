"""Customers of the demonstration's shop: real HTTP requests, a few a second, by made-up people."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import time

import httpx2

_FIRST = ["ada", "grace", "linus", "edsger", "barbara", "ken", "margaret", "alan", "katherine", "dennis"]
_LAST = ["okafor", "lindgren", "moreau", "tanaka", "silva", "novak", "haddad", "kowalski", "berg", "ito"]
_CARDS = ["4", "51", "52", "37"]


def card_number(chance: random.Random) -> str:
    """Return a made-up card number with a valid check digit (Luhn)."""
    prefix = chance.choice(_CARDS)
    length = 14 if prefix == "37" else 15
    digits = [int(digit) for digit in prefix]
    digits += [chance.randrange(10) for _ in range(length - len(digits))]
    doubled = [digit if index % 2 else sum(divmod(digit * 2, 10)) for index, digit in enumerate(reversed(digits))]
    return "".join(map(str, digits)) + str(-sum(doubled) % 10)


def iban(chance: random.Random) -> str:
    """Return a made-up German IBAN with valid check digits (ISO 7064, mod 97)."""
    account = "".join(str(chance.randrange(10)) for _ in range(18))
    return f"DE{98 - int(account + '131400') % 97:02d}{account}"


def _customer(chance: random.Random) -> dict[str, str]:
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    return {
        "email": f"{first}.{last}@example.{chance.choice(['com', 'org', 'net'])}",
        "phone": f"+49 151 {chance.randrange(10_000_000, 99_999_999)}",
        "ip": f"203.0.113.{chance.randrange(1, 255)}",
        "password": "".join(chance.choice("abcdefghkmnpqrstuvwxyz23456789") for _ in range(chance.randrange(8, 15))),
    }


def _visit(client: httpx2.Client, chance: random.Random, number: int) -> None:
    customer = _customer(chance)
    client.post("/sign-in", json={key: customer[key] for key in ("email", "phone", "password")})
    order = {
        "order": 80_000 + number,
        "email": customer["email"],
        "ip": customer["ip"],
        "card": card_number(chance),
        "iban": iban(chance),
        "amount": chance.randrange(5, 500),
        "cart": [f"sku-{chance.randrange(100, 999)}" for _ in range(chance.randrange(1, 4))],
    }
    token = "".join(chance.choice("abcdef0123456789") for _ in range(40))
    client.post("/checkout", json=order, headers={"authorization": f"Bearer {token}"})


def main() -> None:
    """Visit the shop until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shop", required=True)
    parser.add_argument("--every", type=float, default=0.25, help="seconds between two customers")
    parser.add_argument("--count", type=int, default=0, help="stop after so many customers; 0 goes on")
    arguments = parser.parse_args()
    chance = random.Random(7)  # noqa: S311 - made-up people, the same in every run
    with contextlib.suppress(KeyboardInterrupt), httpx2.Client(base_url=arguments.shop, timeout=5) as client:
        for number in itertools.count(1):
            if arguments.count and number > arguments.count:
                break
            with contextlib.suppress(httpx2.TransportError):
                _visit(client, chance, number)
            time.sleep(arguments.every)


if __name__ == "__main__":
    main()
