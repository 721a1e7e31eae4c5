package otel

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/magnetar-go/magnetar/policy"
)

// frame is all that the page shows at one moment.
type frame struct {
	At        int64          `json:"at"` // Unix milliseconds
	Started   int64          `json:"started"`
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

// frames makes a frame for all viewers together.
type frames struct {
	mu sync.Mutex
	// Guarded by mu:
	made time.Time
	text []byte
}

// frame returns the data of now, in JSON, only to be read: viewers that ask at
// about the same time are given the same.
func (c *Console) frame(now time.Time) []byte {
	f := &c.frames
	f.mu.Lock()
	defer f.mu.Unlock()
	if age := now.Sub(f.made); f.text == nil || age < 0 || age >= framePeriod/2 {
		text, err := json.Marshal(c.look(now))
		if err != nil {
			panic(err) // nothing in a frame cannot be marshalled
		}
		f.made, f.text = now, text
	}
	return f.text
}

func (c *Console) look(now time.Time) *frame {
	f := &frame{
		At: now.UnixMilli(), Started: c.started.UnixMilli(), Traffic: c.traffic.minutes(now),
		Breakers: []breakerRow{}, Limits: []limitRow{}, Budgets: []budgetRow{}, Pools: []poolRow{},
		Endpoints: []endpointRow{}, Decisions: []decisionRow{}, More: map[string]int{},
	}
	for _, m := range f.Traffic {
		m.Key = shown(m.Key)
	}
	for s := range c.sources.all() {
		f.add(&s)
	}
	for _, n := range c.ledger.recent() {
		f.Decisions = append(f.Decisions, c.row(&n))
	}
	f.Breakers = urgentFirst(f, "breakers", f.Breakers, func(r *breakerRow) urgency {
		return urgency{stateUrgency[r.State], float64(r.Failures), r.Key}
	})
	f.Limits = urgentFirst(f, "limits", f.Limits, func(r *limitRow) urgency {
		return urgency{float64(r.Held) + float64(r.Queued), share(r.InFlight, r.Limit), r.Key}
	})
	f.Budgets = urgentFirst(f, "budgets", f.Budgets, func(r *budgetRow) urgency { return urgency{-r.Tokens, 0, r.Key} })
	f.Pools = urgentFirst(f, "pools", f.Pools, func(r *poolRow) urgency {
		return urgency{float64(r.Waiting), share(r.Active, r.Max), r.Key}
	})
	f.Endpoints = urgentFirst(f, "endpoints", f.Endpoints, func(r *endpointRow) urgency {
		return urgency{stateUrgency[r.State], float64(r.Failures), r.Key + " " + r.Endpoint}
	})
	f.Decisions = cut(f, "decisions", f.Decisions)
	return f
}

// add makes a row of a status.
func (f *frame) add(s *policy.Status) {
	key := shown(s.Key)
	switch {
	case s.Policy == policy.PolicyBreaker:
		f.Breakers = append(f.Breakers, breakerRow{
			key, shown(s.State), s.Forced, s.Calls, s.Failures, s.Slow, s.Trials, ms(s.RetryAfter),
		})
	case s.Policy == policy.PolicyRetry:
		f.Budgets = append(f.Budgets, budgetRow{key, finite(s.Tokens)})
	case s.Policy == policy.PolicyPool && s.State == "":
		f.Pools = append(f.Pools, poolRow{
			key, s.Limit, s.Active, s.Idle, s.Creating, s.Queued, ms(s.Oldest), ms(s.Newest),
		})
	case s.Policy == policy.PolicyPool:
		f.Endpoints = append(f.Endpoints, endpointRow{
			key, shown(s.Endpoint), shown(s.State), s.InFlight, s.Queued, s.Active, s.Idle, ms(s.Oldest), ms(s.Newest),
			ms(s.Latency), s.Failures, s.Ejections, ms(s.RetryAfter),
		})
	case s.Policy == policy.PolicyThrottle && s.RetryAfter == 0: // as good as not there
	default:
		f.Limits = append(f.Limits, limitRow{
			shown(s.Policy), key, s.Limit, ms(s.Per), s.InFlight, s.Queued, s.Keys, ms(s.RetryAfter),
		})
	}
}

func (c *Console) row(n *entry) decisionRow {
	r := decisionRow{
		ID: n.id, At: n.last.UnixMilli(), Began: n.first.UnixMilli(), Count: n.count, Level: levelName(n.level),
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

// urgency says who comes first: by the figures, greatest first, and the name.
type urgency struct {
	first, second float64
	name          string
}

var stateUrgency = map[string]float64{"open": 2, "half_open": 1, "ejected": 2, "slow_start": 1}

func urgentFirst[R any](f *frame, list string, rows []R, of func(*R) urgency) []R {
	slices.SortFunc(rows, func(a, b R) int {
		x, y := of(&a), of(&b)
		return cmp.Or(cmp.Compare(y.first, x.first), cmp.Compare(y.second, x.second), cmp.Compare(x.name, y.name))
	})
	return cut(f, list, rows)
}

func cut[R any](f *frame, list string, rows []R) []R {
	if len(rows) <= rowsMax {
		return rows
	}
	f.More[list] = len(rows) - rowsMax
	return rows[:rowsMax]
}

func share(n, of int) float64 { return float64(n) / float64(max(1, of)) }

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
