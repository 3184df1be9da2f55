//! TLS when a certificate is configured.

use crate::service::{Answer, Engine, Service, Storage};

#[tokio::test]
async fn a_configured_certificate_is_what_clients_see() {
    let storage = Storage::new(Engine::Sqlite).await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (storage.directory.path().join("tls.crt"), storage.directory.path().join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.key_pair.serialize_pem()).unwrap();
    let settings = [("TENURE_TLS_CERT", certificate.to_str().unwrap()), ("TENURE_TLS_KEY", key.to_str().unwrap())];
    let service = Service::start_with(storage, &settings);
    assert!(service.url.starts_with("https://"));

    // A client that trusts this certificate and no other.
    let trusted = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_built_in_root_certs(false)
        .add_root_certificate(trusted)
        .build()
        .unwrap();
    let ping = format!("{}/api/v1/system/health/ping", service.url);
    assert_eq!(Answer::of(client.get(&ping)).await.expect(200)["status"], "ok");
    let stranger = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(stranger.get(&ping).send().await.is_err(), "nobody else's certificate is shown");
    let plain = ping.replace("https://", "http://");
    assert!(stranger.get(&plain).send().await.is_err(), "no plain HTTP beside it");
}
