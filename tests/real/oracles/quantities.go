package main

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/common/model"
)

// read is the answer of what reads a text; whole numbers and floats travel as text, so that none is rounded.
type read struct {
	Value string `json:"value,omitempty"`
	Error bool   `json:"error,omitempty"`
}

func goDuration(asked question) any {
	value, err := time.ParseDuration(asked.Text)
	if err != nil {
		return read{Error: true}
	}
	return read{Value: strconv.FormatInt(int64(value), 10)}
}

func prometheusDuration(asked question) any {
	value, err := model.ParseDuration(asked.Text)
	if err != nil {
		return read{Error: true}
	}
	return read{Value: strconv.FormatInt(int64(value), 10)}
}

func size(asked question) any {
	value, err := humanize.ParseBytes(asked.Text)
	if err != nil {
		return read{Error: true}
	}
	return read{Value: strconv.FormatUint(value, 10)}
}

func float(asked question) any {
	value, err := strconv.ParseFloat(asked.Text, 64)
	if err != nil {
		return read{Error: true}
	}
	return read{Value: strconv.FormatFloat(value, 'g', -1, 64)}
}

func printFloat(asked question) any {
	value, err := strconv.ParseFloat(asked.Text, 64)
	if err != nil {
		return read{Error: true}
	}
	return read{Value: strconv.FormatFloat(value, 'f', -1, 64)}
}

func unquote(asked question) any {
	value, err := strconv.Unquote(asked.Text)
	if err != nil {
		return read{Error: true}
	}
	return read{Value: hex.EncodeToString([]byte(value))}
}
