//! Answers of any length, written piece by piece in constant memory.

use actix_web::web::Bytes;
use futures::{Stream, stream};
use tenure_projections::QueryError;

/// An answer that is being written.
pub trait Pieces: Sized {
    /// The next piece of the answer, and what comes after it.
    async fn next(self) -> Result<(Bytes, Option<Self>), QueryError>;
}

/// The body of an answer whose first piece is there. That one comes before the status: what fails then is a clean error.
pub fn body<P: Pieces>(first: Bytes, rest: Option<P>) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold((Some(first), rest), |(ready, rest)| async move {
        match (ready, rest) {
            (Some(bytes), rest) => Some((Ok(bytes), (None, rest))),
            (None, Some(pieces)) => match pieces.next().await {
                Ok((bytes, rest)) => Some((Ok(bytes), (None, rest))),
                // The answer has begun: breaking it off is the only way to say that it is not whole.
                Err(error) => Some((Err(std::io::Error::other(error)), (None, None))),
            },
            (None, None) => None,
        }
    })
}
