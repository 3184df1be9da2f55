//! Tokens that are accepted, and until when.

use chrono::{TimeDelta, Utc};
use serde_json::json;

use super::issuer::{DEFAULT_TENANT, Issuer, TENANT, claims, key_set, verifier, verifier_at};
use crate::identity::Role;
use crate::identity::denied::{Denied, TokenFault};

#[tokio::test]
async fn the_three_algorithms_are_accepted() {
    let issuers = [Issuer::ed25519("ed"), Issuer::rsa("rsa"), Issuer::p256("p256")];
    let verifier = verifier(&key_set(&issuers.iter().collect::<Vec<_>>()));
    for issuer in &issuers {
        let now = Utc::now();
        let token = verifier.verify(&issuer.sign(&claims(now))).await.unwrap();
        assert_eq!((token.role, token.tenant.as_uuid()), (Role::Admin, TENANT), "{}", issuer.kid);
        assert_eq!(token.subject, "0190a0a0-0000-7000-8000-000000000007");
        assert_eq!(token.id.as_deref(), Some("t-1"));
        assert_eq!(token.expires_at.timestamp(), now.timestamp() + 600);
    }
}

#[tokio::test]
async fn a_token_without_key_id_is_accepted_where_one_key_fits() {
    let (ed, other, rsa) = (Issuer::ed25519("a"), Issuer::ed25519("b"), Issuer::rsa("c"));
    let token = ed.sign_as(None, &claims(Utc::now()));
    verifier(&key_set(&[&ed, &rsa])).verify(&token).await.unwrap();
    let denied = verifier(&key_set(&[&ed, &other])).verify(&token).await.unwrap_err();
    assert_eq!(denied, Denied::InvalidToken(TokenFault::UnknownKey));
}

#[tokio::test]
async fn several_audiences_and_fractions_of_seconds_are_fine() {
    let issuer = Issuer::ed25519("a");
    let now = Utc::now().timestamp();
    let mut said = claims(Utc::now());
    said["aud"] = json!(["other", super::issuer::AUDIENCE]);
    said["exp"] = json!(f64::from(i32::try_from(now).unwrap()) + 60.5);
    let token = verifier(&key_set(&[&issuer])).verify(&issuer.sign(&said)).await.unwrap();
    assert_eq!(token.expires_at.timestamp(), now + 60);
}

#[tokio::test]
async fn roles_of_an_msp_may_leave_the_tenant_out() {
    let issuer = Issuer::ed25519("a");
    let verifier = verifier(&key_set(&[&issuer]));
    for role in Role::ALL {
        let mut said = claims(Utc::now());
        said["role"] = json!(role.as_str());
        said.as_object_mut().unwrap().remove("tenant");
        let answer = verifier.verify(&issuer.sign(&said)).await;
        match role {
            Role::MspAdmin | Role::Support | Role::Billing => {
                assert_eq!(answer.unwrap().tenant.as_uuid(), DEFAULT_TENANT, "{role}");
            }
            _ => assert_eq!(answer.unwrap_err(), Denied::InvalidToken(TokenFault::Claims), "{role}"),
        }
    }
}

#[tokio::test]
async fn groups_are_whatever_the_issuer_says_within_bounds() {
    let issuer = Issuer::ed25519("a");
    let verifier = verifier(&key_set(&[&issuer]));
    let with = async |groups: serde_json::Value| {
        let mut said = claims(Utc::now());
        said["groups"] = groups;
        let token = verifier.verify(&issuer.sign(&said)).await?;
        Ok(token.groups.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(verifier.verify(&issuer.sign(&claims(Utc::now()))).await.unwrap().groups.iter().count(), 0);
    for groups in [json!([]), json!(null)] {
        assert_eq!(with(groups).await, Ok(none.clone()));
    }
    assert_eq!(with(json!(["b", "a", "b"])).await, Ok(vec!["a".to_owned(), "b".to_owned()]));
    let many: Vec<_> = (0..257).map(|number| number.to_string()).collect();
    assert_eq!(with(json!(many[..256])).await.map(|groups| groups.len()), Ok(256));
    for wrong in [json!("a"), json!([7]), json!([""]), json!(["a\n"]), json!({ "a": 1 }), json!(many)] {
        assert_eq!(with(wrong.clone()).await, Err(Denied::InvalidToken(TokenFault::Claims)), "{wrong}");
    }
}

#[tokio::test]
async fn times_are_judged_by_the_services_clock() {
    let issuer = Issuer::ed25519("a");
    let keys = key_set(&[&issuer]);
    for days in [31, -226] {
        let offset = TimeDelta::days(days);
        let then = issuer.sign(&claims(Utc::now() + offset));
        let now = issuer.sign(&claims(Utc::now()));
        verifier_at(&keys, offset).verify(&then).await.unwrap();
        let fault = if days > 0 { TokenFault::Expired } else { TokenFault::NotYetValid };
        assert_eq!(verifier_at(&keys, offset).verify(&now).await.unwrap_err(), Denied::InvalidToken(fault));
        assert!(verifier(&keys).verify(&then).await.is_err());
    }
}

#[tokio::test]
async fn another_clock_may_differ_by_the_leeway_and_no_more() {
    let issuer = Issuer::ed25519("a");
    let verifier = verifier(&key_set(&[&issuer]));
    let now = Utc::now().timestamp();
    for (claim, seconds, fault) in [
        ("exp", -25, None),
        ("exp", -31, Some(TokenFault::Expired)),
        ("nbf", 25, None),
        ("nbf", 40, Some(TokenFault::NotYetValid)),
        ("iat", 25, None),
        ("iat", 40, Some(TokenFault::NotYetValid)),
    ] {
        let mut said = claims(Utc::now() - TimeDelta::seconds(60));
        said[claim] = json!(now + seconds);
        let answer = verifier.verify(&issuer.sign(&said)).await;
        assert_eq!(answer.err(), fault.map(Denied::InvalidToken), "{claim} {seconds} s from now");
    }
}

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let issuer = Issuer::ed25519("a");
    let verifier = verifier(&key_set(&[&issuer]));
    let mut said = claims(Utc::now() - TimeDelta::seconds(60));
    // 30 s of leeway leave it one or two seconds.
    said["exp"] = json!(Utc::now().timestamp() - 28);
    let token = issuer.sign(&said);
    verifier.verify(&token).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Denied::InvalidToken(TokenFault::Expired));
}
