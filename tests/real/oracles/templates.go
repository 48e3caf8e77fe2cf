package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"
	_ "time/tzdata" // so that zones are there wherever it runs

	"github.com/Masterminds/sprig/v3"
	"github.com/dustin/go-humanize"
)

// filled is the answer to a template; the text as hexadecimal digits, since it need not be UTF-8.
type filled struct {
	Hex       string `json:"hex"`
	Malformed string `json:"malformed,omitempty"`
	Failed    string `json:"failed,omitempty"`
}

var sprigNames = []string{
	"lower", "upper", "title", "trim", "trimAll", "trimPrefix", "trimSuffix", "replace", "repeat",
	"indent", "nindent", "contains", "hasPrefix", "hasSuffix", "default", "b64enc", "b64dec", "fromJson",
	"int", "float64", "add", "sub", "mul", "div", "mod", "max", "min", "addf", "subf", "mulf", "divf", "maxf", "minf",
	"ceil", "floor", "round", "date", "toDate", "unixEpoch",
}

func functions(asked question) template.FuncMap {
	all := sprig.TxtFuncMap()
	made := template.FuncMap{
		"__line__":      func() string { return asked.Line },
		"__timestamp__": func() time.Time { return time.Unix(0, asked.Ns).UTC() },
		"now":           func() time.Time { return time.Unix(0, asked.Now).UTC() },

		"trunc":                  trunc,
		"substr":                 substr,
		"alignLeft":              alignLeft,
		"alignRight":             alignRight,
		"count":                  count,
		"regexReplaceAll":        regexReplaceAll,
		"regexReplaceAllLiteral": regexReplaceAllLiteral,
		"urlencode":              url.QueryEscape,
		"urldecode":              url.QueryUnescape,
		"bytes":                  bytesOf,
		"duration":               seconds,
		"duration_seconds":       seconds,
		"toDateInZone":           toDateInZone,
		"unixToTime":             unixToTime,
		"unixEpochMillis":        func(date time.Time) string { return strconv.FormatInt(date.UnixMilli(), 10) },
		"unixEpochNanos":         func(date time.Time) string { return strconv.FormatInt(date.UnixNano(), 10) },

		"ToLower":    strings.ToLower,
		"ToUpper":    strings.ToUpper,
		"Replace":    strings.Replace,
		"Trim":       strings.Trim,
		"TrimLeft":   strings.TrimLeft,
		"TrimRight":  strings.TrimRight,
		"TrimPrefix": strings.TrimPrefix,
		"TrimSuffix": strings.TrimSuffix,
		"TrimSpace":  strings.TrimSpace,
	}
	for _, name := range sprigNames {
		made[name] = all[name]
	}
	return made
}

func fillTemplate(asked question) any {
	read, err := template.New("asked").Option("missingkey=zero").Funcs(functions(asked)).Parse(asked.Text)
	if err != nil {
		return filled{Malformed: err.Error()}
	}
	labels := asked.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	var out bytes.Buffer
	if err := read.Execute(&out, labels); err != nil {
		return filled{Failed: err.Error()}
	}
	return filled{Hex: hex.EncodeToString(out.Bytes())}
}

func alignLeft(width int, text string) (string, error) {
	characters := []rune(text)
	if width < 0 {
		return text, nil
	}
	if len(characters) >= width {
		return string(characters[:width]), nil
	}
	return text + strings.Repeat(" ", width-len(characters)), nil
}

// trunc and substr count characters, where sprig's count bytes.
func trunc(size int, text string) string {
	characters := []rune(text)
	switch {
	case size < 0 && len(characters)+size > 0:
		return string(characters[len(characters)+size:])
	case size >= 0 && size < len(characters):
		return string(characters[:size])
	}
	return text
}

func substr(start, end int, text string) string {
	characters := []rune(text)
	if start < 0 && end < 0 {
		return ""
	}
	if end < 0 || end > len(characters) {
		end = len(characters)
	}
	if start = max(start, 0); start >= end {
		return ""
	}
	return string(characters[start:end])
}

func alignRight(width int, text string) (string, error) {
	characters := []rune(text)
	if width < 0 {
		return text, nil
	}
	if len(characters) >= width {
		return string(characters[len(characters)-width:]), nil
	}
	return strings.Repeat(" ", width-len(characters)) + text, nil
}

func count(expression, text string) (int, error) {
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return 0, err
	}
	return len(compiled.FindAllStringIndex(text, -1)), nil
}

func regexReplaceAll(expression, text, replacement string) (string, error) {
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return "", err
	}
	return compiled.ReplaceAllString(text, replacement), nil
}

func regexReplaceAllLiteral(expression, text, replacement string) (string, error) {
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return "", err
	}
	return compiled.ReplaceAllLiteralString(text, replacement), nil
}

func bytesOf(text string) (float64, error) {
	value, err := humanize.ParseBytes(text)
	return float64(value), err
}

func seconds(text string) (float64, error) {
	value, err := time.ParseDuration(text)
	return value.Seconds(), err
}

func toDateInZone(layout, zone, text string) (time.Time, error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return time.Time{}, err
	}
	return time.ParseInLocation(layout, text, location)
}

func unixToTime(digits string) (time.Time, error) {
	value, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	switch len(digits) {
	case 5:
		return time.Unix(value*86400, 0).UTC(), nil
	case 10:
		return time.Unix(value, 0).UTC(), nil
	case 13:
		return time.UnixMilli(value).UTC(), nil
	case 16:
		return time.UnixMicro(value).UTC(), nil
	case 19:
		return time.Unix(0, value).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%d digits name no unit", len(digits))
}
