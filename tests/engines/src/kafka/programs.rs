//! Kafka's programs, as scripts/with-kafka names them to its command.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Java with Kafka's classes, to be given a class and its arguments. It runs in a directory, by which scripts/with-kafka
/// knows a broker again.
///
/// # Panics
///
/// When nothing says where the classes are.
pub(super) fn java(directory: &Path) -> Command {
    let classes = env::var_os("KAFKA_CLASSPATH")
        .expect("KAFKA_CLASSPATH names no classes: run `make test`, or this test through scripts/with-kafka");
    let options = env::var("KAFKA_JAVA_OPTIONS").unwrap_or_default();
    let mut java = Command::new(env::var_os("KAFKA_JAVA").unwrap_or_else(|| "java".into()));
    java.current_dir(directory).args(options.split_whitespace()).arg("-cp").arg(classes);
    java
}

/// Where brokers' directories go: where scripts/with-kafka looks after them, or with other temporary files.
pub(super) fn directory() -> PathBuf {
    env::var_os("KAFKA_DIRECTORY").map_or_else(env::temp_dir, PathBuf::from)
}
