"""Templates, one a line, that Go and we are asked to fill."""

from __future__ import annotations

CASES = r"""
{{.a}} and {{ .missing }}|{{.a.b}}
{{.missing.b}}
{{.}}
{{$}}
{{$.a}}
{{$x := .a}}{{$x}}
{{$x = 1}}
{{$x := 1}}{{$x = 2}}{{$x}}
{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}
{{$x := 1}}{{if true}}{{$x = 2}}{{$x}}{{end}}{{$x}}
{{if true}}{{$y := 2}}{{end}}{{$y}}
{{$x, $y := 1}}
{{nil}}
{{nil | print}}
{{print nil}}
{{true}} {{false}}
{{if nil}}x{{end}}
{{not nil}}
{{.a | nil}}
{{1 | 2}}
{{.a 1}}
{{1 2}}
{{"a" "b"}}
{{(lower) "A"}}
{{lower}}
{{lower "A" "B"}}
{{lower 1}}
{{lower true}}
{{len .a}} {{len .u}} {{len (fromJson .j)}} {{len (fromJson .j).l}}
{{len 3}}
{{len nil}}
{{index .a 0}}
{{index .a 5}}
{{index .a -1}}
{{index . "a"}} {{index . "missing"}}
{{index . 1}}
{{index .a "x"}}
{{index (fromJson .j) "l" 1}}
{{index (fromJson .j) "o" "a" "b"}}
{{index (fromJson .j) "missing"}}
{{index (fromJson .j) "missing" "x"}}
{{index (fromJson .j) "o" "z" "x"}}
{{index .a}}
{{index}}
{{index nil}}
{{index nil 1}}
{{slice .a 1}} {{slice .a 1 3}} {{slice .a}}
{{slice .a 1 3 4}}
{{slice .a 3 1}}
{{slice .a 6}}
{{slice (fromJson .j).l 1 3}}
{{slice (fromJson .j).l 1 3 4}}
{{slice (fromJson .j).l 1 3 2}}
{{slice 5}}
{{slice . 1}}
{{and}}
{{or}}
{{and 1}} {{or 0}} {{and 0 1}} {{and 1 0}} {{or 0 1}} {{or 1 0}} {{and 1 2 3}} {{or 0 "" "x"}}
{{and .a .missing}}|{{or .missing .a}}|{{.a | and true}}|{{.missing | or .a}}
{{and false (index .a 99)}} {{or true (index .a 99)}}
{{and true (index .a 99)}}
{{not 0}} {{not "a"}} {{not (fromJson "[]")}} {{not (fromJson "{}")}} {{not (fromJson "null")}}
{{not}}
{{not 1 2}}
{{eq 1 1}} {{eq 1 2}} {{eq "a" .a "alpha"}} {{eq .n "42"}} {{eq true true}} {{eq 1.5 1.5}}
{{eq 1 1.0}}
{{eq 1 "1"}}
{{eq "1" 1}}
{{eq 1 2 "x" 1}}
{{eq 1 1 "x"}}
{{eq true 1}}
{{eq nil nil}}
{{eq 1 nil}}
{{eq nil 1}}
{{eq .a nil}}
{{eq . .}}
{{eq (fromJson "[]") (fromJson "[]")}}
{{eq (fromJson .j).o.z nil}}
{{eq (fromJson .j).n 1.5}}
{{eq 1}}
{{eq}}
{{eq (now) (now)}}
{{eq __timestamp__ now}}
{{ne 1 2}} {{ne "a" "a"}}
{{ne 1 2 3}}
{{ne 1 "a"}}
{{lt 1 2}} {{lt 2 1}} {{le 1 1}} {{gt 1 2}} {{ge 2 2}} {{lt "a" "b"}} {{lt 1.5 2.5}} {{lt "a" "B"}} {{gt "é" "z"}}
{{lt 1 2.0}}
{{lt 1 "2"}}
{{lt true false}}
{{lt nil nil}}
{{lt . .}}
{{lt (fromJson "[]") (fromJson "[]")}}
{{lt "\U00010000" "\uffff"}}
{{print}} {{print 1}} {{print 1 2}} {{print "a" "b"}} {{print "a" 1 2 "b"}} {{print 1 "a" 2}} {{print nil nil}} {{print true false}}
{{print 1.0}} {{print 1e6}} {{print 1e20}} {{print 1e21}} {{print 123456789.0}} {{print 0.0001}} {{print 0.00001}} {{print -0.0}}
{{println}}{{println 1 2}}{{println "a" "b"}}
{{printf}}
{{printf 5}}
{{printf "x"}}
{{printf "%s %d %v %q" .a 5 1.5 .u}}
{{printf "%s" 5}} {{printf "%d" "x"}} {{printf "%d" 1.5}} {{printf "%f" 5}} {{printf "%s" true}} {{printf "%t" true}} {{printf "%t" 1}}
{{printf "%5s|%-5s|%05d|%5d|%-5d|%+d|% d" "ab" "ab" 42 42 42 42 42}}
{{printf "%x %X %o %b %c %U %q" 255 255 8 5 65 233 65}}
{{printf "%#x %#X %#o %#b %#U %#q" 255 255 8 5 233 65}}
{{printf "%x %X % x %#x" "hi" "hi" "hi" "hi"}}
{{printf "%e %E %g %G %f %.2f %8.3f|%-8.2f|%08.2f|%+.1f" 1234.5678 1234.5678 1234.5678 1234.5678 1234.5678 1234.5678 1234.5678 1234.5678 1234.5678 1234.5678}}
{{printf "%.3g %g %g %g" 1234567.0 1e21 1e-7 100000.0}}
{{printf "%.0f %.f %.1f %.0f" 2.5 2.5 0.25 3.5}}
{{printf "%#g %#.3g %#f" 1.0 2.0 3.0}}
{{printf "%.2s|%.10s|%5.1s|" "héllo" "ab" "xyz"}}
{{printf "%v %v %v %v" nil true . 1.5}}
{{printf "%+v %#v" "a" "a"}}
{{printf "%#v %#v %#v" 1 1.5 true}}
{{printf "%T %T %T %T" "a" 1.5 true nil}}
{{printf "%d"}} {{printf "%d %d" 1}} {{printf "%d" 1 2}} {{printf "" 1 "a" true}}
{{printf "%%"}} {{printf "%z" 1}} {{printf "%z" "a"}} {{printf "%!" 1}} {{printf "%"}} {{printf "abc%"}} {{printf "%5"}}
{{printf "%*d|%-*d|" 5 42 5 42}}
{{printf "%[2]d %[1]d" 1 2}}
{{printf "%[3]d" 1 2}}
{{printf "%.*f" 2 3.14159}}
{{printf "%6.2f%%" 12.345}}
{{printf "%q" 'x'}} {{printf "%c" 'x'}} {{'x'}} {{'\n'}} {{'\''}} {{'\u00e9'}} {{'é'}}
{{printf "%q" "tab\tnl\n\"\\é\u200b\x00\x7f"}}
{{printf "%+q" "é⟦"}}
{{printf "%#q" "ab"}} {{printf "%#q" "a`b"}}
{{printf "%s" (fromJson .j)}}
{{printf "%d" (fromJson "[1,2]")}}
{{printf "%v" (fromJson .j)}}
{{printf "%q" (fromJson "[\"a\"]")}}
{{printf "%s %v" now now}}
{{printf "%d" true}}
{{printf "%s" nil}} {{printf "%d" nil}}
{{printf "%v %s" (fromJson "null") (fromJson "null")}}
{{printf "%08b" 5}} {{printf "%-08d|" 5}} {{printf "%+05d" 5}} {{printf "% 05d" 5}} {{printf "%x" -255}} {{printf "%5t|" true}}
{{printf "%10q|%-10q|" "a" "b"}} {{printf "%05s" "ab"}} {{printf "%5c|" 65}} {{printf "%5%|"}}
{{printf "%e" 0.0}} {{printf "%g" 1e100}} {{printf "%.3v" 1.23456}} {{printf "%6v|" 1.5}} {{printf "%6v|%-6v|%06v" "a" "b" 7}}
{{html .q}} {{js .q}} {{urlquery .q}}
{{html 1 2 "a" nil}} {{js 1 true}} {{urlquery 1 "a b"}}
{{html}}|{{js}}|{{urlquery}}
{{js "\u2028\u0001\x7f\u00a0é\U0001F600"}}
{{html "\x00"}}
{{urlquery "~-_.!*'()é ⟦"}}
{{lower .b}} {{upper .u}} {{title "hello wORLD foo-bar it's x_y 3rd éa"}} {{title ""}}
{{lower "İ"}} {{upper "ß ŉ ǰ"}} {{title "ǆabc ßx"}} {{lower "ΑΣ"}} {{ToLower "ÀÉ"}} {{ToUpper "àé"}}
{{trim "  \t x \n"}}|{{trim "\u00a0x\u200b"}}|{{trim "\x1cx\x1f"}}
{{trimAll "$" "$5.00$"}} {{trimAll "" "x"}} {{trimAll "ab" "abcba"}}
{{trimPrefix "-" "--x"}} {{trimSuffix "-" "x--"}} {{trimPrefix "" "x"}}
{{Trim "xxaxx" "x"}} {{TrimLeft "xxaxx" "x"}} {{TrimRight "xxaxx" "x"}} {{TrimPrefix "xa" "x"}} {{TrimSuffix "ax" "x"}} {{TrimSpace " a "}}
{{Trim "x" ""}} {{TrimLeft "x" ""}} {{TrimRight "x" ""}}
{{trunc 3 .a}} {{trunc -3 .a}} {{trunc 0 .a}} {{trunc 10 .a}} {{trunc -10 .a}} {{trunc -5 .a}} {{trunc 2 .u}} {{trunc -1 .u}}
{{trunc 2.5 .a}}
{{trunc "2" .a}}
{{trunc 2 5}}
{{substr 0 3 .a}} {{substr 1 -1 .a}} {{substr -1 3 .a}} {{substr 2 99 .a}} {{substr 5 5 .a}}
{{substr 3 2 .a}}
{{substr 6 7 .a}}
{{substr 99 -1 .a}}
{{substr -1 99 .a}}
{{substr -1 -1 .a}}
{{replace "a" "X" "banana"}} {{replace "" "-" "abc"}} {{replace "" "-" ""}} {{replace "a" "" "banana"}} {{replace "" "-" "éà"}}
{{Replace "banana" "a" "X" 2}} {{Replace "banana" "a" "X" -1}} {{Replace "banana" "a" "X" 0}} {{Replace "abc" "" "-" 2}} {{Replace "a" "" "-" 9}}
{{repeat 3 "ab"}} {{repeat 0 "ab"}}
{{repeat -1 "ab"}}
{{indent 2 .lines}}
{{nindent 2 .lines}}
{{indent 0 .lines}}
{{indent -1 .lines}}
{{nindent -1 .lines}}
{{contains "lph" .a}} {{contains "" .a}} {{hasPrefix "al" .a}} {{hasSuffix "ha" .a}} {{contains "x" ""}}
{{default "x" .missing}} {{default "x" .a}} {{default 1 0}} {{default "x" false}} {{.missing | default "y"}} {{default "x" 0.0}} {{default 3 (fromJson "[]")}} {{default "z" nil}} {{default "z" (fromJson "null")}}
{{default "x"}}
{{default}}
{{default "x" "a" "b"}}
{{alignLeft 3 .a}}|{{alignLeft 8 .a}}|{{alignRight 3 .a}}|{{alignRight 8 .a}}|{{alignLeft 2 "éàü"}}|{{alignRight 5 "éàü"}}|{{alignLeft 0 "a"}}
{{alignLeft -1 .a}}
{{alignRight -1 .a}}
{{count "a" "banana"}} {{count "a+" "aab"}} {{count "" "abc"}} {{count "a*" "baac"}} {{count "x" ""}} {{count "" ""}} {{count "." "é"}} {{count "" "é"}}
{{count "(" "x"}}
{{count "." "a\nb"}} {{count "^" "a\nb"}} {{count "$" "a\n"}} {{count "(?m)^" "a\nb"}}
{{count "\\bb" "b b"}} {{count "a?" "ba"}}
{{regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W"}} {{regexReplaceAll "a(x*)b" "-ab-axxb-" "$1W"}} {{regexReplaceAll "a(?P<x>x*)b" "-ab-axxb-" "<$x>${x}$$"}}
{{regexReplaceAll "a*" "baaac" "X"}} {{regexReplaceAll "" "abc" "-"}} {{regexReplaceAll "" "é" "-"}} {{regexReplaceAll "(a)|b" "ab" "[$1]"}} {{regexReplaceAll "a" "a" "$"}} {{regexReplaceAll "a" "a" "${"}} {{regexReplaceAll "a" "a" "$9"}} {{regexReplaceAll "a" "a" "${0}"}} {{regexReplaceAll "(a)" "a" "$01"}} {{regexReplaceAll "(a)" "a" "$1_"}} {{regexReplaceAll "(a)" "a" "${1_}"}} {{regexReplaceAll "a" "a" "$é"}}
{{regexReplaceAllLiteral "a(x*)b" "-ab-axxb-" "${1}"}} {{regexReplaceAllLiteral "" "ab" "$0"}}
{{regexReplaceAll "(" "a" "b"}}
{{regexReplaceAll "(?i)A" "aA" "b"}} {{regexReplaceAll "\\d+" "a12b3" "#"}} {{regexReplaceAll "\\pL" "é1" "L"}}
{{b64enc .u}} {{b64dec "aGVsbG8="}} {{b64enc ""}} {{b64dec ""}} {{.a | b64enc | b64dec}}
{{b64dec "a"}} {{b64dec "!!!!"}} {{b64dec "aGVsbG8"}} {{b64dec "aGVs\nbG8="}} {{b64dec "aGVsbG8=x"}} {{b64dec "aG=="}} {{b64dec "===="}} {{b64dec "aGVs bG8="}} {{b64dec "aGV="}} {{b64dec "aGVsbG8=="}} {{b64dec "a=Vs"}} {{b64dec "aé=="}} {{b64dec "aGVsbG\r8=\n"}} {{b64dec "aGVsbG8=\nx"}} {{b64dec "-_-_"}}
{{urlencode .q}} {{urlencode "~-_.!*'() +é"}} {{urldecode "a%20b+c%C3%A9"}} {{urldecode ""}}
{{urldecode "%"}}
{{urldecode "%2"}}
{{urldecode "%zz"}}
{{(fromJson .j).k}} {{(fromJson .j).n}} {{(fromJson .j).big}} {{(fromJson .j).l}} {{(fromJson .j).o}} {{(fromJson .j).missing}} {{(fromJson .j).o.a.b}} {{(fromJson .j).e}}
{{(fromJson .j).o.z}} {{(fromJson .j).missing.x}}
{{(fromJson .j).o.z.x}}
{{(fromJson .j).k.x}}
{{(fromJson .j).l.x}}
{{fromJson "nonsense"}} {{fromJson ""}} {{fromJson "null"}} {{fromJson "1"}} {{fromJson "1e400"}} {{fromJson "\"x\""}} {{fromJson "true"}} {{fromJson "[1"}} {{fromJson "NaN"}} {{fromJson " 1 "}} {{fromJson "01"}} {{fromJson "-0"}} {{fromJson "12345678901234567890"}} {{fromJson "1e20"}} {{fromJson "1e21"}}
{{fromJson "\"\\ud800\""}} {{fromJson "{\"a\":1,\"a\":2}"}} {{fromJson "\"\\u00e9\\n\""}} {{fromJson "\"a\tb\""}} {{fromJson "[1,]"}} {{fromJson "{\"b\":1,\"a\":[]}"}} {{fromJson "1 2"}}
{{with fromJson .j}}{{.k}}{{end}} {{range (fromJson .j).l}}<{{.}}>{{end}} {{range $i, $e := (fromJson .j).l}}{{$i}}={{$e}};{{end}} {{range $k, $v := (fromJson .j).o}}{{$k}}={{$v}};{{end}}
{{int "42"}} {{int "4.5"}} {{int "x"}} {{int ""}} {{int 3.99}} {{int -3.99}} {{int true}} {{int nil}} {{int "0x1f"}} {{int "017"}} {{int "-7"}} {{int "+7"}} {{int "1_000"}} {{int " 5"}} {{int "1e3"}} {{int "99999999999999999999"}} {{int "08"}} {{int "00"}} {{int "0b11"}} {{int "0o17"}} {{int "5.0"}} {{int "5.00"}} {{int "05.0"}} {{int ".0"}} {{int "-0"}} {{int "0x"}} {{int "5."}} {{int "-08"}} {{int "1.50"}} {{int .f}} {{int "0"}} {{int "000"}} {{int "0.0"}} {{int "-0x1f"}} {{int "0_7"}} {{int "0x_1f"}}
{{int (fromJson "[]")}} {{int .}} {{float64 .}} {{add . 1}}
{{float64 "1.5"}} {{float64 "x"}} {{float64 ""}} {{float64 3}} {{float64 true}} {{float64 nil}} {{float64 "1e3"}} {{float64 "0x1p4"}} {{float64 "inf"}} {{float64 "1_0"}} {{float64 " 1"}} {{float64 "1e400"}} {{float64 "NaN"}}
{{add}} {{add 1}} {{add 1 2 3}} {{add "5" 1.9 true}} {{add .n 1}} {{sub 5 3}} {{sub "5" .n}} {{mul 2 3}} {{mul 2 3 4}} {{mul 2}} {{div 7 2}} {{div -7 2}} {{mod 7 3}} {{mod -7 3}} {{max 1 5 3}} {{min 4 2}} {{max "9" 1}} {{min 1}} {{max 1.9 1}}
{{add 9223372036854775807 1}} {{sub -9223372036854775808 1}} {{mul 9223372036854775807 2}} {{div -9223372036854775808 -1}} {{mod -9223372036854775808 -1}}
{{div 1 0}}
{{mod 1 0}}
{{sub 1}}
{{sub 1 2 3}}
{{mul}}
{{max}}
{{addf}} {{addf 0.1 0.2}} {{addf 1}} {{addf "1.5" 2}} {{subf 1 0.9}} {{subf 10 1 2}} {{mulf 1.1 1.1}} {{mulf 2 3.5}} {{divf 1 3}} {{divf 10 2 2}} {{divf 2 7}} {{divf -1 3}} {{divf 1e10 3}} {{divf 1 1e20}} {{maxf 1 2.5 "3"}} {{minf 1.5 -2}} {{subf 1}} {{mulf 1}} {{divf 3}} {{divf 2 3}} {{divf 1 6 7}}
{{addf 1e300 1e300}} {{mulf 1e300 1e300}} {{addf 1e308 1e308}} {{mulf 1e-200 1e-200}} {{divf 1e300 1e-300}} {{addf 1e21 1}} {{addf 1e16 0.1}}
{{divf 1 0}}
{{divf 0 0}}
{{addf "inf" 1}}
{{addf "nan" 1}}
{{mulf "inf"}}
{{subf "inf"}}
{{maxf "nan" 1}} {{minf 1 "nan"}} {{maxf "inf" 1}} {{minf "-inf" "nan"}} {{maxf 0.0 -0.0}} {{minf 0.0 -0.0}}
{{ceil 1.2}} {{ceil -1.2}} {{floor 1.8}} {{floor -1.2}} {{ceil "1.5"}} {{floor "x"}} {{ceil -0.5}} {{floor "-0"}} {{ceil "inf"}} {{ceil 1e300}} {{floor "nan"}}
{{round 1.555 2}} {{round 2.5 0}} {{round -2.5 0}} {{round -2.4 0}} {{round -2.6 0}} {{round 123.456 -1}} {{round 123.5555 3}} {{round 1.25 1 0.6}} {{round 1.25 1 0.2}} {{round "1.5" 0}} {{round 0.1 400}} {{round 1.5 -400}} {{round 1e300 10}} {{round "inf" 1}} {{round "nan" 1}} {{round 5.5 0 1}} {{round -1.55 1 -0.6}} {{round -0.2 0}} {{round 1.5 308}} {{round 1.5 309}} {{round 0.0 309}} {{round 1.0 -320}} {{round 1.0 -330}}
{{round 1.5}}
{{round 1.5 1 2 3}}
{{round 1.5 "1"}}
{{bytes .s}} {{bytes "2 KB"}} {{bytes "5GB"}} {{bytes "0"}}
{{bytes "x"}}
{{bytes ""}}
{{duration .d}} {{duration_seconds "1.5ms"}} {{duration "0"}} {{duration "-1h"}} {{duration "1ns"}} {{duration "2540400h10m10.000000001s"}} {{duration "7.3s"}} {{duration "1m0.1s"}} {{duration "100h0.3s"}}
{{duration "1d"}}
{{duration "x"}}
{{now}} {{__timestamp__}} {{__line__}} {{__line__ | upper}}
{{now | unixEpoch}} {{__timestamp__ | unixEpoch}} {{__timestamp__ | unixEpochMillis}} {{__timestamp__ | unixEpochNanos}}
{{unixEpoch 5}}
{{unixEpoch "5"}}
{{date "2006-01-02" __timestamp__}} {{date "2006-01-02" 86400}} {{date "" now}} {{date "15:04" (int "3600")}} {{date "2006" -1}} {{date "2006-01-02T15:04:05.00Z-07:00" __timestamp__}}
{{date "Mon Monday Jan January 1 01 2 02 _2 002 __2 15 3 03 4 04 5 05 PM pm 06 2006 MST" __timestamp__}}
{{date "Z07 Z0700 Z07:00 Z070000 Z07:00:00 -07 -0700 -07:00 -070000 -07:00:00" __timestamp__}}
{{date ".000 .999 ,000 ,999 05.000 05.999999999 05,000 15:04:05.0000 .00x .0001 05.9 05.999999" __timestamp__}}
{{date "Janu Mond Mon2 Januaryx Mondayx 20066 _2006 _20062 12 22 010 0102 003 0 00 000 x" __timestamp__}}
{{date "2006-01-02 literal é 7 8 9 0" __timestamp__}} {{date "PMpmAMam" __timestamp__}} {{date "Z7 Z Z1 -7 - -1" __timestamp__}} {{date "MSTx MS MS T" __timestamp__}}
{{toDate "2006-01-02" "2024-02-29"}} {{toDate "2006-01-02T15:04:05Z07:00" .t}} {{toDate "2006-01-02" "2023-02-29"}} {{toDate "2006-01-02" "x"}} {{toDate "2006-01-02" "2024-1-2"}} {{toDate "2006-1-2" "2024-01-02"}} {{toDate "2006-01-02 MST" "2024-01-02 CET"}} {{toDate "2006-01-02 MST" "2024-01-02 UTC"}} {{toDate "2006-01-02 -0700" "2024-01-02 +0130"}} {{toDate "2006-01-02 -0700" "2024-01-02 +0000"}} {{toDate "2006-01-02 Z0700" "2024-01-02 Z"}}
{{toDate "Jan _2 2006 3:04PM" "Feb  5 2024 1:02AM"}} {{toDate "Jan _2 2006 3:04PM" "feb 5 2024 12:02pm"}} {{toDate "January 2" "march 7"}} {{toDate "Monday 2006" "Friday 2024"}} {{toDate "06" "69"}} {{toDate "06" "68"}} {{toDate "002 2006" "060 2024"}} {{toDate "002 2006" "366 2023"}} {{toDate "__2 2006" " 60 2024"}} {{toDate "3 pm" "13 pm"}} {{toDate "03 PM" "00 PM"}} {{toDate "15" "24"}} {{toDate "04" "60"}} {{toDate "05" "60"}} {{toDate "05" "59.123"}} {{toDate "05" "59,5"}} {{toDate "05.000" "59.123"}} {{toDate "05.000" "59.12"}} {{toDate "05.999" "59.12345"}} {{toDate "05.999" "59"}} {{toDate "5" "7"}} {{toDate "" ""}} {{toDate "" "x"}} {{toDate "2006" "0000"}} {{toDate "2006-01-02" "0000-01-01"}} {{toDate "2" "31"}} {{toDate "1 2" "2 30"}} {{toDate "2006-01-02 002" "2024-02-29 060"}} {{toDate "2006-01-02 002" "2024-02-29 061"}}
{{toDate "2006-01-02 15:04:05 -0700 MST" "2024-06-01 10:00:00 +0200 CEST"}} {{toDate "MST" "GMT+3"}} {{toDate "MST" "+03"}} {{toDate "MST" "ChST"}} {{toDate "MST" "ABCD"}} {{toDate "MST" "WITA"}} {{toDate "MST" "ABCDE"}} {{toDate "MST" "ABCDT"}} {{toDate "MST" "AB"}} {{toDate "-07:00:00" "+01:02:03"}} {{toDate "-07" "+25"}} {{toDate "-07:00" "+01:60"}} {{toDate "-07:00" "+24:00"}} {{toDate "Z07:00" "z"}}
{{toDate "2006 2006" "2023 2024"}} {{toDate "01 01" "02 03"}} {{toDate "Jan 01" "Mar 05"}} {{toDate "15 03PM" "10 04PM"}} {{toDate "PM 15" "PM 10"}} {{toDate "PM 3" "PM 10"}} {{toDate "a 2006" "b 2024"}} {{toDate "2006 " "2024"}} {{toDate "2006" "2024 "}} {{toDate " 2006" "2024"}} {{toDate "2006  01" "2024 02"}} {{toDate "2006 01" "2024   02"}}
{{toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2024-07-01 12:00"}} {{toDateInZone "2006-01-02 15:04" "America/New_York" "2024-01-01 00:00"}} {{toDateInZone "2006-01-02 15:04" "UTC" "2024-01-01 00:00"}} {{toDateInZone "2006-01-02 15:04" "" "2024-01-01 00:00"}} {{toDateInZone "2006-01-02 15:04 -0700" "Europe/Berlin" "2024-07-01 12:00 +0200"}} {{toDateInZone "2006-01-02 15:04 -0700" "Europe/Berlin" "2024-07-01 12:00 +0300"}} {{toDateInZone "2006-01-02 15:04 MST" "Europe/Berlin" "2024-07-01 12:00 CEST"}} {{toDateInZone "2006-01-02 15:04 MST" "Europe/Berlin" "2024-07-01 12:00 EST"}}
{{toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2024-03-31 02:30"}} {{toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2024-10-27 02:30"}} {{toDateInZone "2006-01-02 15:04" "America/New_York" "2024-03-10 02:30"}} {{toDateInZone "2006-01-02 15:04" "America/New_York" "2024-11-03 01:30"}} {{toDateInZone "2006-01-02" "Europe/Berlin" "1850-01-01"}} {{toDateInZone "2006-01-02" "Asia/Kolkata" "2024-01-01"}}
{{toDateInZone "2006-01-02" "Nowhere/Land" "2024-01-01"}}
{{toDateInZone "2006-01-02" "UTC" "x"}}
{{toDateInZone "2006-01-02" "../etc/passwd" "2024-01-01"}}
{{toDateInZone "2006-01-02" "utc" "2024-01-01"}}
{{toDateInZone "2006-01-02" "europe/berlin" "2024-01-01"}}
{{toDateInZone "2006-01-02" "Local" "2024-01-01"}}
{{date "15:04 MST" (toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2024-07-01 12:00")}}
{{unixToTime "19751"}} {{unixToTime "1700000000"}} {{unixToTime "1700000000123"}} {{unixToTime "1700000000123456"}} {{unixToTime "1700000000123456789"}} {{unixToTime "-1700"}} {{unixToTime "+1700000000"}}
{{unixToTime "17"}}
{{unixToTime "17000000x0"}}
{{unixToTime ""}}
{{unixToTime "9999999999999999999"}}
{{unixToTime 1700000000}}
{{range .a}}x{{end}}
{{range .}}{{.}};{{end}}
{{range $k, $v := .}}{{$k}};{{end}}
{{range 3}}{{.}}{{end}} {{range $i := 3}}{{$i}}{{end}}
{{range $i, $j := 3}}{{$i}}{{$j}}{{end}}
{{range 0}}x{{else}}none{{end}} {{range -1}}x{{else}}none{{end}}
{{range 2.5}}x{{end}}
{{range true}}x{{end}}
{{range nil}}x{{else}}none{{end}}
{{range (fromJson "null")}}x{{else}}none{{end}} {{range (fromJson "[]")}}x{{else}}none{{end}} {{range (fromJson "{}")}}x{{else}}none{{end}}
{{range 5}}{{if eq . 2}}{{continue}}{{end}}{{if eq . 4}}{{break}}{{end}}{{.}}{{end}}
{{break}}
{{continue}}
{{range 2}}{{if true}}{{break}}{{end}}{{else}}{{break}}{{end}}
{{range 3}}{{range 3}}{{if eq . 1}}{{break}}{{end}}{{.}}{{end}}-{{end}}
{{$x := 0}}{{range $x = 3}}{{end}}{{$x}}
{{$i := 9}}{{$e := 9}}{{range $i, $e = (fromJson "[5,6]")}}{{end}}{{$i}}{{$e}}
{{range $i, $e, $f := .}}{{end}}
{{range $i, := .}}{{end}}
{{range $i := 3}}{{$i = 7}}{{$i}}{{end}}
{{range $v := (fromJson "[1,2]")}}{{$v}}{{.}}{{end}}
{{range $x := 2}}{{end}}{{$x}}
{{with .a}}{{.}}{{end}} {{with .missing}}x{{else}}no{{end}} {{with $y := .a}}{{$y}}{{end}} {{with .missing}}x{{else with .b}}{{.}}{{end}} {{with .a}}{{$.n}}{{end}}
{{if .a}}x{{else if .b}}y{{else}}z{{end}} {{if .missing}}x{{else if .b}}y{{else}}z{{end}} {{if .missing}}x{{else if .missing}}y{{else}}z{{end}} {{if $y := .a}}{{$y}}{{end}}
{{if .missing}}x{{else with .b}}{{.}}{{end}}
{{with .missing}}x{{else if .b}}{{.}}{{end}}
{{if .a}}x
{{if}}x{{end}}
{{end}}
{{else}}
{{if .a}}x{{else}}y{{else}}z{{end}}
{{if .a}}x{{else}}y{{else if .b}}z{{end}}
{{range .}}x{{else if .a}}y{{end}}
{{if .a}}x{{end .b}}
{{if .a}}x{{else .b}}y{{end}}
{{range 3}}x{{else range 2}}y{{end}}
{{/* comment */}}x{{- /* c */ -}} y
{{ /* comment */ }}x
{{/* a */ .a}}
{{/* open
{{- .a -}}  x  {{- .b }} y {{ .n -}}  z
{{-.a}}
{{ .a-}}
{{- -1 -}}
{{-1}}
{{ - 1}}
{{ .a -}}
 x {{-  .a  -}} y
{{"a}}b"}}
{{`a}}b`}}
{{"a
b"}}
{{"unterminated}}
{{`unterminated}}
{{.a
}}
{{
.a
}}
{{.a}
{{.a
{{
{{}}
{{ }}
{.a}
}}x{{
{{.a}}}}
{{{.a}}}
{{.1}}
{{.a.}}
{{..a}}
{{. a}}
{{.a .b}}
{{.é}}
{{.a_b}}
{{.a-b}}
{{$.a.b}}
{{$é := 1}}{{$é}}
{{$1 := 1}}{{$1}}
{{$}}{{$ := 1}}
{{(.a)}} {{((.a))}} {{(.a | upper)}} {{(fromJson .j).k}} {{(1)}}
{{(.a}}
{{.a)}}
{{()}}
{{(.a).b}}
{{(fromJson .j) .k}}
{{$x := (.a)}}{{($y := .a)}}
{{.a | upper | lower | printf "%s-%s" "x"}}
{{.a | printf "%s"}}
{{.a |}}
{{| .a}}
{{.a || .b}}
{{upper .a | lower .b}}
{{len | .a}}
{{"x" | len}}
{{print (len "abc") "x"}}
{{print len "abc"}}
{{upper lower "a"}}
{{print now}}
{{print __line__ "x"}}
{{1}} {{1.5}} {{1e3}} {{0x1F}} {{0b101}} {{0o17}} {{017}} {{1_000}} {{0x1p4}} {{.5}} {{5.}} {{+5}} {{-5}} {{1E3}} {{1e-3}} {{0x_1f}} {{1.0}} {{100000000000000000000.0}} {{1e400}}
{{100000000000000000000}}
{{9223372036854775808}}
{{18446744073709551615}}
{{08}}
{{0x}}
{{1abc}}
{{1.2.3}}
{{1__0}}
{{1e}}
{{'ab'}}
{{''}}
{{'a}}
{{'\x41'}} {{'\101'}} {{'\a'}} {{'\\'}}
{{'\"'}}
{{'\q'}}
{{"\x41\u00e9\101\a\\\""}}
{{"\'"}}
{{"\q"}}
{{1e3 | int}} {{trunc 1e0 .a}} {{index .a 1.0}}
{{index .a 1.5}}
{{true | print}} {{print true}} {{not true}}
{{unknown .a}}
{{.a | unknown}}
{{.a:b}}
{{.a,b}}
{{.a;b}}
{{.a#b}}
{{a}}
{{a.b}}
{{true.b}}
{{"a".b}}
{{1.b}}
{{nil.b}}
{{.a"b"}}
{{"a""b"}}
{{upper"a"}}
{{upper(.a)}}
{{print .a(.b)}}
{{print (.a)(.b)}}
{{.a=1}}
{{$x:=1}}{{$x}}
{{$x :=1}}{{$x}}
{{$x:= 1}}{{$x}}
{{$x := }}
{{$x}}
{{$x := 1 | print}}{{$x}}
{{$x := $x}}
{{$x := 1}}{{$x := 2}}{{$x}}
{{if $x := 0}}{{else}}{{$x}}{{end}}
{{if $x := 0}}{{end}}{{$x}}
{{len (len "a")}}
{{len .a .b}}
{{with 1}}{{.}}{{end}}
{{with 1}}{{.x}}{{end}}
{{with "s"}}{{.x}}{{end}}
{{range (fromJson "[{\"a\":1},{\"a\":2,\"b\":3}]")}}{{.a}}{{.b}};{{end}}
{{range $k, $v := fromJson "{\"b\":1,\"a\":2,\"é\":3,\"B\":4}"}}{{$k}}{{$v}}{{end}}
{{print (fromJson "{\"b\":1,\"a\":2,\"é\":3,\"B\":4}")}}
{{println (fromJson "[1,\"a\",null,[2]]") nil}}
{{print (fromJson "[null]") (fromJson "null")}}
{{fromJson "[null,1.5,\"a b\",{\"a\":null}]"}}
{{printf "%v %d %s" (fromJson "[null,1]") (fromJson "[1,\"x\"]") (fromJson "[\"a\",1]")}}
{{printf "%5.1f|%v" (fromJson "[1.25,2]") (fromJson "{\"a\":[]}")}}
{{break .a}}
{{range 2}}{{break .a}}{{end}}
{{range 2}}{{ break }}{{end}}
{{if true}}{{range 1}}{{end}}{{break}}{{end}}
""".strip("\n").split("\n")
