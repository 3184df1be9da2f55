//! Tokens that are refused, and why. Whatever is sent, the answer is a fault and never a panic.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::issuer::{Issuer, claims, key_set, unsigned, verifier};
use crate::identity::denied::{Denied, TokenFault};
use crate::identity::development_key::{self, DevelopmentKey};
use crate::identity::keys::KeySet;

async fn fault(keys: &Value, token: &str) -> TokenFault {
    match verifier(keys).verify(token).await {
        Err(Denied::InvalidToken(fault)) => fault,
        other => panic!("{token} is refused for itself, not {other:?}"),
    }
}

#[tokio::test]
async fn claims_that_are_wrong_or_missing_are_refused() {
    let issuer = Issuer::ed25519("a");
    let keys = key_set(&[&issuer]);
    let cases = [
        ("iss", json!("https://evil.example.com/"), TokenFault::Issuer),
        ("iss", Value::Null, TokenFault::Issuer),
        ("iss", json!(["https://id.example.com/"]), TokenFault::Claims),
        ("aud", json!("other"), TokenFault::Audience),
        ("aud", json!([]), TokenFault::Audience),
        ("aud", Value::Null, TokenFault::Audience),
        ("exp", Value::Null, TokenFault::Claims),
        ("exp", json!("4102444800"), TokenFault::Claims),
        ("exp", json!(-1), TokenFault::Claims),
        ("exp", json!(1e300), TokenFault::Claims),
        ("exp", json!(u64::MAX), TokenFault::Claims),
        ("exp", json!(1), TokenFault::Claims),
        ("nbf", json!(4_102_444_800_i64), TokenFault::NotYetValid),
        ("iat", json!(true), TokenFault::Claims),
        ("role", json!("root"), TokenFault::Role),
        ("role", json!("MSP-ADMIN"), TokenFault::Role),
        ("role", Value::Null, TokenFault::Claims),
        ("tenant", json!("not-a-uuid"), TokenFault::Claims),
        ("tenant", json!(7), TokenFault::Claims),
        ("sub", Value::Null, TokenFault::Claims),
        ("sub", json!(""), TokenFault::Claims),
        ("sub", json!("a\nb"), TokenFault::Claims),
        ("sub", json!("\0"), TokenFault::Claims),
        ("sub", json!("x".repeat(256)), TokenFault::Claims),
        ("jti", json!("a\u{0}"), TokenFault::Claims),
    ];
    for (claim, value, expected) in cases {
        let mut said = claims(Utc::now());
        said[claim] = value.clone();
        assert_eq!(fault(&keys, &issuer.sign(&said)).await, expected, "{claim} = {value}");
    }
    assert_eq!(fault(&keys, &issuer.sign(&json!([1, 2]))).await, TokenFault::Claims);
    let expired = claims(Utc::now() - chrono::TimeDelta::days(1));
    assert_eq!(fault(&keys, &issuer.sign(&expired)).await, TokenFault::Expired);
}

#[tokio::test]
async fn a_token_that_is_not_signed_is_refused() {
    let keys = key_set(&[&Issuer::ed25519("a")]);
    for name in ["none", "None", "NONE", "nOnE", ""] {
        for kid in [json!("a"), Value::Null] {
            let message = unsigned(&json!({ "alg": name, "typ": "JWT", "kid": kid }), &claims(Utc::now()));
            assert_eq!(fault(&keys, &format!("{message}.")).await, TokenFault::Algorithm, "{name}");
            assert_eq!(fault(&keys, &format!("{message}.AAAA")).await, TokenFault::Algorithm, "{name}");
        }
    }
    let message = unsigned(&json!({ "alg": "EdDSA", "kid": "a" }), &claims(Utc::now()));
    assert_eq!(fault(&keys, &format!("{message}.")).await, TokenFault::Signature);
}

