"""What software writes where a secret could stand: it stays, and what only resembles it is masked all the same."""

import pytest
from tests.redaction.corpus import ENGINES, redacted

from loglease.redaction.harmless import is_folder, is_message, is_open_address, is_reference, is_words
from loglease.redaction.randomness import is_digest, is_placeholder, is_template

STAYS = [
    "Access denied for user 'app'@'10.1.2.3' (using password: YES)",
    "sudo:  bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx",
    "sudo:  bob : TTY=unknown ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
    "pam_unix(passwd:chauthtok): password changed for bob",
    "Hibernate: update users set password=?, pin=? where id=?",
    "STATEMENT:  UPDATE users SET password = $1 WHERE secret = :secret AND otp = :otp",
    "Executed DbCommand (12ms) [Parameters=[@password='?' (Size = 255)]]",
    '{"errors":{"password":["This field is required.","is too short (minimum is 8 characters)"]}}',
    "password: must be at least 12 characters; secret: missing; otp=expired",
    "x-auth-token: missing, refresh_token=expired, api key: required, session_id: not set, email: invalid",
    "Authorization: Bearer undefined",
    "Authorization: Bearer [REDACTED]",
    '{"authorization":"REDACTED"}',
    "Set-Cookie: [REDACTED]",
    "WARNING! Using --password via the CLI is insecure. Use --password-stdin.",
    "not authorized: GetSecretValue on arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-AbCdEf",
    "encryption_key=arn:aws:kms:eu-central-1:123456789012:key/7c1f9e02-88ab-4d35-b6c4-90e1f2a3b4c5",
    "private_key=/etc/tls/tls.key POSTGRES_PASSWORD=/run/secrets/db",
    'level=info msg="reconciled secret" secret=shop/db-credentials',
    '{"client_token":"hmac-sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}',
    "Account SID: S-1-5-21-3623811015-3361044348-30300820-1013",
    "cookie=0x7f9e8d6c, duration=1234.5s, table=0, n_packets=12 actions=NORMAL",
    "database_url=postgres://db:5432/shop redis_url=redis://redis:6379/0",
    "gpio pin=17 state=high",
    "get key=user:7c1f9e02-88ab-4d35-b6c4-90e1f2a3b4c5:profile hit",
    "put key=users/7c1f9e02-88ab-4d35-b6c4-90e1f2a3b4c5/carts/17 key=4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7",
    "Package_for_KB2928120~31bf3856ad364e35~amd64~~6.1.1.2",
    'error syncing key="shop/api-7d9f8b6c5d-x2k9p" not found',
    "--- PASS: TestPasswordHash (0.12s)",
    "UPDATE Users SET Password = @Password, Secret = @p0 WHERE Id = @Id",
    "UPDATE users SET password = :1, token = :2 WHERE id = :3",
    "spark.authenticate.secret=*********(redacted)",
    "check_ntlm_password:  Authentication for user [bob] -> [bob] FAILED",
    '{"params":[{"key":"info","value":"x"},{"key":"token","value":"[FILTERED]"}]}',
    "MessageSid=SM3f9a1c7e5b2d8f604a1c3e5d7f9b2a4c AccountSid=AC3f9a1c7e5b2d8f604a1c3e5d7f9b2a4c",
    "# pass: 123 fail: 4 skip: 2",
    "Cache restored from key: Linux-node-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "s3 key=uploads/2026/11/26/7c1f9e02-88ab-4d35-b6c4-90e1f2a3b4c5.jpg size=123456",
    "record key=01HF7YAT31JZHSMW1CG6Q6MHB7 partition=3",
    "Server host key: ecdsa-sha2-nistp256 SHA256:br9IjFspm1vxR3iA35FWE+4VTyz1hYVLIE2t1/CeyWQ",
    "dovecot: auth: passwd-file(bob,10.1.2.3,<Qm3xT9bZ0aLw8KcV>): Password mismatch",
    "Could not load 'Newtonsoft.Json, Version=13.0.0.0, Culture=neutral, PublicKeyToken=30ad4fe6b2a6aeed'.",
    "npm ERR! sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg== failed",
    "x-amz-id-2: vlR7PnpV2Ce81l0PRw6jlUpck7Jo5ZsQjryTjKlc5aLWGVHPZLj5NeC6qMa0emYBDXOo6QBU0Wo=",
    "x-amz-cf-id: k3J9vXw0ZbQ7yT2mLhN8rPfUeDcGsAaBoViK5xYzW1qRtE6jMnHpCg==",
    "debug2: ciphers ctos: chacha20-poly1305@openssh.com,aes128-ctr,aes256-gcm@openssh.com",
    "debug2: KEX algorithms: curve25519-sha256@libssh.org,sntrup761x25519-sha512@openssh.com",
    "node rabbit@mq-0.mq.shop.svc.cluster.local up, celery@worker-1.shop.example.com ready",
    "krb5: HTTP/web.example.com@EXAMPLE.COM: KDC has no support",
    "uses: docker/build-push-action@v5.3.0.beta",
    "serial number: 2047 1234 5678, invoice number 555-123-4567",
    "Firmware 1.2.3.4 loaded, jdk 11.0.22.7, section 3.2.1.4",
]
GOES = [
    ("password=YESterday9", "YESterday9"),
    ("pwd=/Kd93kLs02mQ", "/Kd93kLs02mQ"),
    ("Server=db;Uid=sa;Pwd=hunter2;", "hunter2"),
    ("SMTP_PASS=hunter2", "hunter2"),
    ("user=bob pass=1234", "1234"),
    ("PASS: hunter2", "hunter2"),
    ("auth=admin/correct9810", "admin/correct9810"),
    ("token=staple-master884", "staple-master884"),
    ("pwd=/wmeMuVHKqigr", "/wmeMuVHKqigr"),
    ("pwd=/JnYvXPqAbG/rWGEK", "/JnYvXPqAbG/rWGEK"),
    ("cookie=19362589", "19362589"),
    ("key=user:q9X8w7V6u5T4s3:profile", "q9X8w7V6u5T4s3"),
    ("key=ab9x8w7v6u5t4s3r2/profile", "ab9x8w7v6u5t4s3r2"),
    ("password=@hunter2", "@hunter2"),
    ("password=**hunter2**", "hunter2"),
    ("key=Shop/q9X8w7V6u5T4s3", "q9X8w7V6u5T4s3"),
    ('{"password":"required horse must staple"}', "horse"),
    ('{"password":"password 123"}', "password 123"),
    ("password=?x9!k", "?x9!k"),
    ("password=$1abc", "$1abc"),
    ("password=:hunter2", ":hunter2"),
    ("secret=/x9/Kd93kLs02mQ", "/x9/Kd93kLs02mQ"),
    ("secret=shop/hunter2x", "shop/hunter2x"),
    ("arn secret:hunter2", "hunter2"),
    ("otp=493021 pin=4821", "493021"),
    ("database_url=postgres://db/shop?password=hunter2", "hunter2"),
    ("redis_url=redis://:hunter2@redis:6379/0", "hunter2"),
    ("key=q9X8w7V6u5T4s3.png", "q9X8w7V6u5T4s3"),
    ("key=shop-live-kd93kLs02mQx7Yt4wB", "kd93kLs02mQx7Yt4wB"),
    ("Authorization: Bearer kd93kls02mqx", "kd93kls02mqx"),
    ("cookie: sid=abc; theme=dark", "sid=abc"),
    ("mail bob1@example.com, rabbit.fan@example.com, bob@openssh.com", "bob@openssh.com"),
    ("call number 732-555-0147 at once", "732-555-0147"),
    ("2026-11-26 10:00:00 MIIEpAIBAAKCAQEA0Kd93kLs02mQx7Yt4wBvlR7PnpV2Ce81l0PRw6jlUpck7Jo5", "MIIEpAIB"),
]


