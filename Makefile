# make demo    three members go from 1.0.0 to 1.1.0 under load; KEEP=1 leaves them running
# make test    everything that must hold; what CI runs
# make build   VERSION=x.y.z BIN=dir [FAULT=kind] [TAGS=a,b]: theseusd and theseus
# make chaos   upgrades while clusters are harmed: [SEED=n [RUN=n]] [RUNS=n] [DURATION=5m] [ONLY=kind]
# make bench   what the speed is, beside something bare in the same run
# make lint    gofmt, vet, staticcheck

VERSION ?= 0.0.0-dev
BIN     ?= .build/bin
FAULT   ?=
TAGS    ?=

GO          ?= go
STATICCHECK ?= $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
faults      := exit segv panic hang-early hang-late badstate badreplay oneway shadow schema
seams       := clock-ahead # not bad: for tests of what is looked at before an upgrade

comma   := ,
empty   :=
space   := $(empty) $(empty)
tags    := $(subst $(space),$(comma),$(strip $(subst $(comma), ,$(TAGS)) $(subst -,_,$(FAULT:%=fault_%))))
ldflags := -s -w -X main.version=$(VERSION)

.PHONY: build demo test unit e2e chaos bench lint clean packages

build:
ifneq ($(FAULT),)
ifeq ($(filter $(FAULT),$(faults) $(seams)),)
	$(error FAULT=$(FAULT): there is no such fault; the kinds are: $(faults) $(seams))
endif
endif
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -trimpath -tags '$(tags)' -ldflags '$(ldflags)' -o $(BIN)/ ./cmd/theseusd ./cmd/theseus

demo:
	$(GO) run ./e2e/demo

test: lint unit e2e

# A test that is skipped fails the run unless e2e/skips.txt gives a reason. The
# others have the next version's conversion, what the race detector is too slow for,
# and the store's deaths. GORACE: a child that ends does not wait a second for races.
unit:
	GORACE=atexit_sleep_ms=20 $(GO) test -p 4 -race -json $$($(GO) list ./... | grep -v /e2e) | $(GO) run ./e2e/skips e2e/skips.txt
	$(GO) test -tags era -run Conversion -json ./store | $(GO) run ./e2e/skips e2e/skips.txt
	$(GO) test -p 3 -tags crash -json ./store ./staging ./upgrader | $(GO) run ./e2e/skips e2e/skips.txt

e2e: packages
	$(GO) test -count=1 -timeout=45m -parallel=4 -json ./e2e/... | $(GO) run ./e2e/skips e2e/skips.txt

# Inside its namespaces there is no network to fetch modules by.
chaos: packages
	$(GO) mod download
	$(GO) run ./e2e/chaos $(SEED:%=-seed %) $(RUN:%=-run %) $(RUNS:%=-runs %) $(DURATION:%=-duration %) $(ONLY:%=-only %)

bench:
	$(GO) run ./e2e/bench

lint:
	@files=$$(gofmt -l $$(find . -name '*.go' -not -path './.build/*')); test -z "$$files" || { echo "not gofmt-ed: $$files"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags era,crash ./...
	$(STATICCHECK) ./...

# What the end-to-end tests call; installed only where it is missing.
packages:
	@command -v getcap >/dev/null && command -v setcap >/dev/null || $(call install,libcap2-bin)
	@command -v curl >/dev/null || $(call install,curl)
	@command -v ip >/dev/null || $(call install,iproute2)
	@command -v runsv >/dev/null || $(call install,runit)
	@test -x /lib/systemd/systemd || $(call install,systemd)

root    := $(shell test "$$(id -u)" = 0 || echo sudo -n)
install = { $(root) apt-get update -qq && $(root) apt-get install -y -qq --no-install-recommends $(1); }

clean:
	rm -rf .build
