//! Layers, mistakes and what production mode refuses.

use std::collections::HashSet;
use std::path::Path;

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use tenure_event_log::EngineConfig;

use super::layers::SETTINGS;
use super::{Config, ConfigError, DEFAULT_FILE, JwksSource, Mode};

fn read(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenure.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(file.map(|_| path.as_path()), variables)
}

fn mistake(file: Option<&str>, variables: &[(&str, &str)]) -> String {
    let line = read(file, variables).expect_err("a mistake").to_string();
    assert!(!line.contains(['\n', '\r', '\0', '\u{1b}']), "one plain line: {line:?}");
    line
}

const JWT: [(&str, &str); 3] = [
    ("TENURE_JWT_JWKS", "https://id.example.com/jwks.json"),
    ("TENURE_JWT_ISSUER", "https://id.example.com/"),
    ("TENURE_JWT_AUDIENCE", "tenure"),
];

fn production(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let data_dir = ("TENURE_DATA_DIR", "/nonexistent/tenure");
    [&[("TENURE_MODE", "production"), data_dir], &JWT[..], more].concat()
}

#[test]
fn without_anything_the_embedded_engine_runs_in_development_mode() {
    let config = read(None, &[]).unwrap();
    assert_eq!(config.mode, Mode::Development);
    assert_eq!(config.listen.to_string(), "127.0.0.1:7101");
    assert!(matches!(&config.engine, EngineConfig::Sqlite { directory } if directory == Path::new("./data")));
    assert_eq!(config.default_msp().id.to_string(), "01900000-0000-7000-8000-000000000001");
    assert_eq!(config.development_key_path(), Path::new("./data/development.key"));
    assert!(config.jwt.is_none() && config.tls.is_none() && config.smtp_url.is_none());
}

#[test]
fn every_setting_stands_in_the_default_file_with_its_variable_working() {
    for (key, _) in SETTINGS {
        let set = DEFAULT_FILE.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
        assert!(set, "{key} is explained in default.toml");
        let name = format!("TENURE_{}", key.to_ascii_uppercase());
        assert!(!matches!(read(None, &[(&name, "x")]), Err(ConfigError::Unknown { .. })), "{name} is known");
    }
    let keys: HashSet<_> = SETTINGS.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), SETTINGS.len());
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = "listen = \"127.0.0.1:1\"\nbody_limit_bytes = 2048\nrelease_short_codes = true\n";
    let config = read(Some(file), &[("TENURE_LISTEN", "[::1]:2"), ("UNRELATED", "x"), ("TENURE_LOG", "")]).unwrap();
    assert_eq!(config.listen.to_string(), "[::1]:2");
    assert_eq!(config.body_limit_bytes, 2048);
    assert!(config.release_short_codes);
    assert_eq!(config.log, "info", "an empty variable is not set");
    let lines: Vec<_> = config.effective().iter().map(ToString::to_string).collect();
    let line = |key: &str| lines.iter().find(|line| line.starts_with(key)).unwrap().clone();
    assert_eq!(line("listen"), "listen = \"[::1]:2\"  # environment variable TENURE_LISTEN");
    assert!(line("body_limit_bytes").contains("# file "));
    assert_eq!(line("retention_days"), "retention_days = \"30\"  # built-in default");
    assert_eq!(line("# dns_server"), "# dns_server is not set");
}