@pytest.mark.parametrize("line", STAYS)
@pytest.mark.parametrize("profile", ["pii-default@1", "secrets@1"])
def test_what_software_says_of_secrets_stays(line: str, profile: str) -> None:
    assert redacted(line.encode() + b"\n", profile=profile).decode() == line + "\n"


@pytest.mark.parametrize(("line", "value"), GOES)
@pytest.mark.parametrize("engine", ENGINES)
def test_what_only_resembles_it_is_masked(line: str, value: str, engine: str) -> None:
    assert value not in redacted(line.encode() + b"\n", engine).decode()


@pytest.mark.parametrize(
    "value", [b"missing", b"Expired.", b"YES)", b"must not be blank", b"is too short (minimum is 8 characters)"]
)
def test_messages_are_told(value: bytes) -> None:
    assert is_message(value)


@pytest.mark.parametrize(
    "value",
    [b"hunter2", b"two words", b"a value of value", b"password 123", b"valid horse", b"", b"12 34", b"required" * 99],
)
def test_what_is_no_message(value: bytes) -> None:
    assert not is_message(value)


def test_references_folders_words_and_addresses_are_told_from_secrets() -> None:
    assert is_reference(b"/run/secrets/db")
    assert is_reference(b"kube-system/shop-tls")
    assert not is_reference(b"shop/db")
    assert not is_reference(b"/Kd93kLs02mQ")
    assert is_folder(b"/")
    assert is_folder(b"/srv/app-2")
    assert is_folder(b"C:\\Users\\bob")
    assert not is_folder(b"/srv/Kd93")
    assert not is_folder(b"srv")
    assert is_words(b"ecdsa-sha2-nistp256")
    assert not is_words(b"kd93k-ls02m-qx7yt")
    assert is_open_address(b"jdbc:postgresql://db:5432/shop?ssl=true")
    assert not is_open_address(b"postgres://app:x@db/shop")
    assert not is_open_address(b"https://hooks.example.com/T0/B0")


def test_digests_behind_words_and_ids_by_time_are_digests() -> None:
    assert is_digest(b"Linux-node-2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")
    assert is_digest(b"ord_01HF7YAT31JZHSMW1CG6Q6MHB7")
    assert is_digest(b"30ad4fe6b2a6aeed'.")
    assert not is_digest(b"shop-2fd4e1c67a2d28fced849ee1bb76e7391b93eb12x")
    assert not is_digest(b"91HF7YAT31JZHSMW1CG6Q6MHB7")


@pytest.mark.parametrize("value", [b"?", b"$1", b":password", b":new_token"])
def test_parameters_of_a_statement_stand_for_a_value(value: bytes) -> None:
    assert is_template(value)
    assert is_placeholder(value)
