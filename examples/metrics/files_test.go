package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// alert is a rule of alerts.yml.
type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal(read(t, "alerts.yml"), &file))
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

// dashboard is what the tests look at in dashboard.json.
type dashboard struct {
	SchemaVersion int     `json:"schemaVersion"` //nolint:tagliatelle // Grafana's name
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []variable `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID          int        `json:"id"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Datasource  datasource `json:"datasource"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"` //nolint:tagliatelle // Grafana's name
	Targets []target `json:"targets"`
}

type target struct {
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat"` //nolint:tagliatelle // Grafana's name
	Datasource   datasource `json:"datasource"`
}

type datasource struct {
	UID string `json:"uid"`
}

type variable struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Definition string `json:"definition"`
}

func theDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	require.NoError(t, json.Unmarshal(read(t, "dashboard.json"), &d))
	return d
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return text
}

func TestEveryAlertTellsWhatToDo(t *testing.T) {
	for _, a := range alerts(t) {
		require.NotEmpty(t, a.For, a.Alert)
		require.Contains(t, []string{"critical", "warning"}, a.Labels["severity"], a.Alert)
		require.NotEmpty(t, a.Annotations["summary"], a.Alert)
		require.NotEmpty(t, a.Annotations["description"], a.Alert)
	}
}

func TestEveryAlertHasACaseThatFiresAndOneThatDoesNot(t *testing.T) {
	var file struct {
		Tests []struct {
			Rules []struct {
				Alert string `yaml:"alertname"`
				Fires []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	require.NoError(t, yaml.Unmarshal(read(t, "alerts_test.yml"), &file))
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, one := range file.Tests {
		for _, r := range one.Rules {
			if len(r.Fires) > 0 {
				fires[r.Alert] = true
			} else {
				silent[r.Alert] = true
			}
		}
	}
	for _, a := range alerts(t) {
		require.True(t, fires[a.Alert], "%s never fires", a.Alert)
		require.True(t, silent[a.Alert], "%s always fires", a.Alert)
	}
}

func TestEveryAlertIsThatOfATrouble(t *testing.T) {
	var known, played, rows []string
	for _, a := range alerts(t) {
		known = append(known, a.Alert)
	}
	for _, p := range theDashboard(t).Panels {
		if p.Type == "row" {
			rows = append(rows, p.Title)
		}
	}
	for _, one := range troubles {
		played = append(played, one.alerts...)
		require.Contains(t, rows, one.row, one.says)
	}
	require.ElementsMatch(t, known, played)
}

func TestDashboardIsWrittenAsItIsFormatted(t *testing.T) {
	text := read(t, "dashboard.json")
	var formatted bytes.Buffer
	require.NoError(t, json.Indent(&formatted, bytes.TrimSpace(text), "", "  "))
	require.Equal(t, formatted.String()+"\n", string(text))
}

func TestPanelsSayWhatTheyShow(t *testing.T) {
	d := theDashboard(t)
	require.Equal(t, 42, d.SchemaVersion)
	require.Equal(t, "datasource", d.Templating.List[0].Type)
	var ids []int
	for _, p := range d.Panels {
		ids = append(ids, p.ID)
		require.NotEmpty(t, p.Title)
		if p.Type == "row" {
			continue
		}
		require.NotEmpty(t, p.Description, p.Title)
		require.NotEmpty(t, p.FieldConfig.Defaults.Unit, p.Title)
		require.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, one := range p.Targets {
			require.Equal(t, "${datasource}", one.Datasource.UID, p.Title)
			require.Contains(t, one.Expr, `{job=~"$job", instance=~"$instance"`, p.Title)
			require.True(t, p.Type == "stat" || one.LegendFormat != "", p.Title)
		}
	}
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), len(d.Panels), "ids are unique")
}

// queries are those of all panels and variables, as Grafana would send them.
func (d dashboard) queries() map[string]string {
	all := make(map[string]string)
	variables := strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "30s")
	for _, p := range d.Panels {
		for _, one := range p.Targets {
			all[p.Title+": "+one.LegendFormat] = variables.Replace(one.Expr)
		}
	}
	for _, v := range d.Templating.List {
		if of, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
			cut := strings.LastIndex(of, ", ")
			label := strings.TrimSuffix(of[cut+2:], ")")
			all["$"+v.Name] = "count by (" + label + ") (" + variables.Replace(of[:cut]) + ")"
		}
	}
	return all
}