#[test]
fn a_bad_value_is_one_line_with_key_value_origin_and_what_is_allowed() {
    for (name, value) in [
        ("TENURE_MODE", "prod"),
        ("TENURE_LISTEN", "localhost"),
        ("TENURE_METRICS_LISTEN", "7102"),
        ("TENURE_DATABASE_CONNECTIONS", "1"),
        ("TENURE_LOG", "info,=x=y"),
        ("TENURE_LOG_FORMAT", "xml"),
        ("TENURE_OTLP_ENDPOINT", "127.0.0.1:4318"),
        ("TENURE_OTLP_ENDPOINT", "http://user:word@127.0.0.1:4318"),
        ("TENURE_OTLP_SAMPLING_RATIO", "1.01"),
        ("TENURE_OTLP_SAMPLING_RATIO", "NaN"),
        ("TENURE_CLOCK_OFFSET", "31"),
        ("TENURE_CLOCK_OFFSET", "99999d"),
        ("TENURE_JWT_LEEWAY_SECONDS", "-1"),
        ("TENURE_RETENTION_DAYS", "3651"),
        ("TENURE_RELEASE_SHORT_CODES", "yes"),
        ("TENURE_BODY_LIMIT_BYTES", "1e3"),
        ("TENURE_VIEW_WAIT_MS", "2s"),
        ("TENURE_TOKEN_REQUESTS_PER_MINUTE", "many"),
        ("TENURE_TOKEN_BURST", "0"),
        ("TENURE_SHUTDOWN_SECONDS", "601"),
        ("TENURE_DRAIN_SECONDS", "301"),
        ("TENURE_KAFKA_BROKERS", "a:9092,b"),
        ("TENURE_DNS_SERVER", "1.1.1.1"),
        ("TENURE_JWT_JWKS", "http://id.example.com/jwks"),
        ("TENURE_JWT_JWKS", "http://127.0.0.1.example.com/jwks"),
        ("TENURE_JWT_JWKS", "https://user:word@id.example.com/jwks"),
        ("TENURE_JWT_JWKS", "ftp://localhost/jwks"),
        ("TENURE_LISTEN", "two\nlines\u{1b}[31m"),
    ] {
        let line = mistake(None, &[(name, value)]);
        let key = name.trim_start_matches("TENURE_").to_lowercase();
        assert!(line.starts_with(&format!("setting {key} = \"")), "{line}");
        assert!(line.contains(&format!("environment variable {name}")) && line.contains("must be"), "{line}");
    }
    let line = mistake(Some("retention_days = [1,\n 2]"), &[]);
    assert!(line.contains("retention_days") && line.contains("tenure.toml"), "{line}");
}

#[test]
fn a_tokens_limit_is_what_its_clients_expect_unless_set() {
    let config = read(None, &[]).unwrap();
    assert_eq!((config.token_requests_per_minute, config.token_burst.get()), (120, 1_200));
    let variables = [("TENURE_TOKEN_REQUESTS_PER_MINUTE", "0"), ("TENURE_TOKEN_BURST", "7")];
    let config = read(None, &variables).unwrap();
    assert_eq!((config.token_requests_per_minute, config.token_burst.get()), (0, 7));
}

#[test]
fn unknown_settings_are_refused_with_the_nearest_name() {
    assert!(mistake(Some("lisen = \"x\""), &[]).ends_with("did you mean listen?"));
    let line = mistake(None, &[("TENURE_RETENTION_DAY", "30")]);
    assert!(line.contains("TENURE_RETENTION_DAY") && line.ends_with("did you mean retention_days?"), "{line}");
    assert!(mistake(Some("[server]\nport = 1"), &[]).contains("unknown setting server"));
    assert!(mistake(Some("[[msp]]\nname = \"x\""), &[]).contains("unknown setting msp[0].name"));
    read(None, &[("TENURE_PORT", "tcp://10.0.0.1:7101"), ("TENURE_SERVICE_HOST", "10.0.0.1")]).unwrap();
    read(None, &[("TENURE_URL", "http://10.0.0.1:7101"), ("TENURE_TOKEN", "nbp_")]).unwrap();
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_one_line() {
    let missing = Config::read(Some(Path::new("/nonexistent/tenure.toml")), []).unwrap_err().to_string();
    assert!(missing.contains("/nonexistent/tenure.toml") && !missing.contains('\n'), "{missing}");
    let line = mistake(Some("mode = \"production\"\nlisten = \n"), &[]);
    assert!(line.contains("line 2"), "{line}");
}

#[test]
fn passwords_are_never_shown() {
    for url in [
        "postgres://tenure:s3cret@db/tenure",
        "postgres://db/tenure?user=x&password=s3cret",
        "postgres://tenure:s3cret@db:5432,other:5433/tenure?target_session_attrs=read-write",
    ] {
        let config = read(None, &[("TENURE_DATABASE_URL", url), ("TENURE_SMTP_URL", "smtp://me:s3cret@mail")]).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        assert!(config.effective().iter().all(|setting| !setting.to_string().contains("s3cret")));
        assert!(config.effective().iter().all(|setting| !setting.to_string().contains("admin@msp.example")));
        assert!(matches!(&config.engine, EngineConfig::Postgres { url: kept, .. } if kept.expose_secret() == url));
    }
    assert!(!mistake(None, &[("TENURE_DATABASE_URL", "mysql://me:s3cret@db")]).contains("s3cret"));
    assert!(!mistake(Some("database_url = [\"s3cret\"]"), &[]).contains("s3cret"));
}

#[test]
fn a_secret_may_come_from_a_file_that_the_environment_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("url");
    std::fs::write(&path, "postgres://tenure:s3cret@db/tenure\n").unwrap();
    let file = ("TENURE_DATABASE_URL_FILE", path.to_str().unwrap());
    let config = read(None, &[file]).unwrap();
    assert!(matches!(&config.engine, EngineConfig::Postgres { url, .. } if url.expose_secret().ends_with("/tenure")));
    assert!(mistake(None, &[file, ("TENURE_DATABASE_URL", "sqlite://x")]).contains("sets it too"));
    assert!(mistake(None, &[("TENURE_SMTP_URL_FILE", "/nonexistent/x")]).contains("/nonexistent/x"));
    assert!(mistake(None, &[("TENURE_LISTEN_FILE", "/x")]).contains("unknown setting"));
}

