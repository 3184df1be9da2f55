-- What is remembered of exports to the outside: how far they had got, for comparison with what the outside says, and what
-- an operator ordered. Losing it loses no event.
create table exports (
    name     text primary key not null,
    progress text,
    ordered  text
) strict, without rowid;
