# Short names for what people do with Tenure. Needs Rust (rustup), a C and C++ compiler, OpenSSL's and zlib's headers and,
# for `make test`, PostgreSQL, Java, Maven, kcat, strace and Python; what is missing is installed where there is apt.
.DEFAULT_GOAL := help
.PHONY: help native-libraries run release test campaign bench bench-export check contract fmt up try down clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

native-libraries:
	@scripts/native-libraries

run: native-libraries ## Build and start the service on the embedded engine in ./data
	@cargo build --bin tenure
	@exec "$${CARGO_TARGET_DIR:-target}/debug/tenure" serve

release: native-libraries ## Build the optimized program, target/release/tenure
	cargo build --release --locked --bin tenure

test: native-libraries ## Run every test on SQLite, real PostgreSQL and Kafka (ARGS=name runs a part; DATABASE_URL, KAFKA_BROKERS are used)
	@scripts/test $(ARGS)

campaign: native-libraries ## Kill, cut off, freeze and starve the service, check its history, write docs/CAMPAIGN.md (ROUNDS=100 SEED= SCENARIO=)
	@scripts/campaign

bench: native-libraries ## Measure beside bare PostgreSQL, stock cqrs-es and bare SQLite; writes bench/RESULTS.md (ARGS=--help)
	@scripts/bench $(ARGS)

bench-export: native-libraries ## Measure the billing export beside a plain producer; writes bench/EXPORT.md (ARGS=--help)
	@scripts/bench-export $(ARGS)

check: native-libraries ## Check format, lints (warnings are errors), dependencies and scripts
	@scripts/check

contract: native-libraries ## Write docs/contract anew, after a change that breaks no reader of billing events
	TENURE_WRITE_CONTRACT=1 cargo test --quiet -p tenure-projections --test projections -- contract::the_contract_breaks_no_reader

fmt: ## Format the code
	cargo fmt --all

up: ## Start PostgreSQL, Kafka and two instances behind a proxy in containers, on port 7101
	docker compose up --build --detach --wait
	@echo
	@echo "Tenure listens on http://$$(docker compose port proxy 7101) (every operation: /docs). A first try:"
	@echo
	@echo "  export MSP_ADMIN_JWT=\$$(docker compose exec -T tenure-1 tenure token --role msp-admin)"
	@echo "  curl -s http://$$(docker compose port proxy 7101)/api/v1/msp/tenants -H \"Authorization: Bearer \$$MSP_ADMIN_JWT\" \\"
	@echo "    -H 'Content-Type: application/json' \\"
	@echo "    -d '{\"shortCode\": \"acme-corp\", \"displayName\": \"Acme Corporation\", \"contactEmail\": \"it@acmecorp.com\"}'"
	@echo
	@echo "Kafka listens on $$(docker compose port kafka 9094); examples/ has consumers of billing events. \`make try\` tries it all."

try: ## Try what `make up` started: a tenant through the proxy, its billing events out of Kafka
	@scripts/try-containers

down: ## Stop the containers; their data stays (docker compose down --volumes removes it)
	docker compose down

clean: ## Remove what was built; ./data stays
	cargo clean
