//! Somebody who does what a page says, to the letter.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Stdio,
};

use footbridge::secret::Secret;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::unix::pipe,
    process::Command,
};

use crate::{
    harness::{
        authority::{Registration, ServiceAccount},
        certs::Identity,
    },
    island::Island,
    page::{self, Kind},
};

/// What every page says where a person has a tenant, an app and a secret of their own.
const TENANT: &str = "contoso.onmicrosoft.com";
const CLIENT_ID: &str = "22222222-2222-2222-2222-222222222222";
const SECRET: &str = "the value of the client secret";
const PASSWORD: &str = "legacy-password";
/// Who signs in with a code.
const PERSON: &str = "ann@contoso.com";
const SERVICE_ACCOUNT: &str = "footbridge@project.iam.gserviceaccount.com";

/// The programs that a page may use; all others are unknown.
const PROGRAMS: [&str; 33] = [
    "bash", "stat", "cut", "mktemp", "cat", "chmod", "chown", "cp", "curl", "date", "dirname", "echo", "env",
    "false", "grep", "head", "id", "install", "ln", "ls", "mkdir", "mv", "printf", "rm", "sed", "setpriv",
    "sh", "sleep", "tail", "tee", "touch", "true", "useradd",
];

const STANDINS: [(&str, &str); 9] = [
    ("openssl", include_str!("standins/openssl")),
    ("footbridge", include_str!("standins/footbridge")),
    ("sudo", include_str!("standins/sudo")),
    ("cargo", include_str!("standins/cargo")),
    ("docker", include_str!("standins/docker")),
    ("kubectl", include_str!("standins/kubectl")),
    ("systemctl", include_str!("standins/systemctl")),
    ("journalctl", include_str!("standins/journalctl")),
    ("editor", include_str!("standins/editor")),
];

/// Follows a page.
pub async fn follow(island: &Island, page: &str, text: &str) {
    let home = Island::folder("reader");
    let outputs = Island::folder("outputs");
    furnish(&home);
    let app = prepare(island, text, &home);
    let mut made = Certificates::expected(app);
    let script = script(text, &outputs);
    let path = Island::folder("bin").join("page.sh");
    fs::write(&path, &script).unwrap();

    let asked = island.authority.devices_asked().clone();
    let signing_in = async {
        for number in 1.. {
            while !asked.reached_in_time(number).await {}
            let code = island.authority.device_codes().pop().unwrap();
            island.authority.approve_device(&code.user_code, PERSON);
        }
    };
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-eu"]).arg(&path).current_dir(&home).env_clear();
    command.envs([
        ("PATH", "/mnt/home/bin"),
        ("HOME", "/mnt/home/reader"),
        ("LANG", "C.UTF-8"),
        ("USER", "root"),
    ]);
    command.env("SOURCES", env!("CARGO_MANIFEST_DIR")).env("PROGRAM", env!("CARGO_BIN_EXE_footbridge"));
    let said = Stdio::from(fs::File::create(outputs.join("all")).unwrap());
    let also = Stdio::from(fs::File::options().append(true).open(outputs.join("all")).unwrap());
    command.stdin(Stdio::null()).stdout(said).stderr(also);
    let status = tokio::select! {
        status = command.status() => status.unwrap(),
        () = signing_in => unreachable!(),
        () = made.upload(island) => unreachable!(),
    };
    let said = fs::read_to_string(outputs.join("all")).unwrap();
    assert!(status.success(), "{page}: {status}\n{said}");
    for (at, (line, wanted)) in expected(text).into_iter().enumerate() {
        let printed = fs::read_to_string(outputs.join(at.to_string())).unwrap();
        assert!(
            page::is_printed(&wanted, &printed),
            "{page}:{line} says\n{}\nand this is printed:\n{printed}",
            wanted.join("\n")
        );
    }
}

/// Certificates that the page has somebody make, which are uploaded to the registration at once.
struct Certificates {
    app: Registration,
    made: BufReader<pipe::Receiver>,
    uploaded: pipe::Sender,
}

impl Certificates {
    fn expected(app: Registration) -> Self {
        let pipes = Island::folder("uploads");
        let [made, uploaded] = ["made", "done"].map(|name| pipes.join(name));
        let ended = std::process::Command::new("mkfifo").args([&made, &uploaded]).status();
        assert!(ended.unwrap().success());
        let mut options = pipe::OpenOptions::new();
        let made = BufReader::new(options.read_write(true).open_receiver(made).unwrap());
        Self { app, made, uploaded: options.open_sender(uploaded).unwrap() }
    }

