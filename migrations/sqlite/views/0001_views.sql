-- views.db: rebuildable from log.db at any time. The views' own tables are made by the projectors, one set per
-- generation (tenants_v1, tenants_v2 ...); here is only what says which generation is live and how far each one is.

-- How far a generation has got, for example 'tenants_v1'.
create table checkpoints (
    name     text primary key not null,
    position integer not null check (position >= 0)
) strict, without rowid;

-- Every generation whose tables exist. Times are microseconds since 1970 by the system's clock.
create table generations (
    view_name  text not null,
    generation integer not null check (generation > 0),
    version    integer not null,
    -- its tables, with commas between: another release may not know them
    tables     text not null,
    -- when its builder last wrote: an abandoned build is dropped
    touched_at integer not null,
    -- set when another generation took its place: dropped a little later
    retired_at integer,
    primary key (view_name, generation)
) strict, without rowid;

-- The live generation for each version of a view's shape.
create table pointers (
    view_name  text not null,
    version    integer not null,
    generation integer not null,
    -- when an instance with this version was last seen alive
    seen_at    integer not null,
    primary key (view_name, version)
) strict, without rowid;