#[tokio::test]
async fn a_public_key_is_never_taken_for_a_shared_secret() {
    let issuers = [Issuer::ed25519("ed"), Issuer::rsa("rsa"), Issuer::p256("p256")];
    let keys = key_set(&issuers.iter().collect::<Vec<_>>());
    for issuer in &issuers {
        let jwk = issuer.jwk();
        let part = jwk.get("x").or_else(|| jwk.get("n")).unwrap().as_str().unwrap().to_owned();
        for secret in [URL_SAFE_NO_PAD.decode(&part).unwrap(), part.into_bytes(), jwk.to_string().into_bytes()] {
            let key = EncodingKey::from_secret(&secret);
            for (name, algorithm) in
                [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
            {
                let message = unsigned(&json!({ "alg": name, "kid": issuer.kid }), &claims(Utc::now()));
                let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
                assert_eq!(fault(&keys, &format!("{message}.{signature}")).await, TokenFault::Algorithm);
            }
        }
    }
}

#[tokio::test]
async fn a_key_verifies_no_other_algorithm_than_its_own() {
    let issuers = [Issuer::ed25519("ed"), Issuer::rsa("rsa"), Issuer::p256("p256")];
    let keys = key_set(&issuers.iter().collect::<Vec<_>>());
    for issuer in &issuers {
        for name in ["EdDSA", "RS256", "ES256", "RS384", "RS512", "PS256", "ES384", "ES256K"] {
            let header = json!({ "alg": name, "kid": issuer.kid });
            let token = issuer.sign_with_header(&header, &claims(Utc::now()));
            let verified = verifier(&keys).verify(&token).await;
            if name == format!("{:?}", issuer.algorithm) {
                verified.unwrap();
            } else {
                assert_eq!(verified.unwrap_err(), Denied::InvalidToken(TokenFault::Algorithm), "{name} {}", issuer.kid);
            }
        }
    }
    // A key whose own `alg` is not that of its type is not used at all.
    let mut jwk = issuers[1].jwk();
    jwk["alg"] = json!("PS256");
    let token = issuers[1].sign(&claims(Utc::now()));
    assert_eq!(fault(&json!({ "keys": [jwk] }), &token).await, TokenFault::UnknownKey);
}

#[tokio::test]
async fn a_token_brings_no_key_of_its_own() {
    let (trusted, evil) = (Issuer::ed25519("a"), Issuer::ed25519("a"));
    let header = json!({ "alg": "EdDSA", "kid": "a", "jwk": evil.jwk(), "jku": "https://evil.example.com/jwks" });
    let token = evil.sign_with_header(&header, &claims(Utc::now()));
    assert_eq!(fault(&key_set(&[&trusted]), &token).await, TokenFault::Signature);
    let unknown = Issuer::ed25519("b").sign(&claims(Utc::now()));
    assert_eq!(fault(&key_set(&[&trusted]), &unknown).await, TokenFault::UnknownKey);
}

#[tokio::test]
async fn forged_and_mangled_tokens_are_refused() {
    for issuer in [Issuer::ed25519("a"), Issuer::rsa("a"), Issuer::p256("a")] {
        let keys = key_set(&[&issuer]);
        let good = issuer.sign(&claims(Utc::now()));
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let header = signed.split_once('.').unwrap().0;
        let mut more = claims(Utc::now());
        more["role"] = json!("msp-admin");
        let forged = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(more.to_string()));
        assert_eq!(fault(&keys, &forged).await, TokenFault::Signature);
        let verifier = verifier(&keys);
        for end in (0..good.len()).step_by(3) {
            assert!(verifier.verify(&good[..end]).await.is_err(), "cut at {end}");
        }
        for mangled in [format!("{good}="), format!("{good}A"), format!("{good}.x"), good.replace('.', "..")] {
            assert!(verifier.verify(&mangled).await.is_err(), "{mangled}");
        }
    }
}

