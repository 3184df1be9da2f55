# syntax=docker/dockerfile:1

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /build

# The Kafka client is compiled from its C sources, with OpenSSL and zlib.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libssl-dev make pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*

# Dependencies first, in a layer of their own: it is built again only when a manifest changes. Cargo wants a source file
# per target, so every member gets an empty one.
COPY Cargo.toml Cargo.lock ./
COPY aggregates/Cargo.toml aggregates/
COPY bench/Cargo.toml bench/
COPY event-log/Cargo.toml event-log/
COPY examples/billing-consumer/Cargo.toml examples/billing-consumer/
COPY projections/Cargo.toml projections/
COPY tests/campaign/Cargo.toml tests/campaign/
COPY tests/engines/Cargo.toml tests/engines/
RUN mkdir -p src aggregates/src bench/src/stock event-log/src examples/billing-consumer/src projections/src \
        tests/campaign/src tests/engines/src \
    && echo 'fn main() {}' | tee src/main.rs tests/main.rs tests/campaign/src/main.rs bench/src/main.rs \
        bench/src/stock/main.rs examples/billing-consumer/src/main.rs \
    && touch src/lib.rs aggregates/src/lib.rs event-log/src/lib.rs projections/src/lib.rs \
    && touch tests/campaign/src/lib.rs tests/engines/src/lib.rs \
    && cargo build --release --locked --bin tenure \
    && rm -rf src aggregates bench event-log examples projections tests

# The real sources may be older than the empty ones were, and cargo goes by age.
COPY . .
RUN find src aggregates event-log projections -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --bin tenure

FROM debian:bookworm-slim
# What the Kafka client is linked to, and the authorities that vouch for brokers.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/tenure --create-home --shell /usr/sbin/nologin tenure
COPY --from=build /build/target/release/tenure /usr/local/bin/tenure
USER tenure
ENV TENURE_LISTEN=0.0.0.0:7101 \
    TENURE_DATA_DIR=/var/lib/tenure
VOLUME /var/lib/tenure
EXPOSE 7101
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["tenure", "health"]
ENTRYPOINT ["tenure"]
CMD ["serve"]