    async fn upload(&mut self, island: &Island) {
        loop {
            let mut files = [String::new(), String::new()];
            for file in &mut files {
                self.made.read_line(file).await.unwrap();
            }
            let [certificate, key] = files.map(|file| fs::read_to_string(file.trim_end()).unwrap());
            self.app = self.app.clone().certificate(&Identity::read(&certificate, &key));
            island.authority.register_app(self.app.clone());
            self.uploaded.write_all(b"done\n").await.unwrap();
        }
    }
}

/// The programs, and what somebody has who has the sources.
fn furnish(home: &Path) {
    let bin = Island::folder("bin");
    for program in PROGRAMS {
        let found = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(program));
        let found = found.iter().find(|path| path.exists()).unwrap_or_else(|| panic!("{program} is missing"));
        symlink(found, bin.join(program)).unwrap();
    }
    for (name, text) in STANDINS {
        fs::write(bin.join(name), text).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["deploy", "config", "Dockerfile", "examples"] {
        let copied = std::process::Command::new("cp").arg("-r").arg(sources.join(name)).arg(home).status();
        assert!(copied.unwrap().success());
    }
    // This test is a part of it.
    let all = fs::metadata(sources.join("tests/all")).unwrap();
    assert!(all.permissions().mode() & 0o100 != 0);
    fs::create_dir(home.join("tests")).unwrap();
    symlink(bin.join("true"), home.join("tests/all")).unwrap();
}

/// Has the authorities and the mail server know whom and what a page speaks of.
fn prepare(island: &Island, text: &str, home: &Path) -> Registration {
    let app = Registration::confidential(CLIENT_ID).tenant(TENANT).secret(SECRET);
    let app = app.redirect("http://localhost").redirect("http://localhost:8025");
    island.authority.register_app(app.clone());
    let is_part = |c: char| c.is_ascii_alphanumeric() || "@.-_".contains(c);
    let words = text.split(|c| !is_part(c)).map(|word| word.trim_matches('.'));
    let addresses: Vec<&str> =
        words.filter(|word| word.ends_with("@contoso.com") && !word.starts_with('@')).collect();
    let letter = "From: somebody@example.net\r\nSubject: Hello\r\n\r\nHello.\r\n";
    for address in &addresses {
        if !island.exchange.mailboxes().has(address) {
            island.exchange.mailboxes().create(address);
            island.exchange.mailboxes().deliver(address, letter);
            island.exchange.mailboxes().share(address, PERSON);
        }
        let person = crate::harness::authority::Person::new(address).password(PASSWORD);
        island.authority.add_person(person);
    }
    let google = ServiceAccount::new(SERVICE_ACCOUNT, &addresses);
    island.authority.add_service_account(&google);
    let key = home.join("downloaded.json");
    fs::write(&key, island.authority.service_account_key(&google)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    app
}

/// The page as one script, that says where it is.
fn script(text: &str, outputs: &Path) -> String {
    let hash = footbridge::account::hash(&Secret::new(PASSWORD)).to_string();
    let mut script = String::new();
    let mut number = 0;
    for block in page::blocks(text) {
        let _ = writeln!(script, "echo '--- line {}'", block.line);
        match block.kind {
            Kind::Shell(commands) => _ = writeln!(script, "{commands}"),
            Kind::Console(commands) => {
                for (command, _) in commands {
                    let _ = writeln!(script, "{{ {command}\n}} >{}/{number} 2>&1 || true", outputs.display());
                    number += 1;
                }
            }
            Kind::File(name, content) => {
                let content = with_hashes(&content, &hash);
                let _ = writeln!(
                    script,
                    "mkdir -p \"$(dirname '{name}')\"\ncat >'{name}' <<'END OF FILE'\n{content}END OF FILE"
                );
            }
            Kind::Shown => (),
        }
    }
    script
}

/// A text with a hash for each `$argon2id$…`.
fn with_hashes(text: &str, hash: &str) -> String {
    let mut parts = text.split("\"$argon2id$");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (_, rest) = part.split_once('"').unwrap();
        format!("{text}\"{hash}\"{rest}")
    })
}

/// What the commands in `console` blocks are to print, with their lines.
fn expected(text: &str) -> Vec<(usize, Vec<String>)> {
    let blocks = page::blocks(text).into_iter();
    let consoles = blocks.filter_map(|block| match block.kind {
        Kind::Console(commands) => Some((block.line, commands)),
        Kind::Shell(_) | Kind::File(..) | Kind::Shown => None,
    });
    consoles
        .flat_map(|(line, commands)| commands.into_iter().map(move |(_, printed)| (line, printed)))
        .collect()
}
