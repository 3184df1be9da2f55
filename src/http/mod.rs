//! What every dialect needs of HTTP and none should write twice: who calls, strict bodies and queries, conditional
//! requests, request ids, TLS. Nothing here knows how an error looks to a client; each dialect says that itself.

pub mod answers;
pub mod body;
pub mod call;
pub mod conditional;
pub mod idempotency;
pub mod observe;
pub mod pieces;
pub mod query;
pub mod rate_limit;
pub mod request_id;
pub mod tls;
