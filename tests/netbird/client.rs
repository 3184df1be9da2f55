//! NetBird's published Python client against a running service, its exceptions included.

use std::path::Path;
use std::process::Stdio;

use tenure::identity::Role;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::world::World;
use crate::service::Engine;

/// Makes the client's environment, once for all runs, and answers its interpreter.
async fn interpreter() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/python-client");
    let output = Command::new(script).arg("netbird>=1.4,<2").output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_published_client_works_by_url_and_token_alone() {
    let world = World::start(Engine::Sqlite).await;
    let signed = |role, tenant| world.token(role, tenant, &[], None);
    let ours = world.api_token(signed(Role::MspAdmin, world.ours), Role::MspAdmin).await;
    let theirs = world.api_token(signed(Role::MspAdmin, world.theirs), Role::MspAdmin).await;
    let auditor = world.api_token(signed(Role::MspAdmin, world.ours), Role::Auditor).await;
    let mut client = Command::new(interpreter().await)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netbird/client.py"))
        .args([&world.service.url, &ours, &theirs, &auditor])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut input, output) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    // It asks for what a client can't do: to publish a record, and for a token of the account's owner.
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let answer = match line.split(' ').collect::<Vec<_>>()[..] {
            ["publish", domain, value] => {
                world.names.publish(domain, &[value]).await;
                "published".to_owned()
            }
            ["owner", account] => {
                let owner = signed(Role::PrimeAdmin, account.parse().unwrap());
                world.api_token(owner, Role::PrimeAdmin).await
            }
            ["done"] => break,
            _ => panic!("the client said {line}"),
        };
        input.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
    }
    let output = client.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
