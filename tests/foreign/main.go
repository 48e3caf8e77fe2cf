// Command foreign checks an audit log without a line of LogLease: with the packages note and tlog of Go's own checksum
// database. Only paths, entry bundles and the lines of a checkpoint and of a proof are mapped by hand.
//
//	foreign verify DIR [-jobs N] VKEY...            signature, every tile, every entry against its leaf
//	foreign check PROOF ENTRY VKEY...               a tlog-proof of one entry, given as bytes
//	foreign consistency OLD DIR VKEY...             the log in DIR extends the checkpoint in the file OLD
//	foreign prove DIR INDEX VKEY...                 the hashes that show an entry, as this program makes them
//	foreign vectors                                 one proof a line on standard input, one verdict a line
//
// It prints one JSON object and exits with 0 (holds), 1 (does not hold) or 2 (could not check).
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// A broken is something that is there and wrong; every other error means that it could not be checked.
type broken struct {
	Place  string
	Index  int64 // of the first entry concerned, -1 where there is none
	Detail string
}

func (b *broken) Error() string { return b.Place + ": " + b.Detail }

type answer struct {
	Verdict string   `json:"verdict"` // holds, broken, unchecked
	Place   string   `json:"place,omitempty"`
	Index   *int64   `json:"index,omitempty"`
	Detail  string   `json:"detail,omitempty"`
	Origin  string   `json:"origin,omitempty"`
	Size    *int64   `json:"size,omitempty"`
	Root    string   `json:"root,omitempty"`
	Tiles   int64    `json:"tiles,omitempty"`
	Entries int64    `json:"entries,omitempty"`
	Hashes  []string `json:"hashes,omitempty"`
}

func main() {
	got, err := run(os.Args[1:])
	code := 0
	var wrong *broken
	switch {
	case errors.As(err, &wrong):
		got, code = answer{Verdict: "broken", Place: wrong.Place, Detail: wrong.Detail}, 1
		if wrong.Index >= 0 {
			got.Index = &wrong.Index
		}
	case err != nil:
		got, code = answer{Verdict: "unchecked", Detail: err.Error()}, 2
	case got.Verdict == "":
		return // the command printed its own
	}
	if err := json.NewEncoder(os.Stdout).Encode(got); err != nil {
		code = 2
	}
	os.Exit(code)
}

func run(arguments []string) (answer, error) {
	if len(arguments) == 1 && arguments[0] == "vectors" {
		return answer{}, vectors(bufio.NewReader(os.Stdin), os.Stdout)
	}
	if len(arguments) < 3 {
		return answer{}, errors.New("usage: verify DIR VKEY | check PROOF ENTRY VKEY | consistency OLD DIR VKEY | prove DIR INDEX VKEY | vectors")
	}
	command, rest := arguments[0], arguments[1:]
	switch command {
	case "verify":
		jobs := 1
		if len(rest) > 3 && rest[1] == "-jobs" {
			given, err := strconv.Atoi(rest[2])
			if err != nil || given < 1 {
				return answer{}, fmt.Errorf("-jobs %s: no number of jobs", rest[2])
			}
			jobs, rest = given, append([]string{rest[0]}, rest[3:]...)
		}
		return verify(rest[0], rest[1:], jobs)
	case "check":
		return check(rest[0], rest[1], rest[2:])
	case "consistency":
		return consistency(rest[0], rest[1], rest[2:])
	case "prove":
		return prove(rest[0], rest[1], rest[2:])
	}
	return answer{}, fmt.Errorf("there is no command %s", command)
}
