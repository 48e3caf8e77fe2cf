// Command oracles answers, line by line, what real Go programs make of the inputs that the tests compare.
//
// Each line on standard input is a JSON object with an "op"; each line on standard output is its answer.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

type question struct {
	Op     string            `json:"op"`
	Text   string            `json:"text"`
	Labels map[string]string `json:"labels"`
	Line   string            `json:"line"`
	Ns     int64             `json:"ns"`
	Now    int64             `json:"now"`
	Series []series          `json:"series"`
	At     int64             `json:"at"`
}

var operations = map[string]func(question) any{
	"template":            fillTemplate,
	"go_duration":         goDuration,
	"prometheus_duration": prometheusDuration,
	"size":                size,
	"float":               float,
	"unquote":             unquote,
	"print_float":         printFloat,
	"promql":              evaluate,
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	answers.SetEscapeHTML(false)
	questions := json.NewDecoder(lines)
	for questions.More() {
		var asked question
		if err := questions.Decode(&asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		answer, known := operations[asked.Op]
		if !known {
			fmt.Fprintln(os.Stderr, "no such operation:", asked.Op)
			os.Exit(1)
		}
		if err := answers.Encode(answer(asked)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