#[tokio::test]
async fn headers_that_change_what_a_token_means_are_refused() {
    let issuer = Issuer::ed25519("a");
    let keys = key_set(&[&issuer]);
    for (field, value) in [
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("typ", json!("logout+jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!(7)),
        ("alg", json!(["EdDSA"])),
    ] {
        let mut header = json!({ "alg": "EdDSA", "kid": "a" });
        header[field] = value;
        assert_eq!(fault(&keys, &issuer.sign_with_header(&header, &claims(Utc::now()))).await, TokenFault::Malformed);
    }
    let deep = URL_SAFE_NO_PAD.encode("[".repeat(5_000));
    let huge = format!("{}.{}.x", "A".repeat(5_000), "A".repeat(5_000));
    for garbage in ["", ".", "..", "a.b.c", "é.é.é", "\0.\0.\0", &format!("{deep}.e30.x"), &huge] {
        assert_eq!(fault(&keys, garbage).await, TokenFault::Malformed);
    }
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "EdDSA", "kid": "a" }).to_string());
    assert_eq!(fault(&keys, &format!("{header}.{deep}.x")).await, TokenFault::Signature);
}

#[tokio::test]
async fn weak_and_malformed_keys_are_left_out() {
    let good = Issuer::ed25519("good");
    let zeros = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0_u8; bytes]);
    let bad = [
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "bad", "x": zeros(31) }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "bad", "x": zeros(33) }),
        // A point of small order: it would verify signatures that nobody made.
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "bad", "x": zeros(32) }),
        json!({ "kty": "OKP", "crv": "X25519", "kid": "bad", "x": zeros(32) }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "bad", "x": zeros(32) }),
        json!({ "kty": "EC", "crv": "P-384", "kid": "bad", "x": zeros(48), "y": zeros(48) }),
        json!({ "kty": "RSA", "kid": "bad", "n": URL_SAFE_NO_PAD.encode([255; 128]), "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "bad", "n": URL_SAFE_NO_PAD.encode([255; 2_000]), "e": "AQAB" }),
        json!({ "kty": "oct", "kid": "bad", "k": "c2VjcmV0" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "bad", "x": good.jwk()["x"], "use": "enc" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "bad", "x": good.jwk()["x"], "key_ops": ["sign"] }),
        json!({ "kid": "bad" }),
        json!(7),
    ];
    for jwk in bad {
        let keys = KeySet::parse(json!({ "keys": [jwk, good.jwk()] }).to_string().as_bytes()).unwrap();
        assert_eq!(keys.named(Some("bad")).count(), 0, "{jwk}");
        assert_eq!(keys.named(Some("good")).count(), 1);
    }
    // Not on the curve: found out when it is used.
    let off = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "p", "x": zeros(32), "y": zeros(32) }] });
    let token = Issuer::p256("p").sign(&claims(Utc::now()));
    assert_eq!(fault(&off, &token).await, TokenFault::Signature);
    assert!(KeySet::parse(b"{}").is_err() && KeySet::parse(b"\xff").is_err());
}

#[tokio::test]
async fn a_development_key_signs_for_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let key = DevelopmentKey::load_or_create(&directory.path().join("development.key")).unwrap();
    let anchors = || crate::identity::development_anchor(&key).into_iter().collect::<Vec<_>>();
    let clock = tenure_event_log::Clock::default();
    let tenant = tenure_aggregates::TenantId::from_uuid(super::issuer::TENANT);
    let own = crate::identity::Verifier::new(anchors(), 30, clock, tenant);
    let mut said = claims(Utc::now());
    assert_eq!(own.verify(&key.sign_claims(&said)).await.unwrap_err(), Denied::InvalidToken(TokenFault::Issuer));
    said["iss"] = json!(development_key::ISSUER);
    said["aud"] = json!(development_key::AUDIENCE);
    own.verify(&key.sign_claims(&said)).await.unwrap();
    // Where only somebody else is trusted, it is as unknown as any key.
    let keys = key_set(&[&Issuer::ed25519("a")]);
    assert_eq!(fault(&keys, &key.sign_claims(&said)).await, TokenFault::UnknownKey);
}
