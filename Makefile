# Everything that is done to yimu from a shell. A machine needs Go, Node and make;
# only `race` wants a C compiler too, only `screenshots` and `browser` Chromium and a
# Chinese font, and only `integration` Java 17, Maven, PostgreSQL, Python with venv,
# openssl and curl.

MODULES := contracts libs services deploy
ASSETS  := services/portal/assets
PAGES   := services/portal/internal/pages
DATA    ?= data
LISTEN  ?= 127.0.0.1:8080
CRASHES ?= 100
EXECUTIONS ?= 100000000
FAULTS  ?= 20
PARTITIONS ?= 1
LEAVES  ?= 1000000
HOMES   ?= 60000

# Suites that run on the Kafka and PostgreSQL they are told of.
REAL := ./libs/bus ./libs/commitpath ./libs/readmodel ./libs/vault ./libs/es/esdb ./libs/es/esdbserver

VERSION = $(shell git describe --tags --always --dirty 2>/dev/null)

# go run keeps what it builds in Go's cache; the templates' compiler is of the version that go.mod names.
GOLANGCI ?= go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
TEMPL    ?= go run github.com/a-h/templ/cmd/templ@$$(awk '$$1 == "github.com/a-h/templ" { print $$2 }' $(CURDIR)/services/go.mod)
FSCK     ?= go run github.com/transparency-dev/tessera/cmd/fsck@$$(awk '$$1 == "github.com/transparency-dev/tessera" { print $$2 }' $(CURDIR)/libs/go.mod)

GENERATED := docs/events.md docs/scale.md contracts/schemas contracts/asyncapi.yaml contracts/openapi $(PAGES)
hashes = find $(GENERATED) -type f | LC_ALL=C sort | while read -r f; do echo "$$f $$(git hash-object "$$f")"; done

# No C and no paths of this machine, in tests as in the binary: what one compiled serves the other.
export CGO_ENABLED := 0
export GOFLAGS     := $(strip $(GOFLAGS) -trimpath)

# Go uses every core by itself: two targets at once would only fight over them, and over files.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help build run test race stress tamper prover crash bench bench-cluster integration faults fsck vet lint tidy generate drift font assets screenshots browser

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## start everything with a demonstration estate (DATA=data LISTEN=127.0.0.1:8080)
	bin/yimu up --demo --data $(DATA) --listen $(LISTEN)

build: assets ## bin/yimu, one static binary
	go build -ldflags '-X main.released=$(VERSION)' -o bin/yimu ./services/yimu

test: assets ## the tests of every module (TESTFLAGS=-v)
	go test$(TESTFLAGS:%= %) work

# EventStoreDB's client reads headers that gRPC may be writing where a connection closes under a call. The
# detector passes over that one package, which is not ours, and watches everything else.
race: assets ## the same under the race detector; wants a C compiler
	CGO_ENABLED=1 go test -race -gcflags=github.com/EventStore/EventStore-Client-Go/v4/esdb=-race=false -timeout 30m$(TESTFLAGS:%= %) work

stress: ## Watermill's stress test of the bus
	go test -tags stress -run '^TestPubSubStress$$' $(TESTFLAGS) ./libs/bus

tamper: ## change, cut, swap, rewrite and plant, and print what each is called when it is found
	go test -count=1 -v -run '^TestTamper$$' ./services/internal/bundle

prover: ## check proofs of a malicious prover, and tell how many (EXECUTIONS=100000000)
	go test -count=1 -timeout 24h -v -run '^TestNothingOfAMaliciousProverIsAccepted$$' ./libs/proof -executions $(EXECUTIONS)

crash: build ## kill the system under load and count what it acknowledged (CRASHES=100)
	go test -count=1 -timeout 60m -v -run '^TestEveryAcknowledgedBallotOutlivesTheProcess$$' ./services/yimu -crashes $(CRASHES) -binary $(CURDIR)/bin/yimu

bench: build ## measure this machine: ballots a second, import, replay, memory; then an estate of HOMES=60000
	bin/yimu bench
	bin/yimu bench estate --homes $(HOMES)

