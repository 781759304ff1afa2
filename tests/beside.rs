//! The commands that talk to a running bridge, or do without it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

use harness::{
    bridge::Bridge,
    cli::{Cli, Ended},
    world::{ANN, World},
};

/// Asks whether the bridge of a world's folder is ready.
fn healthcheck(world: &World) -> Ended {
    Cli::run(world.folder.path(), ["healthcheck"])
}

fn assert_sick(ended: &Ended, why: &str) {
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(why), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthcheck_succeeds_while_the_bridge_serves_and_fails_while_it_drains_and_after_it() {
    let world = World::start();
    let healthy = healthcheck(&world);
    assert_eq!((healthy.status, healthy.stderr.as_str()), (Some(0), ""));

    let session = world.imap(ANN).await;
    world.bridge.signal("TERM");
    world.bridge.wait_for_logged("draining", 1);
    assert_sick(&healthcheck(&world), "draining");

    drop(session);
    world.bridge.wait_for_logged("stopped", 1);
    assert_sick(&healthcheck(&world), "no footbridge serves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_socket_is_its_owners_alone_and_goes_with_the_bridge() {
    let world = World::start();
    let state = world.folder.path().join("state");
    let socket = state.join("control.sock");
    let made = std::fs::metadata(&socket).unwrap();
    assert!(made.file_type().is_socket());
    assert_eq!(made.permissions().mode() & 0o777, 0o600);
    let World { bridge, folder: _folder, .. } = world;
    assert!(bridge.terminate().0.success());
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_a_killed_bridge_left_is_told_apart_and_replaced() {
    let world = World::start();
    let World { bridge, folder, .. } = world;
    bridge.signal("KILL");
    bridge.wait();
    assert!(folder.path().join("state/control.sock").exists(), "nobody was there to remove it");
    assert_sick(&Cli::run(folder.path(), ["healthcheck"]), "no footbridge serves");
    let next = Bridge::start(folder.path());
    assert_eq!(Cli::run(folder.path(), ["healthcheck"]).status, Some(0));
    drop(next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthcheck_does_not_mind_a_configuration_that_is_being_changed() {
    let world = World::start();
    let mut text = std::fs::read_to_string(world.folder.path().join("footbridge.toml")).unwrap();
    text.push_str("\n[app.half\nnonsense = 1\n");
    std::fs::write(world.folder.path().join("footbridge.toml"), text).unwrap();
    let healthy = healthcheck(&world);
    assert_eq!(healthy.status, Some(0), "{healthy:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_folder_with_too_long_a_path_costs_the_commands_and_not_the_bridge() {
    let long = format!("state_dir = \"{}\"", "s".repeat(120));
    let world = World::start();
    let config = world.folder.path().join("footbridge.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("state_dir = \"state\"", &long);
    std::fs::write(&config, text).unwrap();
    let second = Bridge::start(world.folder.path());
    let warned = second.logged("other commands cannot talk to this bridge");
    assert_eq!(warned.len(), 1);
    assert!(warned[0]["cause"].as_str().unwrap().contains("state_dir"), "{warned:?}");
    assert_sick(&healthcheck(&world), "choose a shorter state_dir");
}
