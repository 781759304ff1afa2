//! Addresses that are taken for a proof, where others may say which address they have.

use std::fs;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{PATIENCE, cli::Cli, world::World};

const PRINTER: &str = "printer@example.com";

const APP: &str = "\
state_dir = \"state\"
[[listener]]
protocol = \"smtp\"
bind = \"127.0.0.1:2525\"
proxy_protocol = [\"10.0.0.0/8\"]
[app.devices]
provider = \"microsoft365\"
tenant = \"contoso.onmicrosoft.com\"
client_id = \"22222222-2222-2222-2222-222222222222\"
secret = { file = \"devices.secret\" }
";

const ACCOUNT: &str = "\
[[account]]
login = \"printers@contoso.com\"
app = \"devices\"
grant = \"client_credentials\"
no_password_from = [\"10.1.2.3\"]
senders = [\"printers@contoso.com\"]
";

/// Every peer in `proxy_protocol` says by a header of 40 bytes which address it has, and an address in `no_password_from`
/// is all that a mail needs. So with both, all of 10.0.0.0/8 could send as the printer. A network of devices wider than
/// /24 is refused for that very reason ("all in it could send mail"), and so is one of balancers, unless
/// `accept_risk = true`.
#[test]
fn a_device_is_not_known_by_an_address_that_a_wide_network_of_peers_may_claim() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("footbridge.toml"), APP).unwrap();
    fs::write(home.path().join("mappings.toml"), ACCOUNT).unwrap();
    fs::write(home.path().join("devices.secret"), "secret").unwrap();
    let checked = Cli::run(home.path(), ["check"]);
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(said.contains("no_password_from") && said.contains("proxy_protocol"), "{said}");
}

/// Somebody sends from a device's address, the operator takes the address out of `no_password_from` and reloads: that is
/// all there is to take away, as there is no password that could be changed. A session whose only proof was an address
/// that proves nothing any more ends, before its first mail or behind it, as those of removed accounts do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_out_of_the_mappings_sends_no_more() {
    let world = World::with(|config, _, exchange| {
        exchange.mailboxes().create(PRINTER);
        let keys = format!("senders = [\"{PRINTER}\"]\nno_password_from = [\"127.0.0.1\"]");
        config.account_with("contoso", PRINTER, None, "client_credentials", &keys)
    });
    let mail = format!("MAIL FROM:<{PRINTER}>\r\n");
    let mut sending = greeted(&world).await;
    assert!(said(&mut sending, &mail, 1).await.starts_with("250 2.1.0"));
    let mut waiting = greeted(&world).await;
    let mappings = world.folder.path().join("mappings.toml");
    let text = fs::read_to_string(&mappings).unwrap();
    fs::write(&mappings, text.replace("[\"127.0.0.1\"]", "[\"192.0.2.9\"]")).unwrap();
    let _ = Cli::run(world.folder.path(), ["reload"]).expect(0);
    let mut fresh = greeted(&world).await;
    assert!(said(&mut fresh, &mail, 1).await.starts_with("530 5.7.0"));
    let again = format!("RSET\r\n{mail}");
    let mut still = Vec::new();
    for (client, which) in
        [(&mut sending, "one that has sent"), (&mut waiting, "one that was greeted before")]
    {
        if said(client, &again, 2).await.contains("250 2.1.0") {
            still.push(which);
        }
    }
    assert_eq!(still, [""; 0], "connections by which the address still sends");
}

async fn greeted(world: &World) -> TcpStream {
    let mut client = TcpStream::connect(world.bridge.addr("smtp")).await.unwrap();
    assert!(said(&mut client, "HELO printer\r\n", 2).await.ends_with("250 footbridge\r\n"));
    client
}

/// So many lines of what is said to this; fewer where the connection ends before, as it may.
async fn said(client: &mut TcpStream, text: &str, lines: usize) -> String {
    let mut said = Vec::new();
    let talking = async {
        client.write_all(text.as_bytes()).await?;
        while said.split(|&byte| byte == b'\n').count() <= lines {
            if client.read_buf(&mut said).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    // Whoever is gone says nothing.
    let _ = timeout(PATIENCE, talking).await.expect("the bridge answers or closes");
    String::from_utf8(said).unwrap()
}
