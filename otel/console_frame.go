package otel

import (
	"log/slog"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/magnetar-go/magnetar/policy"
)

// frame is all that the page shows at one moment.
type frame struct {
	At        int64          `json:"at"` // Unix milliseconds
	Started   int64          `json:"started"`
	Every     millis         `json:"every"` // until the next, at least
	Traffic   []*minute      `json:"traffic"`
	Breakers  []breakerRow   `json:"breakers"`
	Limits    []limitRow     `json:"limits"`
	Budgets   []budgetRow    `json:"budgets"`
	Pools     []poolRow      `json:"pools"`
	Endpoints []endpointRow  `json:"endpoints"`
	Decisions []decisionRow  `json:"decisions"`
	More      map[string]int `json:"more,omitempty"` // rows left out, by list
}

// rowsMax is how many rows a list has at most.
const rowsMax = 100

// millis is a time in milliseconds.
type millis float64

// ms is d to the microsecond, which is all that anybody reads.
func ms(d time.Duration) millis { return millis(d.Round(time.Microsecond)) / millis(time.Millisecond) }

type breakerRow struct {
	Key       string `json:"key"`
	State     string `json:"state"`
	Forced    bool   `json:"forced,omitempty"`
	Calls     int    `json:"calls,omitempty"`
	Failures  int    `json:"failures,omitempty"`
	Slow      int    `json:"slow,omitempty"`
	Trials    int    `json:"trials,omitempty"`
	NextTrial millis `json:"next_trial,omitempty"`
}

type limitRow struct {
	Policy   string `json:"policy"`
	Key      string `json:"key"`
	Limit    int    `json:"limit,omitempty"`
	Per      millis `json:"per,omitempty"`
	InFlight int    `json:"in_flight,omitempty"`
	Queued   int    `json:"queued,omitempty"`
	Keys     int    `json:"keys,omitempty"`
	Held     millis `json:"held,omitempty"`
}

type budgetRow struct {
	Key    string  `json:"key"`
	Tokens float64 `json:"tokens"`
	Max    int     `json:"max,omitempty"`
}

type poolRow struct {
	Key      string `json:"key"`
	Max      int    `json:"max"`
	Active   int    `json:"active"`
	Idle     int    `json:"idle"`
	Creating int    `json:"creating,omitempty"`
	Waiting  int    `json:"waiting,omitempty"`
	Oldest   millis `json:"oldest,omitempty"`
	Newest   millis `json:"newest,omitempty"`
}

type endpointRow struct {
	Key       string `json:"key"`
	Endpoint  string `json:"endpoint"`
	State     string `json:"state"`
	InFlight  int    `json:"in_flight"`
	Waiting   int    `json:"waiting,omitempty"`
	Active    int    `json:"active"`
	Idle      int    `json:"idle"`
	Oldest    millis `json:"oldest,omitempty"`
	Newest    millis `json:"newest,omitempty"`
	Latency   millis `json:"latency,omitempty"`
	Failures  int    `json:"failures,omitempty"`
	Ejections int    `json:"ejections,omitempty"`
	Returns   millis `json:"returns,omitempty"`
}

