-- Exports to the outside.

-- How far an export had got, for comparison with what the outside says (JSON), and what an operator ordered.
create table views.exports (
    name     text collate "C" primary key,
    progress text,
    ordered  text
);

-- Who exports at the moment. Taken over by anybody once it is over by this server's clock.
create table views.leases (
    name       text collate "C" primary key,
    holder     text collate "C" not null,
    -- counts the holders
    generation bigint not null,
    until      timestamptz not null
);
