//! Tenure's decisions, and nothing else: no clock, no I/O, no SQL, no HTTP.
//!
//! An aggregate is a [`Decider`]: `decide` turns a command into events or a refusal, `evolve` turns an event into the
//! next state. Everything that a decision needs (the time, new ids, limits read from another aggregate) arrives in the
//! command, so the same history always gives the same state and every rule can be tested without a database.
//!
//! Start reading at [`tenant`]; [`administrator`], [`link`] and [`subscription`] are the same form, smaller.
//! [`fold()`] turns stored history into a state that can decide.

pub mod access_token;
pub mod administrator;
pub mod claims;
pub mod decider;
pub mod fold;
pub mod ids;
pub mod kind;
pub mod link;
pub mod personal;
pub mod replay;
pub mod role;
pub mod subscription;
pub mod tenant;
pub mod values;

pub use access_token::AccessToken;
pub use administrator::{Administrator, AdministratorRole};
pub use claims::{ClaimChange, ClaimKey, LimitChange};
pub use decider::{Decider, Impossible, Refusal};
pub use fold::{CorruptHistory, Decision, Folded, Upcaster, decode, decode_text, fold, fold_on};
pub use ids::{AccessTokenId, AdministratorId, LinkId, TenantId};
pub use kind::AggregateKind;
pub use link::Link;
pub use personal::Personal;
pub use replay::Replay;
pub use role::{Role, UnknownRole};
pub use subscription::Subscription;
pub use tenant::{Account, Tenant, TenantKind};
