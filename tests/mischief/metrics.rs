//! Who is told what a monitoring system is told.

use crate::{harness::world::World, visitor::Visitor};

/// As containers and machines with a public address have it: everybody may knock.
fn open_to_all() -> World {
    World::with_environment(
        |config, _, _| config.console_with("0.0.0.0:0", "password = { env = \"CONSOLE_PASSWORD\" }"),
        |_| vec![("CONSOLE_PASSWORD", "from a vault".to_owned())],
    )
}

/// A console that is bound to every address is open to a network. The name in `Host` is the stranger's to write, and
/// tells nothing of where he is: `/metrics` off loopback wants the password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_on_every_address_tells_its_metrics_to_nobody_without_the_password() {
    let world = open_to_all();
    let visitor = Visitor::of(&world);
    let port = visitor.port();
    let said = visitor.answer(&format!("GET /metrics HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 401 "), "{said}");
}
