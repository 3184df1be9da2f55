//! Keys that an issuer publishes and rotates, over real HTTP on loopback and in a file.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use chrono::Utc;
use serde_json::Value;
use tenure_aggregates::TenantId;
use tenure_event_log::Clock;

use super::issuer::{DEFAULT_TENANT, Issuer, anchor, claims, key_set};
use crate::config::JwksSource;
use crate::identity::denied::{Denied, TokenFault};
use crate::identity::jwks::{Jwks, JwksError, Refresh};
use crate::identity::verifier::{AnchorKeys, Verifier};

/// An issuer's web server.
#[derive(Clone)]
struct Publisher {
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
    url: reqwest::Url,
}

impl Publisher {
    fn start(keys: &Value) -> Self {
        let answer = Arc::new(Mutex::new((StatusCode::OK, keys.to_string())));
        let asked = Arc::new(AtomicUsize::new(0));
        let data = Data::new((answer.clone(), asked.clone()));
        let server = HttpServer::new(move || App::new().app_data(data.clone()).route("/jwks", web::get().to(publish)))
            .workers(1)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let url = format!("http://{}/jwks", server.addrs()[0]).parse().unwrap();
        tokio::spawn(server.run());
        Self { answer, asked, url }
    }

    fn publish(&self, status: StatusCode, text: &impl ToString) {
        *self.answer.lock().unwrap() = (status, text.to_string());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

type Shared = (Arc<Mutex<(StatusCode, String)>>, Arc<AtomicUsize>);

async fn publish(shared: Data<Shared>) -> HttpResponse {
    shared.1.fetch_add(1, Ordering::SeqCst);
    let (status, text) = shared.0.lock().unwrap().clone();
    HttpResponse::build(status).insert_header(("Location", "/jwks")).body(text)
}

async fn verifier(source: JwksSource, every: Duration, at_most_every: Duration) -> Verifier {
    let jwks = Jwks::open_with(source, Refresh { every, at_most_every }).await.unwrap();
    let anchors = vec![anchor(AnchorKeys::Published(jwks))];
    Verifier::new(anchors, 30, Clock::default(), TenantId::from_uuid(DEFAULT_TENANT))
}

const NEVER: Duration = Duration::from_hours(1);
const OFTEN: Duration = Duration::from_millis(20);

const UNKNOWN_KEY: Denied = Denied::InvalidToken(TokenFault::UnknownKey);

#[actix_web::test]
async fn a_new_key_is_found_and_an_old_one_no_longer_trusted() {
    let (old, new) = (Issuer::ed25519("old"), Issuer::p256("new"));
    let publisher = Publisher::start(&key_set(&[&old]));
    let verifier = verifier(JwksSource::Url(publisher.url.clone()), NEVER, OFTEN).await;
    let (old_token, new_token) = (old.sign(&claims(Utc::now())), new.sign(&claims(Utc::now())));
    verifier.verify(&old_token).await.unwrap();

    publisher.publish(StatusCode::OK, &key_set(&[&old, &new]));
    tokio::time::sleep(OFTEN).await;
    verifier.verify(&new_token).await.unwrap();
    verifier.verify(&old_token).await.unwrap();

    publisher.publish(StatusCode::OK, &key_set(&[&new]));
    tokio::time::sleep(OFTEN).await;
    let stranger = Issuer::ed25519("stranger").sign(&claims(Utc::now()));
    assert_eq!(verifier.verify(&stranger).await.unwrap_err(), UNKNOWN_KEY, "and so the keys were read again");
    assert_eq!(verifier.verify(&old_token).await.unwrap_err(), UNKNOWN_KEY, "though it was remembered as good");
    verifier.verify(&new_token).await.unwrap();
}

#[actix_web::test]
async fn keys_are_read_again_in_the_background() {
    let (old, new) = (Issuer::ed25519("same"), Issuer::ed25519("same"));
    let publisher = Publisher::start(&key_set(&[&old]));
    let verifier = verifier(JwksSource::Url(publisher.url.clone()), OFTEN, NEVER).await;
    let token = old.sign(&claims(Utc::now()));
    verifier.verify(&token).await.unwrap();
    publisher.publish(StatusCode::OK, &key_set(&[&new]));
    let mut refused = None;
    for _ in 0..250 {
        tokio::time::sleep(OFTEN).await;
        refused = verifier.verify(&token).await.err();
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(refused, Some(Denied::InvalidToken(TokenFault::Signature)));
    verifier.verify(&new.sign(&claims(Utc::now()))).await.unwrap();
}

#[actix_web::test]
async fn known_keys_stay_in_use_while_the_source_is_down_or_talks_nonsense() {
    let issuer = Issuer::ed25519("a");
    let publisher = Publisher::start(&key_set(&[&issuer]));
    let verifier = verifier(JwksSource::Url(publisher.url.clone()), NEVER, Duration::ZERO).await;
    let stranger = Issuer::ed25519("stranger");
    for (status, text) in [
        (StatusCode::INTERNAL_SERVER_ERROR, "{\"keys\": []}".to_owned()),
        (StatusCode::FOUND, key_set(&[&stranger]).to_string()),
        (StatusCode::OK, "<html>".to_owned()),
        (StatusCode::OK, format!("{{\"keys\": [], \"x\": \"{}\"}}", "x".repeat(300_000))),
        (StatusCode::OK, format!("{{\"keys\": [{}{{}}]}}", "{},".repeat(200))),
    ] {
        publisher.publish(status, &text);
        let before = publisher.asked();
        assert_eq!(verifier.verify(&stranger.sign(&claims(Utc::now()))).await.unwrap_err(), UNKNOWN_KEY);
        assert_eq!(publisher.asked(), before + 1, "asked once, redirects not followed");
        verifier.verify(&issuer.sign(&claims(Utc::now()))).await.unwrap();
    }
}

#[actix_web::test]
async fn tokens_of_unknown_keys_do_not_make_the_service_a_flood() {
    let publisher = Publisher::start(&key_set(&[&Issuer::ed25519("a")]));
    let verifier = verifier(JwksSource::Url(publisher.url.clone()), NEVER, NEVER).await;
    let stranger = Issuer::ed25519("stranger");
    let tokens: Vec<_> = (0..50)
        .map(|n| {
            let mut said = claims(Utc::now());
            said["jti"] = Value::from(n.to_string());
            stranger.sign(&said)
        })
        .collect();
    let verified = futures::future::join_all(tokens.iter().map(|token| verifier.verify(token))).await;
    assert!(verified.iter().all(|verified| verified.as_ref().err() == Some(&UNKNOWN_KEY)));
    assert_eq!(publisher.asked(), 1, "at the start and not since");
}

#[actix_web::test]
async fn without_any_key_tokens_are_answered_with_unavailable_until_there_is_one() {
    let issuer = Issuer::ed25519("a");
    let publisher = Publisher::start(&key_set(&[&issuer]));
    publisher.publish(StatusCode::SERVICE_UNAVAILABLE, &"");
    let verifier = verifier(JwksSource::Url(publisher.url.clone()), NEVER, OFTEN).await;
    let token = issuer.sign(&claims(Utc::now()));
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Denied::KeysUnavailable);
    publisher.publish(StatusCode::OK, &key_set(&[&issuer]));
    tokio::time::sleep(OFTEN).await;
    verifier.verify(&token).await.unwrap();
}

#[actix_web::test]
async fn a_file_is_read_again_when_it_changes_and_must_be_there_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let refresh = Refresh { every: OFTEN, at_most_every: OFTEN };
    let missing = Jwks::open_with(JwksSource::File(path.clone()), refresh).await;
    assert!(matches!(missing, Err(JwksError::File(_))));
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(Jwks::open(JwksSource::File(path.clone())).await, Err(JwksError::KeySet(_))));

    let (old, new) = (Issuer::ed25519("old"), Issuer::ed25519("new"));
    std::fs::write(&path, key_set(&[&old]).to_string()).unwrap();
    let verifier = verifier(JwksSource::File(path.clone()), NEVER, OFTEN).await;
    verifier.verify(&old.sign(&claims(Utc::now()))).await.unwrap();
    std::fs::write(&path, key_set(&[&new]).to_string()).unwrap();
    tokio::time::sleep(OFTEN).await;
    verifier.verify(&new.sign(&claims(Utc::now()))).await.unwrap();
}
