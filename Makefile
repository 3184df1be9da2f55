# Short names for what people do with Tenure. Needs Rust (rustup), a C compiler and, for `make test`, apt or PostgreSQL.
.DEFAULT_GOAL := help
.PHONY: help run release test campaign bench check contract fmt up down clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and start the service on the embedded engine in ./data
	@cargo build --bin tenure
	@exec "$${CARGO_TARGET_DIR:-target}/debug/tenure" serve

release: ## Build the optimized program, target/release/tenure
	cargo build --release --locked --bin tenure

test: ## Run every test on SQLite and a real PostgreSQL (ARGS=name runs a part; DATABASE_URL is used when set)
	@scripts/test $(ARGS)

campaign: ## Kill, cut off, freeze and starve the service, check its history, write docs/CAMPAIGN.md (ROUNDS=100 SEED= SCENARIO=)
	@scripts/campaign

bench: ## Measure beside bare PostgreSQL, stock cqrs-es and bare SQLite; writes bench/RESULTS.md (ARGS=--help)
	@scripts/bench $(ARGS)

check: ## Check format, lints (warnings are errors), dependencies and scripts
	@scripts/check

contract: ## Write docs/contract anew, after a change that breaks no reader of billing events
	TENURE_WRITE_CONTRACT=1 cargo test --quiet -p tenure-projections --test projections -- contract::the_contract_breaks_no_reader

fmt: ## Format the code
	cargo fmt --all

up: ## Start PostgreSQL and two instances behind a proxy in containers, on port 7101
	docker compose up --build --detach --wait
	@echo "Tenure listens on http://127.0.0.1:$${TENURE_PORT:-7101}; a token for a first try:"
	@echo "  docker compose exec tenure-1 tenure token --role msp-admin"

down: ## Stop the containers; their data stays (docker compose down --volumes removes it)
	docker compose down

clean: ## Remove what was built; ./data stays
	cargo clean
