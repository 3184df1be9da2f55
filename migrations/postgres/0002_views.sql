-- The read side: rebuildable from the events at any time. The views' own tables are made by the projectors, one set per
-- generation (tenants_v1, tenants_v2 ...); here is only what says which generation is live and how far each one is.

create schema views;

-- How far a generation has got, for example 'tenants_v1'. Whoever holds the row's lock applies the next batch.
create table views.checkpoints (
    name     text collate "C" primary key,
    position bigint not null check (position >= 0)
);

-- Every generation whose tables exist. Times are microseconds since 1970 by the system's clock.
create table views.generations (
    view_name  text collate "C" not null,
    generation bigint not null check (generation > 0),
    version    bigint not null,
    -- its tables, with commas between: another release may not know them
    tables     text not null,
    -- when its builder last wrote: an abandoned build is dropped
    touched_at bigint not null,
    -- set when another generation took its place: dropped a little later
    retired_at bigint,
    primary key (view_name, generation)
);

-- The live generation for each version of a view's shape. Two releases in a rolling deploy each have their own.
create table views.pointers (
    view_name  text collate "C" not null,
    version    bigint not null,
    generation bigint not null,
    -- when an instance with this version was last seen alive
    seen_at    bigint not null,
    primary key (view_name, version)
);
