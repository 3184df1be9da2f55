//! The rules of the aggregates, as given (events), when (a command), then (events or a refusal).

mod access_token;
mod administrator;
mod events;
mod fold;
mod given;
mod ids;
mod link;
mod personal;
mod properties;
mod replay;
mod subscription;
mod tenant;
mod values;
