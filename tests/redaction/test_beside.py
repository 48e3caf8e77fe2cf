"""A key that is the value of a `name`: what it names stands in the member beside it."""

import pytest
from tests.redaction.corpus import ENGINES, redacted

MASKED = [
    '{"name":"DB_PASSWORD","value":"«s3cret»"}',
    '{"value":"«s3cret»","name":"DB_PASSWORD"}',
    '{ "name" : "DB_PASSWORD" , "value" : "«two words»" }',
    '{ "value" : "«two words»", "name" : "DB_PASSWORD" }',
    "env: [{name: DB_PASSWORD, value: «s3cret»}, {name: DB_HOST, value: db1}]",
    "env: [{value: db1, name: DB_HOST}, {value: «s3cret», name: DB_PASSWORD}]",
    '[{"name":"DB_HOST","value":"db1"},{"name":"DB_PASSWORD","value":"«s3cret»"},{"name":"X","value":"y1"}]',
    '[{"value":"db1","name":"DB_HOST"},{"value":"«s3cret»","name":"DB_PASSWORD"},{"value":"y1","name":"X"}]',
    '{"m":"{\\"name\\":\\"DB_PASSWORD\\",\\"value\\":\\"«s3cret»\\"}"}',
    '{"m":"{\\"value\\":\\"«s3cret»\\",\\"name\\":\\"DB_PASSWORD\\"}"}',
    '<property name="password" value="«s3cret»"/>',
    '<property value="«s3cret»" name="password"/>',
    "<add key=\"MailPassword\" value='«s3cret»' />",
    "<add key='MailPassword' value=«Tr4ube» x='1'/>",
    '{"ParameterKey":"DbPassword","ParameterValue":"«s3cret»"}',
    "{'Key': 'password', 'Value': '«s3cret»'}",
    '{"value":"«a value of value»","name":"DB_PASSWORD"}',
    '{"name":"DB_PASSWORD","value":"«a\\"b\\\\»","x":1}',
    '{"name":"passphrase","value":"«s3cret»","type":"text"}',
]
LEFT = [
    '{"name":"DB_HOST","value":"db1"}',
    '{"name":"DB_PASSWORD","value":null}',
    '{"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"db","key":"password"}}}',
    '{"name":"password policy","value":"on"}',
    '{"field":"password","code":"short"}',
    '[{"value":"db1","name":"DB_HOST"},{"name":"DB_PASSWORD"}]',
    'error="invalid password" value=3',
    "renamed: password, value=3",
    '{"value":"db1","names":["password"]}',
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("line", MASKED)
def test_a_value_is_masked_where_the_member_beside_it_names_it(line: str, engine: str) -> None:
    out = redacted(line.replace("«", "").replace("»", "").encode() + b"\n", engine).decode()
    before, rest = line.split("«")
    assert out == f"{before}⟦password⟧{rest.split('»')[1]}\n"


@pytest.mark.parametrize("line", LEFT)
def test_what_nothing_beside_it_names_stays(line: str) -> None:
    assert redacted(line.encode() + b"\n").decode() == line + "\n"


def test_a_number_beside_its_name_gets_quotes() -> None:
    assert redacted(b'{"name":"PIN","value":4821}\n').decode() == '{"name":"PIN","value":"⟦otp⟧"}\n'


def test_a_line_full_of_names_costs_what_its_length_does() -> None:
    text = b"value='" + b'{"name":"password"},' * 20_000 + b"\n"
    assert redacted(text) == text
