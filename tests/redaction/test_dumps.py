"""Secrets in what programs print of themselves: dumps of objects, tables, plans, command lines, statements, URLs."""

import pytest
from tests.redaction.corpus import ENGINES, redacted

MASKED = [
    '      + password                                     = "«s3cret»"',
    "      DB_PASSWORD:                                «s3cret»",
    '["password"]=> string(6) "«s3cret»" ["host"]=> string(2) "db"',
    '["password":protected]=> string(6) "«s3cret»"',
    '["password":"App\\User":private]=> string(6) "«s3cret»"',
    "[password:protected] => «s3cret»",
    "[password:App\\User:private] => «s3cret»",
    "'password' => string '«s3cret»' (length=6)",
    'a:2:{s:4:"user";s:3:"bob";s:8:"password";s:6:"«s3cret»";}',
    '{"job":"s:8:\\"password\\";s:6:\\"«s3cret»\\";"}',
    'Password: (string) (len=6) "«s3cret»",',
    'password: (*string)(0xc000010250)((len=6) "«s3cret»"),',
    'Config { user: "bob", password: Some("«s3cret»"), port: 1 }',
    'Config { password: SecretString("«s3cret»"), port: 1 }',
    'password: Optional("«s3cret»")',
    '#{user => <<"bob">>, password => <<"«s3cret»">>}',
    '{:user "bob", :password "«s3cret»"}',
    "password: !!str «s3cret»",
    'map[string][]string{"Password":[]string{"«s3cret»"}}',
    '{"db_password":{"sensitive":true,"type":"string","value":"«s3cret»"}}',
    '{"m":"{\\"password\\":{\\"value\\":\\"«s3cret»\\",\\"origin\\":\\"x\\"}}"}',
    '{"password":{"S":"«s3cret»"},"id":{"S":"4"}}',
    "UID=sa;PWD={«s3c;ret»};Database=x",
    '<property name="hibernate.connection.password">«s3cret»</property>',
    '<entry key="db.password"><![CDATA[«s3cret»]]></entry>',
    "keytool -storepass «s3cret» -keypass «s4cret» -v",
    "New-LocalUser -Name bob -Password '«s3cret»' -Verbose",
    'Parameters: {"password"=>"«s3cret»", "password_confirmation"=>"«s3cret»"}',
]  # fmt: skip
LEFT = [
    '{"password":{"min":8,"type":"string"}}',
    '{"password":{"rule":"value","S":4}}',
    "usage: run [-user NAME] [-password] - password reset -no-password",
    "run -password -v --password --verbose",
    "auth: type:password; string(6)",
    "url=x;password={name};other",
    '<button name="password"/><b>Change it</b>',
    "[password:protected] => ***",
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("line", MASKED)
def test_a_password_is_masked_in_what_programs_print_of_themselves(line: str, engine: str) -> None:
    out = redacted(line.replace("«", "").replace("»", "").encode() + b"\n", engine).decode()
    first, *others = line.split("«")
    assert out == first + "".join(f"⟦password⟧{rest.split('»')[1]}" for rest in others) + "\n"


@pytest.mark.parametrize("line", LEFT)
def test_what_is_printed_beside_a_name_but_is_no_value_stays(line: str) -> None:
    assert redacted(line.encode() + b"\n").decode() == line + "\n"


@pytest.mark.parametrize(
    "form", ["password" + " " * 200_000, ':password "' * 20_000, "password={" * 20_000, '"password":{"S' * 20_000]
)
def test_names_without_values_cost_what_their_length_does(form: str) -> None:
    assert redacted(form.encode() + b"\n")
