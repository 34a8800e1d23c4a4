# Everything that is checked before a change goes in. Needs Go, GNU make and a POSIX shell; "make help" lists the targets.

GO          ?= go
GOFMT       ?= gofmt
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 30s
CHECKS      ?= 1000
FOR         ?= 60s
TESTFLAGS   ?=

# On one CPU: with two, what runs in a bubble of testing/synctest can crash the race detector itself (https://go.dev/issue/78156). It finds races
# all the same, because it looks at what orders two accesses, not at whether they happened at once; and packages still run side by side.
RACE        ?= -race -cpu 1

# Each process sleeps a second at its end otherwise, and tests start some hundred.
export GORACE ?= atexit_sleep_ms=0

BENCH     ?= .
COUNT     ?= 6
BENCHTIME ?= 100ms
BENCHNOTE ?=
BENCHSTAT ?= golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# No command records the state of the checkout, which git refuses to tell to another user than its owner.
export GOFLAGS := $(shell $(GO) env GOFLAGS) -buildvcs=false

# Every module of the repository, found by its go.mod: "." first, and the nested ones.
MODULES  := $(shell find . -name go.mod ! -path '*/.*/*' ! -path '*/testdata/*' | sed 's,/go\.mod$$,,' | sort)
IMPORTED := . $(filter ./contrib/%,$(MODULES))

# each runs a command in every module, and stops at the first that fails.
each = set -e; for m in $(1); do echo "-- $$m"; (cd "$$m" && $(2)); done

.NOTPARALLEL:
.PHONY: help test check fmt vet lint tidy standalone quickstart fuzz model modelonce soak bench benchonce

help: ## list the targets
	@sed -n 's/^\([a-z][a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 18

# The race detector needs cgo, a C compiler that finds the C library, and a platform that it knows. Without them the tests run all the same.
test: ## run the tests of every module, with -race where a C compiler is found
	@echo "== tests"
	@cc=$$($(GO) env CC); race=; \
	if [ "$$(CGO_ENABLED= $(GO) env CGO_ENABLED)" != 1 ] || ! printf '\043include <stdlib.h>\n' | $$cc -E - >/dev/null 2>&1; then \
		echo "without -race: no C compiler"; \
	elif [ "$$($(GO) env CGO_ENABLED)" != 1 ]; then \
		echo "without -race: CGO_ENABLED=0"; \
	elif ! $(GO) build -race -n errors >/dev/null 2>&1; then \
		echo "without -race: not known to this platform"; \
	else \
		race='$(RACE)'; echo "tests run with $(RACE) ($$cc found)"; \
	fi; \
	$(call each,$(MODULES),$(GO) test $$race $(TESTFLAGS) ./...)

check: fmt vet lint tidy standalone test modelonce benchonce quickstart ## all that a change must pass, in this order

fmt: ## gofmt finds nothing to change
	@echo "== gofmt"
	@files=$$($(GOFMT) -l .) && if [ -n "$$files" ]; then echo "not formatted:"; echo "$$files"; exit 1; fi

# What is imported vets for every system that its users run; the other modules are for those who develop it.
vet: ## go vet, what is for import for linux, darwin and windows
	@echo "== go vet"
	@set -e; for os in linux darwin windows; do echo "-- $$os"; $(call each,$(IMPORTED),CGO_ENABLED=0 GOOS=$$os $(GO) vet ./...); done
	@$(call each,$(filter-out $(IMPORTED),$(MODULES)),CGO_ENABLED=0 GOOS=linux $(GO) vet ./...)

lint: ## staticcheck, pinned
	@echo "== staticcheck"
	@$(call each,$(MODULES),$(GO) run $(STATICCHECK) ./...)

tidy: ## go.mod and go.sum are what go mod tidy makes of them
	@echo "== go mod tidy"
	@$(call each,$(MODULES),GOWORK=off $(GO) mod tidy -diff)

# What a user of one module gets: its own go.mod decides the versions, not the workspace. The full tests with -race run once, in the workspace;
# here they run short and without -race, which is enough to find a version that does not fit. -o /dev/null: a lone main package would be written
# to the folder.
standalone: ## build, vet and test (-short) each module with GOWORK=off
	@echo "== each module on its own (GOWORK=off)"
	@$(call each,$(MODULES),export GOWORK=off && $(GO) build -o /dev/null ./... && $(GO) vet ./... && $(GO) test -short ./...)

quickstart: ## run the first example
	@echo "== quickstart"
	@$(GO) run ./examples/quickstart

fuzz: ## run every fuzz target for FUZZTIME (30s)
	@set -e; for m in $(MODULES); do ( cd "$$m"; \
		for pkg in $$($(GO) list ./...); do \
			for target in $$($(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
				echo "== $$pkg $$target"; \
				$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$pkg"; \
			done; \
		done ); done

model: ## random sequences of faults against a model, CHECKS (1000) of them for each system
	@$(GO) test -count=1 -tags model ./internal/model -rapid.checks=$(CHECKS)

modelonce: ## the same 50 of them each time
	@echo "== sequences of faults against the model"
	@$(GO) test -count=1 -tags model ./internal/model -rapid.checks=50 -rapid.seed=1

soak: ## all systems at once, with faults, for FOR (60s): fails if something is lost or grows
	@$(GO) run ./bench/soak -for $(FOR)

# Each round runs every benchmark once, so that what disturbs the machine for a while disturbs few of the results of each. All rounds are of one
# build, whatever is edited meanwhile.
bench: ## COUNT (6) rounds of the benchmarks that BENCH (.) matches; of all, the table and charts in bench/
	@mkdir -p bin && : >bin/bench.txt
	@$(GO) test -c -o bin/bench.test ./bench && cd bench/peers && $(GO) test -c -o ../../bin/peers.test .
	@set -e; round=1; while [ $$round -le $(COUNT) ]; do \
		echo "== round $$round of $(COUNT)"; \
		for module in bench peers; do \
			bin/$$module.test -test.run '^$$' -test.bench '$(BENCH)' -test.benchtime $(BENCHTIME) >bin/bench.round || { cat bin/bench.round; exit 1; }; \
			cat bin/bench.round >>bin/bench.txt; \
		done; \
		round=$$((round + 1)); \
	done
	@$(GO) run $(BENCHSTAT) bin/bench.txt
	@if [ '$(BENCH)' = . ]; then cd bench/peers && $(GO) run ./report -dir .. -note '$(BENCHNOTE)' ../../bin/bench.txt; fi

benchonce: ## run each benchmark once, to see that it works
	@echo "== benchmarks, once each"
	@$(call each,bench $(filter ./bench/peers,$(MODULES)),{ out=$$($(GO) test -run '^$$' -bench . -benchtime 1x . 2>&1) || { echo "$$out"; exit 1; }; })