#[test]
fn settings_that_belong_together_are_given_together() {
    assert!(mistake(None, &[("TENURE_TLS_CERT", "a.pem")]).contains("tls_key is missing"));
    assert!(mistake(None, &[("TENURE_TLS_KEY", "a.pem")]).contains("tls_cert is missing"));
    for left_out in 0..3 {
        let mut given = JWT.to_vec();
        let (name, _) = given.remove(left_out);
        let key = name.trim_start_matches("TENURE_").to_lowercase();
        assert!(mistake(None, &given).contains(&format!("{key} is missing")));
    }
    let jwt = read(None, &JWT).unwrap().jwt.unwrap();
    assert!(matches!(jwt.jwks, JwksSource::Url(_)));
    let local = read(None, &[("TENURE_JWT_JWKS", "http://[::1]:8080/jwks"), JWT[1], JWT[2]]).unwrap().jwt.unwrap();
    assert!(matches!(local.jwks, JwksSource::Url(_)));
}

#[test]
fn spans_go_where_the_standard_variable_says_unless_ours_says_otherwise() {
    let standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let endpoint = |variables: &[(&str, &str)]| {
        read(None, variables).unwrap().otlp.map(|otlp| (otlp.endpoint.to_string(), otlp.sampling_ratio))
    };
    assert_eq!(endpoint(&[]), None);
    assert_eq!(endpoint(&[standard]), Some(("http://collector:4318/".to_owned(), 0.1)));
    let ours = [standard, ("TENURE_OTLP_ENDPOINT", "https://ours/otlp"), ("TENURE_OTLP_SAMPLING_RATIO", "1")];
    assert_eq!(endpoint(&ours), Some(("https://ours/otlp".to_owned(), 1.0)));
    assert!(mistake(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]).contains("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let file = read(Some("otlp_sampling_ratio = 0.5\notlp_endpoint = \"http://a\""), &[]).unwrap();
    assert_eq!(file.otlp.map(|otlp| otlp.sampling_ratio), Some(0.5));
}

#[test]
fn production_mode_refuses_what_is_only_for_development() {
    assert_eq!(read(None, &production(&[])).unwrap().mode, Mode::Production);
    assert!(mistake(None, &[("TENURE_MODE", "production")]).contains("does not trust the development key"));
    assert!(mistake(None, &production(&[("TENURE_CLOCK_OFFSET", "1s")])).contains("clock_offset"));
    assert!(mistake(None, &production(&[("TENURE_VIEWS_AHEAD", "1")])).contains("views_ahead"));
    let line = mistake(Some("database_url = \"postgres://tenure:s3cret@db/tenure\""), &production(&[]));
    assert!(line.contains("database_url") && !line.contains("s3cret"), "{line}");
    read(Some("database_url = \"postgres://tenure@db/tenure\""), &production(&[])).unwrap();
    read(None, &production(&[("TENURE_DATABASE_URL", "postgres://tenure:s3cret@db/tenure")])).unwrap();

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("development.key"), "").unwrap();
    let mut variables = production(&[]);
    variables.retain(|(name, _)| *name != "TENURE_DATA_DIR");
    variables.push(("TENURE_DATA_DIR", directory.path().to_str().unwrap()));
    assert!(mistake(None, &variables).contains("development.key"));
}

#[test]
fn the_clock_runs_at_the_offset() {
    let config = read(None, &[("TENURE_CLOCK_OFFSET", "-226d")]).unwrap();
    assert_eq!(config.clock().offset(), TimeDelta::days(-226));
}

