package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"loglease.example/foreign/sumdb/tlog"
)

const (
	height = 8
	full   = 1 << height
)

// A directory reads the tiles of one log. Its paths leave out the height, and call what tlog calls data entries.
type directory struct {
	path  string
	mutex sync.Mutex
	upper map[tlog.Tile][]byte // tiles above the leaves, which are asked for over and over
}

func place(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	if rest, found := strings.CutPrefix(path, "data/"); found {
		path = "entries/" + rest
	}
	return "tile/" + path
}

// read returns a tile and its width; a full one stands in for a partial one that was removed, as tlog-tiles allows.
func (d *directory) read(tile tlog.Tile) ([]byte, int, error) {
	content, err := os.ReadFile(filepath.Join(d.path, place(tile)))
	if errors.Is(err, fs.ErrNotExist) && tile.W < full {
		wider := tile
		wider.W = full
		if content, wide := os.ReadFile(filepath.Join(d.path, place(wider))); wide == nil {
			return content, full, nil
		}
	}
	return content, tile.W, err
}

func (d *directory) Height() int                     { return height }
func (d *directory) SaveTiles([]tlog.Tile, [][]byte) {}

func (d *directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		content, err := d.tile(tile)
		if err != nil {
			return nil, err
		}
		all = append(all, content)
	}
	return all, nil
}

func (d *directory) tile(tile tlog.Tile) ([]byte, error) {
	keep := tile.L > 0 || tile.W < full
	if keep {
		d.mutex.Lock()
		content, known := d.upper[tile]
		d.mutex.Unlock()
		if known {
			return content, nil
		}
	}
	content, width, err := d.read(tile)
	if err != nil {
		return nil, err
	}
	if len(content) != width*tlog.HashSize {
		first := tile.N << (height * (tile.L + 1))
		return nil, &broken{place(tile), first, fmt.Sprintf("it has %d bytes", len(content))}
	}
	content = content[:tile.W*tlog.HashSize]
	if keep {
		d.mutex.Lock()
		d.upper[tile] = content
		d.mutex.Unlock()
	}
	return content, nil
}

// entries returns the entries of a bundle, each without its length.
func (d *directory) entries(tile tlog.Tile) ([][]byte, error) {
	content, width, err := d.read(tile)
	if err != nil {
		return nil, err
	}
	first := tile.N * full
	var all [][]byte
	for len(content) > 0 && len(all) < width {
		if len(content) < 2 {
			return nil, &broken{place(tile), first + int64(len(all)), "it ends inside a length"}
		}
		length := int(binary.BigEndian.Uint16(content))
		if len(content) < 2+length {
			return nil, &broken{place(tile), first + int64(len(all)), "it ends inside an entry"}
		}
		all = append(all, content[2:2+length])
		content = content[2+length:]
	}
	if len(content) > 0 {
		return nil, &broken{place(tile), first + int64(width), "it goes on after its last entry"}
	}
	if len(all) != width {
		return nil, &broken{place(tile), first + int64(len(all)), fmt.Sprintf("it has %d entries", len(all))}
	}
	return all[:tile.W], nil
}
