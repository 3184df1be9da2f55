FROM rust:1.95.0-slim-bookworm AS skeleton
WORKDIR /build
COPY . .
RUN scripts/workspace-skeleton /skeleton

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /build

# The Kafka client is compiled from its C sources, with OpenSSL and zlib.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libssl-dev make pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*

# Dependencies first, in a layer of their own: it is built again only when a manifest changes.
COPY --from=skeleton /skeleton .
RUN cargo build --release --locked --bin tenure

# The real sources may be older than the empty ones were, and cargo goes by age.
COPY . .
RUN find . -path ./target -prune -o -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --bin tenure

FROM debian:bookworm-slim
# What the Kafka client is linked to, and the authorities that vouch for brokers.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/*
# Keys are in there: it is nobody else's. A new volume takes owner and mode over.
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/tenure --shell /usr/sbin/nologin tenure \
    && install --directory --owner tenure --group tenure --mode 700 /var/lib/tenure
COPY --from=build /build/target/release/tenure /usr/local/bin/tenure
# By number, so that an orchestrator can tell that it is not root.
USER 10001:10001
ENV TENURE_LISTEN=0.0.0.0:7101 \
    TENURE_DATA_DIR=/var/lib/tenure
VOLUME /var/lib/tenure
EXPOSE 7101
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["tenure", "health"]
ENTRYPOINT ["tenure"]
CMD ["serve"]
