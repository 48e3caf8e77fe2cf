"""Healthy text that looks like a secret or a number of somebody: none of it is masked by the default profile."""

import pytest
from tests.redaction.corpus import redacted

HEALTHY = [
    "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7 parent=53995c3f42cd8ad8",
    '{"id":"0d4e8a37-5c19-4b62-9e7f-1a2b3c4d5e6f","correlation_id":"7c1f9e02-88ab-4d35-b6c4-90e1f2a3b4c5"}',
    "etag 5d41402abc4b2a76b9719d911017c592 crc 3610a686 md5=7d793037a0760186574b0282f2f435e7",
    "digest: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12 merged by build 20260731.4",
    "ts=1722420000123456789 took=1532 seq=900719925474099 offset=18446744073709551615",
    "order 4929123412341235 and invoice 2026073100012345 shipped",
    "pod/checkout-7d9f8b6c5d-x2v4q on ip-10-0-3-17.eu-central-1.compute.internal",
    "mounted secret default-token-x7k2p; serviceaccount token projected",
    "eth0 00:1b:44:11:3a:b7 up since 12:34:56 (build 1.22.333.4-rc.1)",
    "password policy check passed; token bucket refilled; key rotation done; secret store reachable",
    "Authorization failed for bob: authorization required; access token expired; api key rejected",
    "cache_key=5d41402abc4b2a76b9719d911017c592 partition_key=7c1f9e02-88ab-4d35-b6c4-90e1f2a3b4c5",
    "idempotency-key: 7c1f9e02-88ab-4d35-b6c4-90e1f2a3b4c5 routing_key=orders.created.v2",
    "bearer authentication is off; basic auth disabled; cookie consent shown",
    "password=${DB_PASSWORD} secret={{ vault_secret }} token=$CI_JOB_TOKEN api_key=os.environ",
    "call took 12345678 ns, contact 2026-07-31 10:00:00, phone lookup 12 of 300",
    "04 12 34 56 78 9a bc de f0 11 22 33 44 55",
    "card reader 20260731 ready; discard 4929123412341235",
    "sk-learn pipeline test_the_order_of_all_items_in_a_row_1 live_view_of_the_whole_region_2",
    "std::map<Key, Token>::find(): key 4711 not in index token-type",
    "2026-07-31T10:00:00.123456789+02:00 GET /api/v1/items/7c1f9e02-88ab-4d35-b6c4-90e1f2a3b4c5 200",
    "image registry.example.com/shop/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "part=857-439-94397 worker started, network 10.0.0.12 reached, office hours 08 00 to 17 30",
    "GET /cb?code=E_WRONG_ARGUMENT&key=orders.created.v2&token=expired HTTP/1.1",
    "GET /password/reset/instructions-were-sent /verify-email/done /unsubscribe/7c1f9e02-88ab-4d35-b6c4-90e1f2a3b4c5",
    "Authorization: required for everybody; authorization: denied 2026-07-31T10:00:00.000",
    "the password is required; password was changed; password set to expire; using password authentication",
    "INSERT INTO users (name, password) VALUES ($1, $2); INSERT INTO t (name, age) VALUES ('bob', 3)",
    "ARG TOKEN missing; echo done | sudo tee x; net use deleted; unzip -p a.zip; zip -r a.zip b; curl -s http://x/y",
    "OTP sent in 1532 ms; verification code expired; recovery codes: none; cvc check 12; session: started by worker-7",
    "listening on tcp(0.0.0.0:80) user@//host; sqlplus / as sysdba; jdbc:oracle:thin:@db:1521/x; see http://[::1]:80/a@b",
    "ssh://deployment-of-the-shop@host/x https://build-of-the-nightly-images@git:8443/shop",
    "bsn=123456789 nif: 123456780 PESEL 12345678901 NHS number 1234567890",
]


@pytest.mark.parametrize("line", HEALTHY)
def test_healthy_text_stays(line: str) -> None:
    assert redacted(line.encode() + b"\n").decode() == line + "\n"
