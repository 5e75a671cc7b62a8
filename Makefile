# One binary, one Makefile. `make help` lists what there is.
TOOL     := go tool -modfile=tools/go.mod
FUZZTIME ?= 5s
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: help demo test build bench bench-dns lint fix web fuzz race lab system golden setup-build setup-test setup-dns

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## 18 PoPs on a generated Internet, the collector and a page that measures you, on 127.0.0.1
	@bin/catchment demo

build: setup-build ## bin/catchment
	go build -ldflags '-s -w' -o bin/catchment ./cmd/catchment

test: setup-test ## everything that CI runs
	@tools/ci

lint: ## format, vet, staticcheck, tidy
	@tools/lint

fix: ## repair formatting and modernize
	go fix ./...
	$(TOOL) gofumpt -w .
	go mod tidy

web: ## rebuild the committed browser scripts from web/
	go run -C tools/web .

bench: setup-test ## every figure in the docs, as ratios measured in one run
	@bench/run

bench-dns: setup-dns build ## what a DNS query costs against gdnsd, Knot and PowerDNS, in one run
	@go run ./bench/dns

fuzz: ## every fuzz target for FUZZTIME (5s)
	tools/fuzz $(FUZZTIME)

race: ## unit tests under the race detector
	go test -race -short ./internal/... ./cmd/...

lab: setup-test build ## a small Internet to play in: BIRD routers, six PoPs, clients, in network namespaces
	@go run ./lab/play

system: setup-test build ## whole-system tests: browsers behind delayed packets, routers, resolvers
	go test -v -count=1 -p 1 -timeout 20m ./lab/...

golden: ## rewrite golden files; read the diff before you commit it
	GOLDEN=update go test ./...

setup-build:
	@tools/setup build

setup-test:
	@tools/setup test

setup-dns:
	@tools/setup dns