#[test]
fn msps_are_read_whole_or_not_at_all() {
    let one = "[[msp]]\nshort_code = \"North\"\ndisplay_name = \"North\"\nadmin_email = \"a@north.example\"\n";
    let msps = read(Some(one), &[]).unwrap().msps;
    let again = read(Some(one), &[]).unwrap().msps;
    assert_eq!((msps.len(), msps[0].short_code.as_str()), (1, "north"), "the file's list replaces the default one");
    assert_eq!(msps[0].id, again[0].id, "an id that is left out is always the same");
    assert!(mistake(Some(&format!("{one}{one}")), &[]).contains("msp[1]"));
    assert!(mistake(Some("msp = []"), &[]).contains("at least one MSP"));
    assert!(mistake(Some("msp = 1"), &[]).contains("[[msp]]"));
    let line = mistake(Some(&one.replace("a@north.example", "somebody north")), &[]);
    assert!(line.contains("msp[0].admin_email") && !line.contains("somebody"), "{line}");
    assert!(mistake(Some(&one.replace("North", "-")), &[]).contains("msp[0].short_code"));
    assert!(mistake(Some(&format!("{one}id = \"7\"")), &[]).contains("msp[0].id"));
}

const KAFKA: (&str, &str) = ("TENURE_KAFKA_BROKERS", "one.example:9092, two.example:9093");

#[test]
fn without_brokers_nothing_is_exported_and_with_them_the_defaults_do() {
    assert!(read(None, &[]).unwrap().export.is_none());
    let export = read(None, &[KAFKA]).unwrap().export.unwrap();
    assert_eq!(export.brokers, ["one.example:9092", "two.example:9093"]);
    let names = [export.topic.as_str(), &export.progress_topic, &export.transactional_id(), &export.source()];
    let expected = ["tenure.billing.v1", "tenure.billing.progress.v1", "tenure-billing-main", "urn:tenure:cell:main"];
    assert_eq!(names, expected);
    assert_eq!((export.partitions, export.replication, export.retention_ms), (6, 1, -1));
    let ours = [KAFKA, ("TENURE_CELL", "north-1"), ("TENURE_PUBLIC_URL", "https://tenure.example/")];
    let export = read(None, &ours).unwrap().export.unwrap();
    assert_eq!(
        (export.source().as_str(), export.public_url.as_str()),
        ("urn:tenure:cell:north-1", "https://tenure.example")
    );
}

#[test]
fn settings_of_the_export_are_checked_also_before_there_are_brokers() {
    for (name, value) in [
        ("TENURE_CELL", "north 1"),
        ("TENURE_PUBLIC_URL", "tenure.example"),
        ("TENURE_PUBLIC_URL", "https://user:word@tenure.example"),
        ("TENURE_KAFKA_TOPIC", "billing events"),
        ("TENURE_KAFKA_PROGRESS_TOPIC", ".."),
        ("TENURE_KAFKA_PARTITIONS", "0"),
        ("TENURE_KAFKA_REPLICATION", "16"),
        ("TENURE_KAFKA_RETENTION_MS", "0"),
        ("TENURE_KAFKA_SECURITY_PROTOCOL", "tls"),
        ("TENURE_KAFKA_SASL_MECHANISM", "GSSAPI"),
    ] {
        let key = name.trim_start_matches("TENURE_").to_lowercase();
        let line = mistake(None, &[(name, value)]);
        assert!(line.starts_with(&format!("setting {key} = ")) && line.contains("must be"), "{line}");
    }
    assert!(mistake(None, &[("TENURE_KAFKA_PROGRESS_TOPIC", "tenure.billing.v1")]).contains("billing topic's name"));
    assert!(mistake(None, &[("TENURE_KAFKA_MIN_INSYNC_REPLICAS", "2")]).contains("there are 1 copies"));
}

