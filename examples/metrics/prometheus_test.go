//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

var debian = daemon.Program{Name: "prometheus", Package: "prometheus"}

func TestRulesAreRight(t *testing.T) {
	d := daemon.New(t, debian)
	here, err := filepath.Abs(".")
	require.NoError(t, err)
	d.Run("promtool", "check", "config", filepath.Join(here, "prometheus.yml"))
	d.Run("promtool", "check", "rules", filepath.Join(here, "alerts.yml"))
	d.Run("promtool", "test", "rules", filepath.Join(here, "alerts_test.yml"))
}

// The troubles come again and again, so that a slow machine only takes longer.
const patience = 2 * time.Minute

func TestPrometheusSeesEveryTrouble(t *testing.T) {
	d := daemon.New(t, debian) // which may skip the test
	p := scrape(t, d, play(t, 3*time.Second).address)

	t.Run("every query of the dashboard has data", func(t *testing.T) {
		all := theDashboard(t).queries()
		require.Greater(t, len(all), 30)
		require.Empty(t, p.await(all, p.answers))
	})
	t.Run("every alert's expression comes true", func(t *testing.T) {
		all := make(map[string]string)
		for _, a := range alerts(t) {
			all[a.Alert] = a.Expr
		}
		require.Empty(t, p.await(all, p.cameTrue))
	})
	t.Run("exemplars lead to traces", func(t *testing.T) {
		require.Empty(t, p.await(map[string]string{
			"requests":  "http_client_request_duration_seconds_bucket",
			"decisions": "magnetar_decisions_total",
			"waits":     "magnetar_wait_duration_seconds_bucket",
		}, p.hasTraces))
	})
	t.Run("what has no data is found out", func(t *testing.T) {
		require.Equal(t, []string{"made up", "no number"}, p.lacking(map[string]string{
			"real": "up", "made up": "magnetar_no_such_metric", "no number": "up / 0 * 0",
		}, p.answers))
		require.Equal(t, []string{"never"}, p.lacking(map[string]string{"once": "up == 1", "never": "up == 2"}, p.cameTrue))
		require.Equal(t, []string{"has none"}, p.lacking(map[string]string{"has none": "magnetar_pool_max"}, p.hasTraces))
	})
}

// observer is a Prometheus that scrapes the program.
type observer struct {
	t      *testing.T
	url    string
	client *http.Client
	began  time.Time
}

// scrape starts it as the file says, but in less time.
func scrape(t *testing.T, d *daemon.Daemon, address string) *observer {
	t.Helper()
	conf := string(read(t, "prometheus.yml"))
	for as, here := range map[string]string{
		"127.0.0.1:9464":          address,
		"scrape_interval: 5s":     "scrape_interval: 1s", // which is also all the time that the program has to answer,
		"evaluation_interval: 5s": "evaluation_interval: 1s",
	} {
		require.Contains(t, conf, as)
		conf = strings.ReplaceAll(conf, as, here)
	}
	d.File("alerts.yml", string(read(t, "alerts.yml")))
	p := &observer{t: t, url: "http://" + d.Address(), client: &http.Client{Transport: &http.Transport{}}, began: time.Now()}
	t.Cleanup(p.client.CloseIdleConnections)
	d.Start("--config.file="+d.File("prometheus.yml", conf), "--storage.tsdb.path="+filepath.Join(d.Dir, "data"),
		"--web.listen-address="+d.Address(), "--enable-feature=exemplar-storage", "--log.level=warn")
	return p
}

// await returns the names of the queries that are not as they should be within
// the time that a test has patience for.
func (p *observer) await(queries map[string]string, good func(query string) bool) []string {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	over := time.After(patience)
	for lacking := p.lacking(queries, good); ; lacking = p.lacking(queries, good) {
		maps.DeleteFunc(queries, func(name, _ string) bool { return !slices.Contains(lacking, name) })
		if len(lacking) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-over:
			return lacking
		}
	}
}

// lacking returns the names of the queries that are not as they should be.
func (p *observer) lacking(queries map[string]string, good func(query string) bool) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(queries)) {
		if !good(queries[name]) {
			names = append(names, name)
		}
	}
	return names
}

// answers reports whether a query results in a number now.
func (p *observer) answers(query string) bool {
	var found []struct {
		Value sample `json:"value"`
	}
	p.get("/api/v1/query", url.Values{"query": {query}}, &found)
	for _, one := range found {
		if v := float64(one.Value); !math.IsNaN(v) && !math.IsInf(v, 0) {
			return true
		}
	}
	return false
}

// cameTrue reports whether an alert's expression was true at some time.
func (p *observer) cameTrue(query string) bool {
	var found []json.RawMessage
	p.get("/api/v1/query_range", p.sofar(url.Values{"query": {query}, "step": {"0.5"}}), &found)
	return len(found) > 0
}

var traceID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// hasTraces reports whether there are exemplars of a metric.
func (p *observer) hasTraces(query string) bool {
	var found []struct {
		Exemplars []struct {
			Labels map[string]string `json:"labels"`
		} `json:"exemplars"`
	}
	p.get("/api/v1/query_exemplars", p.sofar(url.Values{"query": {query}}), &found)
	for _, series := range found {
		for _, e := range series.Exemplars {
			require.Regexp(p.t, traceID, e.Labels["trace_id"])
		}
	}
	return len(found) > 0
}

// sofar adds the time from the beginning of the test to now.
func (p *observer) sofar(v url.Values) url.Values {
	for name, at := range map[string]time.Time{"start": p.began, "end": time.Now()} {
		v.Set(name, fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000))
	}
	return v
}

// get decodes the result that the API answers a query with. While Prometheus
// starts there is none.
func (p *observer) get(path string, v url.Values, result any) {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path+"?"+v.Encode(), nil)
	require.NoError(p.t, err)
	resp, err := p.client.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	if resp.StatusCode == http.StatusServiceUnavailable {
		return
	}
	require.Equalf(p.t, http.StatusOK, resp.StatusCode, "%s: %s", v.Get("query"), body)
	var answer struct {
		Data json.RawMessage `json:"data"`
	}
	require.NoError(p.t, json.Unmarshal(body, &answer))
	var vector struct {
		Result json.RawMessage `json:"result"`
	}
	if json.Unmarshal(answer.Data, &vector) == nil {
		answer.Data = vector.Result
	}
	require.NoErrorf(p.t, json.Unmarshal(answer.Data, result), "%s", body)
}

// sample is a value as the API writes it: a time, and a number in quotes.
type sample float64

// UnmarshalJSON implements [json.Unmarshaler].
func (s *sample) UnmarshalJSON(text []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	quoted, err := strconv.Unquote(string(pair[1]))
	if err != nil {
		return err
	}
	v, err := strconv.ParseFloat(quoted, 64)
	*s = sample(v)
	return err
}
