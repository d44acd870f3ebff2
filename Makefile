# The one entry point. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Build results live outside of the checkout: a second checkout, and CI, find them warm.
export AETERNA_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/aeterna
export CARGO_TARGET_DIR ?= $(AETERNA_CACHE)/target
export PATH := $(HOME)/.cargo/bin:/usr/local/go/bin:$(PATH)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 22

.PHONY: deps
deps: ## Install what is missing on this machine (Debian packages need root)
	@tools/deps.sh

.PHONY: build
build: deps ## Build the binaries, the local Kubernetes and fetch the embedding weights and DuckDB
	@tools/build.sh

.PHONY: demo
demo: build ## Move a real tenant on a real Kubernetes, and look at it
	@demo/run.sh

.PHONY: demo-down
demo-down: ## Stop the demo's node and remove all that it made
	@demo/down.sh

.PHONY: test
test: build ## Run every test: lint, units, integration on a real API server, the OpenAPI documents, e2e on a real node
	@tools/test.sh lint unit cluster schema e2e

.PHONY: test-quick
test-quick: build ## Run all tests that need no node
	@tools/test.sh lint unit

.PHONY: lint
lint: deps ## Check format, clippy and file sizes
	@tools/test.sh lint

.PHONY: schema
schema: build ## Hold every service to its OpenAPI document, a minute each
	@tools/test.sh schema

.PHONY: e2e
e2e: build ## Run only the tests on a real node
	@tools/test.sh e2e

.PHONY: bench
bench: build ## Measure, side by side in one run; prints the figures of docs/performance.md
	@tools/bench.sh

.PHONY: gen
gen: ## Write the generated files anew: CRDs, OpenAPI, snapshots
	@tools/gen.sh
