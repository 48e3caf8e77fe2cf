"""What templates give; each answer is that of Go's own templates."""

from __future__ import annotations

import pytest
from tests.logql.templates.filling import filled

from loglease.logql import Malformed
from loglease.logql.templates import TemplateFailed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{.a}} and {{ .missing }}|", "alpha and |"),
        ('{{index . "missing"}}|', "|"),
        ("{{with .missing}}x{{else with .n}}{{.}}{{end}}", "42"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}", "1"),
        ("{{range 5}}{{if eq . 2}}{{continue}}{{end}}{{if eq . 4}}{{break}}{{end}}{{.}}{{end}}", "013"),
        ("{{range $i, $e := (fromJson .j).l}}{{$i}}={{$e}};{{end}}", "0=1;1=two;2=<no value>;3=true;4=map[x:y];"),
        (" x {{-  .a  -}} y", " xalphay"),
        ("x {{- /* gone */ -}} y", "xy"),
        ("{{.a |}}", "alpha"),
        ("{{(fromJson .j).missing}} {{print nil}}", "<no value> <nil>"),
        ("{{and 1 0}} {{or 0 1}} {{not nil}}", "0 1 true"),
        ("{{slice (fromJson .j).l 1 2 3}}", "[two]"),
        ("{{0x1F}} {{017}} {{1_000}} {{'\\x41'}} {{1.0}}", "31 15 1000 65 1"),
    ],
)
def test_the_language(text, expected):
    assert filled(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{print 123456.0 1234567.0 0.0001 0.00001 -0.0}}", "123456 1.234567e+06 0.0001 1e-05 -0"),
        ("{{addf 0.1 0.2}} {{subf 1 0.9}} {{mulf 1.1 1.1}} {{divf 2 3}}", "0.3 0.1 1.21 0.6666666666666667"),
        ("{{ceil -0.5}} {{floor -1.2}} {{round -2.4 0}} {{round 1.555 2}}", "-0 -2 -3 1.56"),
        ('{{maxf "nan" 1}} {{maxf "inf" "nan"}} {{minf 0.0 -0.0}}', "NaN +Inf -0"),
        ('{{int "017"}} {{int "0x_1f"}} {{int "4.5"}} {{int "5.00"}} {{int -3.99}}', "15 31 0 5 -3"),
        ("{{add 9223372036854775807 1}} {{mod -7 3}} {{div -7 2}}", "-9223372036854775808 -1 -3"),
        ('{{duration "1672ms"}} {{bytes "5GB"}}', "1.6720000000000002 5e+09"),
    ],
)
def test_numbers(text, expected):
    assert filled(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{title "it\'s x_y foo-bar ßx"}}', "It'S X_y Foo-Bar ßx"),
        ('{{lower "İΑΣ"}} {{upper "ßé"}}', "iασ ßÉ"),
        ('{{count "a*" "baac"}} {{count "" "é"}} {{count "(?m)^" "a\\nb"}}', "3 2 2"),
        ('{{regexReplaceAll "a*" "baaac" "X"}} {{regexReplaceAll "" "é" "-"}}', "XbXcX -é-"),
        ('{{regexReplaceAll "(a)" "a" "$1_$01${1}$$"}}', "a$"),
        ('{{b64dec "aGVsbG8="}} {{b64dec "aGVs!"}}', "hello illegal base64 data at input byte 4"),
        ('{{js "\\u00a0<é"}} {{html nil}}', "\\u00A0\\u003Cé &lt;no value&gt;"),
        ('{{fromJson "\\"\\\\ud800\\""}} {{fromJson "-0"}} {{(fromJson .j).big}}', "\ufffd -0 1.2345678e+07"),
    ],
)
def test_text(text, expected):
    assert filled(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{printf "%5s|%-5s|%05d|%+d|% 05d" "ab" "ab" 42 42 5}}', "   ab|ab   |00042|+42| 0005"),
        ('{{printf "%#x %#o %#b %#U %#q" 255 8 5 233 65}}', "0xff 010 0b101 U+00E9 'é' 'A'"),
        ('{{printf "%[2]d %[1]d %[2]*[1]d" 1 2}}', "2 1  1"),
        ('{{printf "%.2f %.*f %#g %.3v" 2.5 1 0.25 1.0 1.23456}}', "2.50 0.2 1.00000 1.23"),
        ('{{printf "%d %s" "x" 5}}', "%!d(string=x) %!s(int=5)"),
        ('{{printf "%d"}} {{printf "" 1}} {{printf "a%"}}', "%!d(MISSING) %!(EXTRA int=1) a%!(NOVERB)"),
        ('{{printf "%s" (fromJson .j).l}}', "[%!s(float64=1) two <nil> %!s(bool=true) map[x:y]]"),
        ('{{printf "%#v %q" (fromJson .j).o "é\\n"}}', 'map[string]interface {}{"z":interface {}(nil)} "é\\n"'),
    ],
)
def test_layouts(text, expected):
    assert filled(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{date "2006-01-02T15:04:05.000Z07:00" __timestamp__}}', "2023-11-14T22:13:20.123Z"),
        ('{{toDate "15:04" "12:30"}}', "0000-01-01 12:30:00 +0000 UTC"),
        ('{{toDate "2006-01-02" "2023-02-29"}}', "0001-01-01 00:00:00 +0000 UTC"),
        ('{{toDate "Jan _2 2006" "feb  5 2024"}}', "2024-02-05 00:00:00 +0000 UTC"),
        ('{{toDate "15:04:05" "9:08:07.5"}}', "0000-01-01 09:08:07.5 +0000 UTC"),
        ('{{toDate "2006 002" "2024 060"}}', "2024-02-29 00:00:00 +0000 UTC"),
        ('{{toDate "2006-01-02 -0700" "2024-01-02 +0130"}}', "2024-01-02 00:00:00 +0130 +0130"),
        ('{{toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2024-03-31 02:30"}}', "2024-03-31 03:30:00 +0200 CEST"),
        ('{{toDateInZone "2006-01-02 15:04" "America/New_York" "2024-03-10 02:30"}}', "2024-03-10 01:30:00 -0500 EST"),
        ('{{date "15:04 MST" (toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2024-07-01 12:00")}}', "10:00 UTC"),
        ('{{unixToTime "19751"}}', "2024-01-29 00:00:00 +0000 UTC"),
    ],
)
def test_dates(text, expected):
    assert filled(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{.a.b}}",
        "{{(fromJson .j).missing.x}}",
        "{{index nil}}",
        "{{range $i, $j := 3}}{{end}}",
        "{{div 1 0}}",
        "{{divf 1 0}}",
        '{{addf "inf" 1}}',
        "{{indent -1 .a}}",
        '{{eq 1 "1"}}',
        "{{lt true false}}",
        '{{date "2006" .a}}',
        '{{unixToTime "9999999999999999999"}}',
        '{{toDateInZone "2006" "Nowhere/Land" "2024"}}',
    ],
)
def test_what_fails_for_a_line(text):
    with pytest.raises(TemplateFailed):
        filled(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{nil}}",
        "{{$x = 1}}",
        "{{1e400}}",
        "{{08}}",
        "{{9223372036854775808}}",
        "{{'\\\"'}}",
        "{{range $i, := .}}{{end}}",
        "{{if .a}}{{else with .n}}{{end}}",
        "{{ /* no */ }}",
        '{{define "x"}}{{end}}',
        "{{.a | 1}}",
    ],
)
def test_what_is_refused(text):
    with pytest.raises(Malformed):
        filled(text)
