//! Tokens of every kind, good and bad. The private keys beside this file exist for these tests only.

pub mod cell;
mod end_to_end;
mod issuer;
mod refused;
mod rotation;
mod verified;
