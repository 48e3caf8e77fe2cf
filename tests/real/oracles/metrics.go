package main

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// series is one series of the storage: times in milliseconds, values as text, since JSON has neither NaN nor Inf.
type series struct {
	Labels map[string]string `json:"labels"`
	Times  []int64           `json:"times"`
	Values []string          `json:"values"`
}

type point struct {
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"`
}

type evaluated struct {
	Scalar string  `json:"scalar,omitempty"`
	Vector []point `json:"vector"`
	Error  string  `json:"error,omitempty"`
}

var engine = promql.NewEngine(promql.EngineOpts{
	EnableNegativeOffset: true,
	MaxSamples:           1_000_000,
	Timeout:              time.Minute,
	LookbackDelta:        5 * time.Minute,
	Parser:               parser.NewParser(parser.Options{EnableExperimentalFunctions: true}),
})

func evaluate(asked question) any {
	ctx := context.Background()
	query, err := engine.NewInstantQuery(ctx, memory(asked.Series), nil, asked.Text, time.UnixMilli(asked.At))
	if err != nil {
		return evaluated{Error: err.Error()}
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return evaluated{Error: result.Err.Error()}
	}
	switch value := result.Value.(type) {
	case promql.Scalar:
		return evaluated{Scalar: written(value.V)}
	case promql.Vector:
		found := []point{}
		for _, sample := range value {
			found = append(found, point{Labels: sample.Metric.Map(), Value: written(sample.F)})
		}
		return evaluated{Vector: found}
	}
	return evaluated{Error: "neither scalar nor vector"}
}

func written(value float64) string {
	return strconv.FormatFloat(value, 'g', -1, 64)
}

type memory []series

func (m memory) Querier(first, last int64) (storage.Querier, error) {
	return querier{m, first, last}, nil
}

type querier struct {
	series      memory
	first, last int64
}

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found := &set{at: -1}
	for _, one := range q.series {
		named := labels.FromMap(one.Labels)
		if !matches(named, matchers) {
			continue
		}
		samples := []chunks.Sample{}
		for at, time := range one.Times {
			if time < q.first || time > q.last {
				continue
			}
			value, err := strconv.ParseFloat(one.Values[at], 64)
			if err != nil {
				value = math.NaN()
			}
			samples = append(samples, sample{time, value})
		}
		found.series = append(found.series, storage.NewListSeries(named, samples))
	}
	return found
}

func matches(named labels.Labels, matchers []*labels.Matcher) bool {
	for _, matcher := range matchers {
		if !matcher.Matches(named.Get(matcher.Name)) {
			return false
		}
	}
	return true
}

func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) Close() error { return nil }

type set struct {
	series []storage.Series
	at     int
}

func (s *set) Next() bool                      { s.at++; return s.at < len(s.series) }
func (s *set) At() storage.Series              { return s.series[s.at] }
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }

type sample struct {
	time  int64
	value float64
}

func (s sample) T() int64                    { return s.time }
func (sample) ST() int64                     { return 0 }
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }
