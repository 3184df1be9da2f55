//! The master key's file, and the names that are derived from it.

use std::os::unix::fs::PermissionsExt;
use std::{fs, thread};

use tenure_event_log::{MasterKey, MasterKeyError};

use crate::bench::Bench;

#[test]
fn a_master_key_is_made_once_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys/master.key");
    let makers: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn({
                let path = path.clone();
                move || MasterKey::load_or_create(&path).unwrap().fingerprint()
            })
        })
        .collect();
    let fingerprints: Vec<String> = makers.into_iter().map(|maker| maker.join().unwrap()).collect();
    let fingerprint = MasterKey::load(&path).unwrap().fingerprint();
    assert!(fingerprints.iter().all(|other| *other == fingerprint), "all got the same");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(&path).unwrap().len(), 32);
    assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1, "nothing else is left there");
}

#[test]
fn a_master_key_that_is_open_to_others_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    MasterKey::load_or_create(&path).unwrap();
    for mode in [0o604, 0o620, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = MasterKey::load_or_create(&path).unwrap_err();
        assert!(matches!(refused, MasterKeyError::TooOpen { mode: found, .. } if found == mode), "{refused}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    MasterKey::load(&path).unwrap();
}

#[test]
fn a_master_key_of_another_length_is_refused_and_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    for length in [0, 31, 33, 100] {
        fs::write(&path, vec![7; length]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let refused = MasterKey::load_or_create(&path).unwrap_err();
        assert!(matches!(refused, MasterKeyError::WrongLength { .. }), "{refused}");
        assert_eq!(fs::read(&path).unwrap().len(), length);
    }
    assert!(matches!(MasterKey::load(&directory.path().join("absent")), Err(MasterKeyError::File { .. })));
}

#[test]
fn a_master_key_does_not_show_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    fs::write(&path, [0xAB; 32]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let key = MasterKey::load(&path).unwrap();
    assert_eq!(format!("{key:?}"), "MasterKey(..)");
    assert_ne!(key.fingerprint(), MasterKey::generate().fingerprint());
}

on_both_engines! {
    async fn a_blinded_value_is_the_same_each_time_and_different_in_each_scope(bench: &Bench) {
        let log = bench.log().await;
        let blinded = log.blind("administrator.email", "w@example.com");
        assert_eq!(blinded, log.blind("administrator.email", "w@example.com"));
        assert_ne!(blinded, log.blind("administrator.email", "v@example.com"));
        assert_ne!(blinded, log.blind("unit-user.email", "w@example.com"));
        assert_ne!(log.blind("a", "bc"), log.blind("ab", "c"));
        assert!(!blinded.contains("example"));
        log.shutdown().await;
        assert_eq!(blinded, bench.log().await.blind("administrator.email", "w@example.com"), "also after a restart");
        let other = Bench::sqlite().await.log().await;
        assert_ne!(blinded, other.blind("administrator.email", "w@example.com"), "another cell has other names");
    }
}
