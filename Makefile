SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

.PHONY: test lint bench demo overload pooled outage compare nginx lifetime jaeger picture metrics shop console browser integration s3 database smb fleet service

test: ## both modules, as in the README
	go test ./... && go -C examples test ./...

lint: ## .ci/run takes the version from here
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...

bench: ## the kit, then the kit beside its peers
	go test -run '^$$' -bench . ./... && go -C examples test -run '^$$' -bench . ./...

demo: ## a retried call and its spans
	go -C examples run ./quickstart

overload: ## a server under more than it can do, with the kit and without
	go -C examples run ./overload

pooled: ## four servers behind one name: one sick, one leaving, one killed
	go -C examples run ./pooled

nginx: ## a real upstream, reloaded under load; from Debian's package nginx
	go -C examples test -count=1 -v ./nginx

lifetime: ## what it costs to let connections go, in failed requests and leaks
	go -C examples test -count=1 -v ./benchmarks/lifetime

compare: ## limits that find themselves, in virtual time
	go -C policy/internal/compare test -run Comparison -v -count=1 -timeout 60m .

outage: ## what an outage costs, with the kit and with its peers
	go -C examples test -count=1 -v ./benchmarks/outage

jaeger: ## six stories through three services, as a real Jaeger shows them; builds it the first time
	bin=$${JAEGER_BIN:-$$(.ci/jaeger)} && CI=true JAEGER_BIN=$$bin go -C examples test -count=1 -v ./jaeger

picture: ## the README's trace, drawn again from the kit's own spans
	go -C examples generate ./jaeger

shop: ## a shop in trouble, and its metrics for Prometheus
	go -C examples run ./metrics

metrics: ## Prometheus, the alerts and every query of the dashboard; from Debian's package prometheus
	CI=true go -C examples test -count=1 -v ./metrics

console: ## a shop with the console beside it
	go -C examples run ./console

browser: ## the console in a real browser, from Debian's package chromium; leaves screenshots in bin
	CI=true SCREENSHOTS=$${SCREENSHOTS:-$(CURDIR)/bin/screenshots} go -C examples test -count=1 -v ./console

integration: ## S3, PostgreSQL, SMB and Redis, as they fail: a line for each fault survived; all of it is in bin/integration.log
	mkdir -p bin && bin=$${VERSITYGW_BIN:-$$(.ci/versitygw)} && CI=true VERSITYGW_BIN=$$bin \
	go -C examples test -race -count=1 -v ./s3/... ./database/... ./smb ./fleet ./service 2>&1 | \
	tee bin/integration.log | grep --line-buffered -oE 'fault: .*|^(ok|FAIL|--- FAIL).*'

s3: ## the AWS SDK over the kit, and a real server that is killed
	VERSITYGW_BIN=$${VERSITYGW_BIN:-$$(.ci/versitygw)} go -C examples run ./s3

database: ## PostgreSQL under load, in eight kinds of trouble; from Debian's package postgresql
	go -C examples run ./database

smb: ## a share over a real smbd that is killed, hangs and loses its share; from Debian's package samba
	go -C examples run ./smb

fleet: ## four processes under one limit in Redis; from Debian's package redis-server
	go -C examples run ./fleet

service: ## a whole service, from one file; from Debian's packages postgresql and redis-server
	go -C examples run ./service
