//! A connection to the database that is made when it is first needed, and kept: it has no transaction open between two
//! statements, and so holds nothing that is in anybody's way.

use crate::batch::{Session, Store, StoreError};

#[derive(Default)]
pub(super) struct KeptSession(Option<Session>);

impl KeptSession {
    pub async fn open(&mut self, store: &Store) -> Result<&mut Session, StoreError> {
        if self.0.is_none() {
            self.0 = Some(store.session().await?);
        }
        self.0.as_mut().ok_or_else(|| StoreError::unavailable(std::io::Error::other("no connection")))
    }
}
