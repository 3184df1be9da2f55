//! The crash campaign: real `tenure serve` processes under load, killed, cut off, frozen and starved, and afterwards a
//! comparison of what the log holds with what the clients were told.
//!
//! A [`scenario`] makes a [`cell::Cell`], lets a [`load::Load`] of [`client`]s work on it, does its harm, and ends with
//! [`check::everything`]: every acknowledged command is in the log exactly once, no other one twice, positions have no
//! gap, streams can be folded, claims and limits are what the events say, and each view equals a rebuild.

pub mod cell;
pub mod check;
pub mod client;
pub mod command;
pub mod disk;
pub mod history;
pub mod instance;
pub mod load;
pub mod people;
pub mod random;
pub mod report;
pub mod scenario;
pub mod scenarios;
pub mod tables;
pub mod topic;
