package main

import (
	"encoding/base64"
	"os"
	"strconv"
	"strings"

	"loglease.example/foreign/sumdb/note"
	"loglease.example/foreign/sumdb/tlog"
)

// A head is what a checkpoint says: tlog.ParseTree wants another first line, so its three lines are read here.
type head struct {
	Origin string
	tlog.Tree
}

func openHead(place string, content []byte, keys []string) (head, error) {
	var verifiers []note.Verifier
	for _, key := range keys {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return head{}, err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open(content, note.VerifierList(verifiers...))
	if err != nil {
		return head{}, &broken{place, -1, err.Error()}
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return head{}, &broken{place, -1, "it does not have three lines"}
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return head{}, &broken{place, -1, "its size is no number"}
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return head{}, &broken{place, -1, "its root is no hash"}
	}
	for _, signature := range opened.Sigs {
		if signature.Name == lines[0] {
			return head{lines[0], tlog.Tree{N: size, Hash: root}}, nil
		}
	}
	return head{}, &broken{place, -1, "none of its signatures is of its origin"}
}

func readHead(path string, keys []string) (head, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return head{}, err
	}
	return openHead(path, content, keys)
}

// A proof is a file of the form c2sp.org/tlog-proof@v1.
type proof struct {
	Index      int64
	Hashes     tlog.RecordProof
	Checkpoint string
}

func parseProof(content string) (proof, error) {
	wrong := func(detail string) (proof, error) { return proof{}, &broken{"proof", -1, detail} }
	body, checkpoint, found := strings.Cut(content, "\n\n")
	lines := strings.Split(body, "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		return wrong("it does not begin as a proof")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		if _, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[0], "extra ")); err != nil {
			return wrong("its extra data is no base64")
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return wrong("it has no index")
	}
	text := strings.TrimPrefix(lines[0], "index ")
	index, err := strconv.ParseInt(text, 10, 64)
	if err != nil || index < 0 || strconv.FormatInt(index, 10) != text {
		return wrong("its index is no number")
	}
	made := proof{Index: index, Checkpoint: checkpoint}
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil || hash.String() != line {
			return wrong("a line of it is no hash")
		}
		made.Hashes = append(made.Hashes, hash)
	}
	return made, nil
}
