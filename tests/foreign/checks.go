package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"loglease.example/foreign/sumdb/tlog"
)

const together = 16 // tiles of leaves that are proven with one call

func openLog(path string, keys []string) (head, *directory, tlog.HashReader, error) {
	found, err := readHead(filepath.Join(path, "checkpoint"), keys)
	if err != nil {
		return head{}, nil, nil, err
	}
	tiles := &directory{path: path, upper: map[tlog.Tile][]byte{}}
	return found, tiles, tlog.TileHashReader(found.Tree, tiles), nil
}

func summary(found head) answer {
	return answer{Verdict: "holds", Origin: found.Origin, Size: &found.N, Root: found.Hash.String()}
}

// asBroken tells what tlog found to be wrong from what could not be read.
func asBroken(err error, first int64) error {
	var wrong *broken
	var path *os.PathError
	if err == nil || errors.As(err, &wrong) || errors.As(err, &path) {
		return err
	}
	return &broken{"tile", first, err.Error()}
}

func verify(path string, keys []string, jobs int) (answer, error) {
	found, tiles, reader, err := openLog(path, keys)
	if err != nil {
		return answer{}, err
	}
	root, err := tlog.TreeHash(found.N, reader)
	if err != nil {
		return answer{}, asBroken(err, 0)
	}
	if root != found.Hash {
		return answer{}, &broken{"checkpoint", -1, "its root is not that of the tiles"}
	}
	var group sync.WaitGroup
	stretches := make(chan int64)
	faults := make(chan error, jobs)
	for range jobs {
		group.Add(1)
		go func() {
			defer group.Done()
			var first error
			for start := range stretches {
				if first == nil {
					first = verifyStretch(tiles, reader, start, min(start+together*full, found.N))
				}
			}
			faults <- first
		}()
	}
	for start := int64(0); start < found.N; start += together * full {
		stretches <- start
	}
	close(stretches)
	group.Wait()
	close(faults)
	if err := worst(faults); err != nil {
		return answer{}, err
	}
	all := summary(found)
	all.Entries = found.N
	all.Tiles = int64(len(tlog.NewTiles(height, 0, found.N)))
	return all, nil
}

// worst returns the broken place with the lowest index; what is broken weighs more than what could not be read.
func worst(faults <-chan error) error {
	var lowest *broken
	var unread error
	for err := range faults {
		var wrong *broken
		switch {
		case errors.As(err, &wrong):
			if lowest == nil || wrong.Index < lowest.Index {
				lowest = wrong
			}
		case err != nil:
			unread = err
		}
	}
	if lowest != nil {
		return lowest
	}
	return unread
}

func verifyStretch(tiles *directory, reader tlog.HashReader, start, end int64) error {
	indexes := make([]int64, 0, end-start)
	for index := start; index < end; index++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, index))
	}
	leaves, err := reader.ReadHashes(indexes)
	if err != nil {
		return asBroken(err, start)
	}
	for first := start; first < end; first += full {
		bundle := tlog.Tile{H: height, L: -1, N: first / full, W: int(min(full, end-first))}
		entries, err := tiles.entries(bundle)
		if err != nil {
			return err
		}
		for offset, entry := range entries {
			if tlog.RecordHash(entry) != leaves[first-start+int64(offset)] {
				return &broken{place(bundle), first + int64(offset), "an entry does not hash to its leaf"}
			}
		}
	}
	return nil
}

func check(proofPath, entryPath string, keys []string) (answer, error) {
	content, err := os.ReadFile(proofPath)
	if err != nil {
		return answer{}, err
	}
	entry, err := os.ReadFile(entryPath)
	if err != nil {
		return answer{}, err
	}
	shown, err := parseProof(string(content))
	if err != nil {
		return answer{}, err
	}
	found, err := openHead("proof", []byte(shown.Checkpoint), keys)
	if err != nil {
		return answer{}, err
	}
	if err := tlog.CheckRecord(shown.Hashes, found.N, found.Hash, shown.Index, tlog.RecordHash(entry)); err != nil {
		return answer{}, &broken{"proof", shown.Index, err.Error()}
	}
	return summary(found), nil
}

