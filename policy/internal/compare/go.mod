module github.com/magnetar-go/magnetar/policy/internal/compare

go 1.26.0

replace github.com/magnetar-go/magnetar => ../../..

require (
	github.com/failsafe-go/failsafe-go v0.9.8
	github.com/magnetar-go/magnetar v0.0.0-00010101000000-000000000000
	github.com/platinummonkey/go-concurrency-limits v0.8.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/influxdata/tdigest v0.0.1 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
)