#[test]
fn production_mode_keeps_three_copies_and_waits_for_two() {
    let with = |more: &[(&'static str, &'static str)]| production(&[&[KAFKA], more].concat());
    assert!(mistake(None, &with(&[])).contains("kafka_replication"));
    assert!(mistake(None, &with(&[("TENURE_KAFKA_REPLICATION", "2")])).contains("at least 3 copies"));
    let three = ("TENURE_KAFKA_REPLICATION", "3");
    assert!(mistake(None, &with(&[three])).contains("kafka_min_insync_replicas"));
    let safe = [three, ("TENURE_KAFKA_MIN_INSYNC_REPLICAS", "2")];
    assert_eq!(read(None, &with(&safe)).unwrap().export.unwrap().replication, 3);
    let login = [("TENURE_KAFKA_SECURITY_PROTOCOL", "sasl_ssl"), ("TENURE_KAFKA_SASL_MECHANISM", "PLAIN")];
    let login = [&safe[..], &login, &[("TENURE_KAFKA_SASL_USERNAME", "tenure")]].concat();
    let line = mistake(Some("kafka_sasl_password = \"s3cret\""), &with(&login));
    assert!(line.contains("TENURE_KAFKA_SASL_PASSWORD_FILE") && !line.contains("s3cret"), "{line}");
    read(None, &with(&[&login[..], &[("TENURE_KAFKA_SASL_PASSWORD", "s3cret")]].concat())).unwrap();
}

#[test]
fn a_login_to_the_brokers_is_given_whole() {
    let all = [
        ("TENURE_KAFKA_SECURITY_PROTOCOL", "sasl_ssl"),
        ("TENURE_KAFKA_SASL_MECHANISM", "scram-sha-512"),
        ("TENURE_KAFKA_SASL_USERNAME", "tenure"),
        ("TENURE_KAFKA_SASL_PASSWORD", "s3cret"),
    ];
    let security = read(None, &[&[KAFKA], &all[..]].concat()).unwrap().export.unwrap().security;
    assert_eq!(
        (security.protocol.as_deref(), security.mechanism.as_deref()),
        (Some("sasl_ssl"), Some("SCRAM-SHA-512"))
    );
    for left_out in 0..all.len() {
        let mut given = all.to_vec();
        let (name, _) = given.remove(left_out);
        let key = name.trim_start_matches("TENURE_").to_lowercase();
        let line = mistake(None, &given);
        assert!(line.contains(&format!("{key} is missing")) && !line.contains("s3cret"), "{line}");
    }
    let tls = [KAFKA, ("TENURE_KAFKA_SECURITY_PROTOCOL", "ssl")];
    read(None, &tls).unwrap();
    let config = read(None, &[&[KAFKA], &all[..]].concat()).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
    let shown: Vec<_> = config.effective().iter().map(ToString::to_string).collect();
    assert!(shown.iter().any(|line| line.starts_with("kafka_sasl_password = \"***\"")), "{shown:?}");
    assert!(!shown.concat().contains("s3cret"));
}

#[test]
fn properties_of_librdkafka_pass_through_but_those_that_delivery_stands_on() {
    let file =
        "[kafka.properties]\n\"compression.type\" = \"lz4\"\n\"linger.ms\" = 20\n\"log.connection.close\" = false\n";
    let config = read(Some(file), &[KAFKA]).unwrap();
    let properties = &config.export.as_ref().unwrap().properties;
    let set = |name: &str| properties.get(name).map(String::as_str);
    assert_eq!(
        [set("compression.type"), set("linger.ms"), set("log.connection.close")],
        [Some("lz4"), Some("20"), Some("false")]
    );
    for reserved in
        ["transactional.id", "acks", "enable.idempotence", "isolation.level", "partitioner", "sasl.password"]
    {
        let line = mistake(Some(&format!("[kafka.properties]\n\"{reserved}\" = \"x\"")), &[]);
        assert!(line.contains(&format!("kafka.properties.{reserved}")) && line.contains("sets it itself"), "{line}");
    }
    let wrong = |property: &str| mistake(Some(&format!("[kafka.properties]\n{property}")), &[KAFKA]);
    assert!(wrong("\"no.such.property\" = 1").contains("no.such.property"));
    assert!(wrong("\"linger.ms\" = \"soon\"").contains("linger.ms"));
    assert!(wrong("\"linger.ms\" = [1]").contains("must be a string, a number or a boolean"));
    assert!(!wrong("\"ssl.key.password\" = [\"s3cret\"]").contains("s3cret"));
    assert!(mistake(Some("[kafka]\nbrokers = 1"), &[]).contains("unknown setting kafka.brokers"));
    let secret = "[kafka.properties]\n\"ssl.key.password\" = \"s3cret\"\n\"client.rack\" = \"b\"\n";
    let shown: Vec<_> = read(Some(secret), &[]).unwrap().effective().iter().map(ToString::to_string).collect();
    assert!(!shown.concat().contains("s3cret") && shown.concat().contains("client.rack"), "{shown:?}");
}