bench-cluster: build ## measure a cluster on this machine: ballots a second, a broker's restart, memory (PARTITIONS=1)
	go test -tags integration -count=1 -timeout 20m -run '^$$' -bench '^BenchmarkCluster$$' -benchtime 1x ./services/yimu -partitions $(PARTITIONS) -binary $(CURDIR)/bin/yimu

integration: assets ## real Kafka and PostgreSQL, a process per service; YIMU_TEST_KAFKA, _DATABASE, _EVENTSTORE name others
	go run ./services/yimu/internal/cluster/with go test -tags integration -count=1 -timeout 20m$(TESTFLAGS:%= %) $(REAL)
	go test -tags integration -count=1 -timeout 20m$(TESTFLAGS:%= %) ./services/yimu/internal/cluster
	go test -tags integration -count=1 -timeout 20m$(TESTFLAGS:%= %) -run InACluster$$ ./services/yimu
	go test -tags integration -count=1$(TESTFLAGS:%= %) ./deploy

faults: build ## break every part of a cluster under load, and tell what was lost (FAULTS=20 kills of each; 1 is a short round)
	go test -tags integration -count=1 -timeout 12h -v -run '^TestFaults$$' ./services/yimu -faults $(FAULTS) -binary $(CURDIR)/bin/yimu

# It says what it found and ends with 0, or, of what it did not expect, does not end.
fsck: ## tessera's own fsck, which is not ours, reads a transparency log of ours (LEAVES=1000000)
	rm -rf .cache/fsck
	go test -count=1 -timeout 60m -v -run '^TestFsckAcceptsALogOfOurs$$' ./libs/tlog -leaves $(LEAVES) -keep $(CURDIR)/.cache/fsck
	timeout 20m $(FSCK) --storage_url=file://$(CURDIR)/.cache/fsck/log --public_key=.cache/fsck/log.key.pub --ui=false -v=1 -N=2 >.cache/fsck/report 2>&1
	@if grep -q 'fsck failed' .cache/fsck/report || ! grep -q 'Completed ranges' .cache/fsck/report; then cat .cache/fsck/report; exit 1; fi; tail -n 3 .cache/fsck/report
	rm -rf .cache/fsck

vet: ## go vet over every module
	go vet -tags 'stress integration browser' work

lint: ## golangci-lint over every module, import rules included
	$(GOLANGCI) run $(MODULES:%=./%/...)

tidy: ## say where a go.mod is not tidy
	@status=0; for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy -diff) || status=1; done; exit $$status

generate: ## write what is made of the code: event docs, schemas, AsyncAPI, OpenAPI, pages, docs/scale.md (BREAKING=accept)
	cd contracts/internal/generate && go run .
	cd services/internal/openapi && go run . $(if $(filter accept,$(BREAKING)),-accept-breaking)
	cd $(PAGES) && $(TEMPL) generate
	cd services/internal/scale && go run .

drift: ## fail where generating again changes anything
	@before="$$($(hashes))"; $(MAKE) generate || exit 1; after="$$($(hashes))"; \
	if [ "$$before" != "$$after" ]; then echo "what is generated was not up to date; these files are now:"; git status --short -- $(GENERATED); exit 1; fi

font: ## the font of PDFs, out of Debian's fonts-wqy-microhei; the same bytes each time
	go run ./services/internal/pdf/subset -to services/internal/pdf/font/wqy-microhei.ttf.gz

assets: $(ASSETS)/dist/.made ## scripts of the pages from npm, by lock file, embedded at build

$(ASSETS)/dist/.made: $(ASSETS)/package.json $(ASSETS)/package-lock.json $(ASSETS)/copy.mjs
	cd $(ASSETS) && npm ci --no-audit --no-fund && npm run build && touch dist/.made

screenshots: build ## docs/screenshots, taken from the running system; fails where a page is not accessible
	docs/screenshots/take docs/screenshots
	$(MAKE) browser PICTURES=docs/screenshots

browser: assets ## hold a meeting in Chromium, from its draft to the final result (PICTURES=folder to keep pictures in)
	go test -tags browser -count=1 -timeout 15m$(TESTFLAGS:%= %) -run InABrowser$$ ./services/yimu$(if $(PICTURES), -pictures $(abspath $(PICTURES)))
