-- The log of one cell on the embedded engine. Times are integer microseconds since 1970, JSON is text, uuids of tenants
-- are their 16 bytes (uuid v7: in time order). Exactly one connection of one process writes here.

CREATE TABLE log_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL CHECK (position >= 0),
    recorded_at INTEGER NOT NULL,
    master_key_fingerprint TEXT
) STRICT;

INSERT INTO log_head (id, position, recorded_at) VALUES (1, 0, 0);

CREATE TABLE events (
    position INTEGER PRIMARY KEY CHECK (position > 0),
    aggregate_type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    tenant_id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    event_version TEXT NOT NULL,
    payload TEXT NOT NULL,
    metadata TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    UNIQUE (aggregate_type, aggregate_id, sequence)
) STRICT;

CREATE INDEX events_tenant ON events (tenant_id, position);

CREATE INDEX events_billing ON events (position) WHERE event_type IN (
    'tenant.provisioned', 'tenant.suspended', 'tenant.reinstated', 'tenant.deprovisioned', 'tenant.restored',
    'tenant.deleted', 'tenant.usage.monthly'
);

CREATE TABLE claims (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE quotas (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    used INTEGER NOT NULL CHECK (used >= 0),
    max INTEGER NOT NULL,
    PRIMARY KEY (scope, key),
    CHECK (used <= max)
) STRICT, WITHOUT ROWID;

-- A destroyed key keeps its row with no bytes in it, so that it is never made again.
CREATE TABLE tenant_keys (
    tenant_id BLOB NOT NULL PRIMARY KEY,
    wrapped BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE stream_keys (
    aggregate_type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    tenant_id BLOB NOT NULL,
    wrapped BLOB,
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX stream_keys_tenant ON stream_keys (tenant_id);

-- Requests that were answered. No body: a repeat folds the stream up to the sequence and renders the answer again.
CREATE TABLE idempotency (
    principal TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    aggregate_type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    status INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (principal, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_expiry ON idempotency (expires_at);