type decisionRow struct {
	ID       uint64 `json:"id"`
	At       int64  `json:"at"`    // of the last, Unix milliseconds
	Began    int64  `json:"began"` // of the first
	Count    uint64 `json:"count"`
	Level    string `json:"level"` // info or warn
	Policy   string `json:"policy"`
	Action   string `json:"action"`
	Reason   string `json:"reason,omitempty"`
	Key      string `json:"key,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	Route    string `json:"route,omitempty"`
	Priority string `json:"priority,omitempty"`
	Note     string `json:"note,omitempty"`
	Error    string `json:"error,omitempty"`
	Took     millis `json:"took,omitempty"`
	Shadow   bool   `json:"shadow,omitempty"`
	Trace    string `json:"trace,omitempty"`
	Link     string `json:"link,omitempty"`
}

// look is what the console shows now.
func (c *Console) look(now time.Time) *frame {
	f := &frame{
		At: now.UnixMilli(), Started: now.Add(c.traffic.since.Sub(now)).UnixMilli(), Traffic: c.traffic.minutes(now),
		More: map[string]int{},
	}
	for _, m := range f.Traffic {
		m.Key = shown(m.Key)
	}
	var all standings
	c.sources.each(all.add)
	f.Breakers = rows(f, "breakers", &all.breakers, breakerRowOf)
	f.Limits = rows(f, "limits", &all.limits, limitRowOf)
	f.Budgets = rows(f, "budgets", &all.budgets, budgetRowOf)
	f.Pools = rows(f, "pools", &all.pools, poolRowOf)
	f.Endpoints = rows(f, "endpoints", &all.endpoints, endpointRowOf)
	f.leave("sources", c.sources.unseen())
	lines, left := c.ledger.recent(rowsMax)
	f.leave("decisions", left)
	f.Decisions = make([]decisionRow, 0, len(lines))
	for i := range lines {
		f.Decisions = append(f.Decisions, c.row(&lines[i], now))
	}
	return f
}

// rows makes rows of what is most urgent.
func rows[R any](f *frame, list string, of *urgent, row func(*policy.Status) R) []R {
	most, left := of.taken()
	f.leave(list, left)
	made := make([]R, 0, len(most)) // a list in JSON, too
	for i := range most {
		made = append(made, row(&most[i].Status))
	}
	return made
}

func (f *frame) leave(list string, n int) {
	if n > 0 {
		f.More[list] = n
	}
}

func breakerRowOf(s *policy.Status) breakerRow {
	return breakerRow{
		shown(s.Key), shown(s.State), s.Forced, s.Calls, s.Failures, s.Slow, s.Trials, ms(s.RetryAfter),
	}
}

func limitRowOf(s *policy.Status) limitRow {
	return limitRow{
		shown(s.Policy), shown(s.Key), s.Limit, ms(s.Per), s.InFlight, s.Queued, s.Keys, ms(s.RetryAfter),
	}
}

func budgetRowOf(s *policy.Status) budgetRow {
	return budgetRow{shown(s.Key), finite(s.Tokens), s.Limit}
}

func poolRowOf(s *policy.Status) poolRow {
	return poolRow{
		shown(s.Key), s.Limit, s.Active, s.Idle, s.Creating, s.Queued, ms(s.Oldest), ms(s.Newest),
	}
}

func endpointRowOf(s *policy.Status) endpointRow {
	return endpointRow{
		shown(s.Key), shown(s.Endpoint), shown(s.State), s.InFlight, s.Queued, s.Active, s.Idle,
		ms(s.Oldest), ms(s.Newest), ms(s.Latency), s.Failures, s.Ejections, ms(s.RetryAfter),
	}
}

// row tells when by the wall clock of now, for that may have been set meanwhile.
func (c *Console) row(n *entry, now time.Time) decisionRow {
	r := decisionRow{
		ID: n.id, At: now.Add(n.last.Sub(now)).UnixMilli(), Began: now.Add(n.first.Sub(now)).UnixMilli(), Count: n.count, Level: levelName(n.level),
		Policy: shown(n.policy), Action: shown(string(n.action)), Reason: shown(string(n.reason)),
		Key: shown(n.key), Endpoint: shown(n.endpoint), Route: shown(n.route), Note: shown(n.note), Error: shown(n.err),
		Took: ms(n.took), Shadow: n.shadow,
	}
	if n.priority != policy.Normal {
		r.Priority = n.priority.String()
	}
	if n.span.IsValid() {
		r.Trace = n.span.TraceID().String()
		if c.traceURL != "" && n.span.IsSampled() {
			r.Link = strings.ReplaceAll(c.traceURL, traceIDPlace, r.Trace)
		}
	}
	return r
}

func levelName(l slog.Level) string {
	if l >= slog.LevelWarn {
		return "warn"
	}
	return "info"
}

func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}

// shown is a text as it can be shown: not too long, and without what would
// change how the rest is read, such as control characters and marks of
// direction.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, bounded(s))
}
