//! Two instances on one PostgreSQL: a token is good at once on both, and revoked on both within a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenure::identity::Role;

use super::{listed, make, me, revoke, secret, uses};
use crate::service::{Engine, Service, Storage, eventually};

pub async fn two() -> (Service, Service) {
    let storage = Arc::new(Storage::new(Engine::Postgres).await);
    let first = Service::start_with(Arc::clone(&storage), &[]);
    (first, Service::start_with(storage, &[]))
}

#[tokio::test]
async fn a_token_made_here_is_good_there_at_once() {
    let (here, there) = two().await;
    for _ in 0..10 {
        let made = make(&here, Role::MspAdmin, here.config.default_msp().id).await;
        me(&there, &format!("Token {}", secret(&made))).await.expect(200);
    }
}

#[tokio::test]
async fn a_token_revoked_here_is_refused_there_within_a_second() {
    let (here, there) = two().await;
    for _ in 0..5 {
        let made = make(&here, Role::MspAdmin, here.config.default_msp().id).await;
        let authorization = format!("Token {}", secret(&made));
        me(&there, &authorization).await.expect(200);
        assert_eq!(revoke(&here, &made).await.status, 204);
        let revoked = Instant::now();
        me(&here, &authorization).await.expect_problem(401, "token-invalid");
        while me(&there, &authorization).await.status != 401 {
            assert!(revoked.elapsed() < Duration::from_secs(2), "the bound is a second, and the test's own time");
        }
    }
}

#[tokio::test]
async fn a_use_on_both_is_written_down_once() {
    let (here, there) = two().await;
    let made = make(&here, Role::MspAdmin, here.config.default_msp().id).await;
    let authorization = format!("Token {}", secret(&made));
    let asked = (0..20).flat_map(|_| [me(&here, &authorization), me(&there, &authorization)]);
    futures::future::join_all(asked).await.iter().for_each(|answer| drop(answer.expect(200)));
    eventually("the use is shown", async || listed(&there, &made["id"]).await["lastUsedUtc"].is_string()).await;
    // What either instance still had in hand stands before this.
    here.tenant("acme").await;
    there.tenant("contoso").await;
    assert_eq!(uses(&here).await, 1);
}
