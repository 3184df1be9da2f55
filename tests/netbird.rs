//! The NetBird MSP dialect, over HTTP and with NetBird's own client.

mod bodies;
mod client;
mod domains;
mod groups;
mod lifecycle;
mod races;
mod rights;
mod seed;
mod world;
