.DEFAULT_GOAL := help
.PHONY: help build demo test test-fast test-interop lint fmt fmt-check generate bench

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | awk -F '|' '{ printf "  make %-13s %s\n", $$1, $$2 }'

build: ## the binary and the demo, for debugging
	cargo build --locked --bin anteroom --example demo

demo: ## a legacy application, two providers and Anteroom in front, on this machine
	@ci/install build
	cargo build --locked --bin anteroom --example demo
	@cargo run --locked --quiet --example demo

test: ## everything: installs what the tests need, then Rust, the samples, and real providers in a real browser
	ci/install build test
	$(MAKE) --no-print-directory test-fast build
	ci/verify-samples
	ci/interop

test-fast: ## the Rust tests alone; they start a PostgreSQL of their own (ci/install test)
	cargo test --locked

test-interop: build ## against oidc-provider and Keycloak, in Chromium, by one process and by two, through crashes
	ci/install test
	ci/interop

lint: ## clippy on everything; a warning is an error
	cargo clippy --locked --all-targets -- -D warnings

fmt: ## formats the code
	cargo fmt

fmt-check: ## fails if the code is not formatted
	cargo fmt --check

generate: ## writes the checked-in files that come from the types: configuration schema and reference
	ci/generate

bench: ## side by side with bare hyper, nginx and HAProxy
	ci/install build bench
	ci/bench