func consistency(oldPath, path string, keys []string) (answer, error) {
	older, err := readHead(oldPath, keys)
	if err != nil {
		return answer{}, err
	}
	found, _, reader, err := openLog(path, keys)
	if err != nil {
		return answer{}, err
	}
	if older.Origin != found.Origin || older.N > found.N {
		return answer{}, &broken{"checkpoint", found.N, fmt.Sprintf("it is not later than one of size %d", older.N)}
	}
	if older.N == 0 { // tlog proves nothing of an empty tree, and there is nothing to prove
		if empty, _ := tlog.TreeHash(0, nil); older.Hash != empty {
			return answer{}, &broken{oldPath, -1, "its root is not that of an empty tree"}
		}
		return summary(found), nil
	}
	shown, err := tlog.ProveTree(found.N, older.N, reader)
	if err != nil {
		return answer{}, asBroken(err, 0)
	}
	if err := tlog.CheckTree(shown, found.N, found.Hash, older.N, older.Hash); err != nil {
		return answer{}, &broken{"checkpoint", -1, err.Error()}
	}
	all := summary(found)
	for _, hash := range shown {
		all.Hashes = append(all.Hashes, hash.String())
	}
	return all, nil
}

func prove(path, text string, keys []string) (answer, error) {
	index, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return answer{}, err
	}
	found, _, reader, err := openLog(path, keys)
	if err != nil {
		return answer{}, err
	}
	shown, err := tlog.ProveRecord(found.N, index, reader)
	if err != nil {
		return answer{}, asBroken(err, index)
	}
	all := summary(found)
	for _, hash := range shown {
		all.Hashes = append(all.Hashes, hash.String())
	}
	return all, nil
}

// A vector is a proof as the published Merkle vectors have them, hashes in base64; what tlog has no number for is negative.
type vector struct {
	LeafIndex *uint64  `json:"leafIdx"`
	TreeSize  uint64   `json:"treeSize"`
	Root      []byte   `json:"root"`
	LeafHash  []byte   `json:"leafHash"`
	Size1     uint64   `json:"size1"`
	Size2     uint64   `json:"size2"`
	Root1     []byte   `json:"root1"`
	Root2     []byte   `json:"root2"`
	Proof     [][]byte `json:"proof"`
}

func vectors(in *bufio.Reader, out io.Writer) error {
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var one vector
		if err := json.Unmarshal(line, &one); err != nil {
			return err
		}
		verdict := struct {
			Error string `json:"error,omitempty"`
		}{}
		if err := one.check(); err != nil {
			verdict.Error = err.Error()
		}
		if err := json.NewEncoder(out).Encode(verdict); err != nil {
			return err
		}
	}
}

func (v vector) check() error {
	var hashes []tlog.Hash
	for _, one := range v.Proof {
		hashes = append(hashes, asHash(one))
	}
	if v.LeafIndex != nil {
		if len(v.Root) != tlog.HashSize || len(v.LeafHash) != tlog.HashSize {
			return errors.New("a root or a leaf is no hash")
		}
		return tlog.CheckRecord(hashes, int64(v.TreeSize), asHash(v.Root), int64(*v.LeafIndex), asHash(v.LeafHash))
	}
	return tlog.CheckTree(hashes, int64(v.Size2), asHash(v.Root2), int64(v.Size1), asHash(v.Root1))
}

// asHash returns a hash; for bytes of another length, which tlog has no type for, one that stands for them and no others.
func asHash(content []byte) (made tlog.Hash) {
	if len(content) != tlog.HashSize {
		return tlog.RecordHash(content)
	}
	copy(made[:], content)
	return made
}
