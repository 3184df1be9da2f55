//! What each value accepts, keeps and refuses.

mod domain;
mod email;
mod group;
mod identifier;
mod limit;
mod module;
mod period;
mod retention;
mod short_code;
mod text;
mod token;
