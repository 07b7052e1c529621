// Reads OTLP/JSON lines on standard input with the collector's own decoder and prints what it found, one line of JSON each.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

type record = map[string]any

// number turns what JSON cannot say (NaN, infinities) into words.
func number(value float64) string { return fmt.Sprintf("%v", value) }

// plain renders a value so that JSON can hold it and 64-bit integers survive: numbers as text, tagged by kind.
func plain(value pcommon.Value) any {
	switch value.Type() {
	case pcommon.ValueTypeDouble:
		return record{"double": number(value.Double())}
	case pcommon.ValueTypeInt:
		return record{"int": fmt.Sprint(value.Int())}
	case pcommon.ValueTypeBytes:
		return record{"bytes": fmt.Sprintf("%x", value.Bytes().AsRaw())}
	case pcommon.ValueTypeSlice:
		items := []any{}
		for _, item := range value.Slice().All() {
			items = append(items, plain(item))
		}
		return items
	case pcommon.ValueTypeMap:
		return attributes(value.Map())
	default:
		return value.AsRaw()
	}
}

func attributes(values pcommon.Map) record {
	found := record{}
	for key, value := range values.All() {
		found[key] = plain(value)
	}
	return found
}

func traces(line []byte) ([]record, error) {
	decoded, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(line)
	if err != nil {
		return nil, err
	}
	var records []record
	for _, resource := range decoded.ResourceSpans().All() {
		for _, scope := range resource.ScopeSpans().All() {
			for _, span := range scope.Spans().All() {
				var links []record
				for _, link := range span.Links().All() {
					links = append(links, record{
						"trace_id": link.TraceID().String(), "span_id": link.SpanID().String(),
						"attributes": attributes(link.Attributes()),
					})
				}
				records = append(records, record{
					"signal": "traces", "name": span.Name(), "scope": scope.Scope().Name(),
					"trace_id": span.TraceID().String(), "span_id": span.SpanID().String(),
					"parent_id": span.ParentSpanID().String(),
					"start":     fmt.Sprint(uint64(span.StartTimestamp())), "end": fmt.Sprint(uint64(span.EndTimestamp())),
					"kind": span.Kind().String(), "status": span.Status().Code().String(), "message": span.Status().Message(),
					"attributes": attributes(span.Attributes()), "resource": attributes(resource.Resource().Attributes()),
					"links": links,
				})
			}
		}
	}
	return records, nil
}

func metrics(line []byte) ([]record, error) {
	decoded, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
	if err != nil {
		return nil, err
	}
	var records []record
	for _, resource := range decoded.ResourceMetrics().All() {
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				add := func(values record) {
					values["signal"], values["name"], values["unit"] = "metrics", metric.Name(), metric.Unit()
					values["scope"], values["resource"] = scope.Scope().Name(), attributes(resource.Resource().Attributes())
					records = append(records, values)
				}
				numbers := func(points pmetric.NumberDataPointSlice, kind string) {
					for _, point := range points.All() {
						value := number(point.DoubleValue())
						if point.ValueType() == pmetric.NumberDataPointValueTypeInt {
							value = fmt.Sprint(point.IntValue())
						}
						add(record{"kind": kind, "value": value, "attributes": attributes(point.Attributes())})
					}
				}
				switch metric.Type() {
				case pmetric.MetricTypeGauge:
					numbers(metric.Gauge().DataPoints(), "gauge")
				case pmetric.MetricTypeSum:
					numbers(metric.Sum().DataPoints(), "sum")
				case pmetric.MetricTypeHistogram:
					for _, point := range metric.Histogram().DataPoints().All() {
						add(record{
							"kind": "histogram", "count": fmt.Sprint(point.Count()), "sum": number(point.Sum()),
							"bounds": point.ExplicitBounds().AsRaw(), "buckets": point.BucketCounts().AsRaw(),
							"attributes": attributes(point.Attributes()),
						})
					}
				case pmetric.MetricTypeExponentialHistogram:
					for _, point := range metric.ExponentialHistogram().DataPoints().All() {
						add(record{
							"kind": "exponential", "count": fmt.Sprint(point.Count()), "sum": number(point.Sum()),
							"scale": point.Scale(), "attributes": attributes(point.Attributes()),
						})
					}
				}
			}
		}
	}
	return records, nil
}

func logs(line []byte) ([]record, error) {
	decoded, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(line)
	if err != nil {
		return nil, err
	}
	var records []record
	for _, resource := range decoded.ResourceLogs().All() {
		for _, scope := range resource.ScopeLogs().All() {
			for _, log := range scope.LogRecords().All() {
				records = append(records, record{
					"signal": "logs", "name": log.EventName(), "scope": scope.Scope().Name(),
					"trace_id": log.TraceID().String(), "span_id": log.SpanID().String(),
					"time": fmt.Sprint(uint64(log.Timestamp())), "body": log.Body().AsRaw(),
					"attributes": attributes(log.Attributes()), "resource": attributes(resource.Resource().Attributes()),
				})
			}
		}
	}
	return records, nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<28)
	out := json.NewEncoder(os.Stdout)
	for number := 1; lines.Scan(); number++ {
		line := lines.Bytes()
		decode := logs
		switch start := string(line[:min(len(line), 40)]); {
		case strings.Contains(start, "resourceSpans"):
			decode = traces
		case strings.Contains(start, "resourceMetrics"):
			decode = metrics
		}
		records, err := decode(line)
		if err != nil {
			fmt.Fprintf(os.Stderr, "line %d: %v\n", number, err)
			os.Exit(1)
		}
		for _, found := range records {
			if err := out.Encode(found); err != nil {
				fmt.Fprintf(os.Stderr, "line %d: %v\n", number, err)
				os.Exit(1)
			}
		}
	}
}
