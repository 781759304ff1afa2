//! `deploy/compose.yaml`, read as Docker Compose reads it.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    container::{Container, Mount, entrypoint_and_command, instruction, run},
    island::{Island, on},
    pod::{self, App, Pod},
    yaml::{documents, texts},
};

/// Every `${NAME…}` filled in, and `$$` for a dollar sign.
fn interpolated(text: &str) -> String {
    let dollars = text.split("$$").map(|text| {
        let mut parts = text.split("${");
        let first = parts.next().unwrap().to_owned();
        assert!(!first.contains('$'), "{first}: what stands behind a $ is for Compose");
        parts.fold(first, |filled, part| {
            let (name, rest) = part.split_once('}').unwrap();
            let value = match name.split(':').next().unwrap() {
                "TENANT" => pod::TENANT,
                "CLIENT_ID" => pod::CLIENT_ID,
                "MAILBOX" => pod::MAILBOX,
                other => panic!("nobody said that .env has {other}"),
            };
            filled + value + rest
        })
    });
    dollars.collect::<Vec<_>>().join("$")
}

/// A user and a group that are numbers, and the same.
fn user(service: &Value) -> u32 {
    let (user, group) = service["user"].as_str().unwrap().split_once(':').unwrap();
    assert_eq!(user, group);
    user.parse().unwrap()
}

/// Where a service finds the secrets that it is given, each the file that stands at the end of the document.
fn secrets(compose: &Value, service: &Value, folder: &Path) -> Vec<Mount> {
    let mounts = texts(&service["secrets"]).into_iter().map(|name| {
        let file = compose["secrets"][&name]["file"].as_str().unwrap();
        Mount { from: folder.join(file), to: format!("/run/secrets/{name}"), read_only: true }
    });
    mounts.collect()
}

/// `./here:/there:ro`, or `name:/there` of a volume that the document declares.
fn mount(compose: &Value, text: &str, folder: &Path, user: u32) -> Mount {
    let mut parts = text.split(':');
    let (from, to) = (parts.next().unwrap(), parts.next().unwrap().to_owned());
    let read_only = parts.next() == Some("ro");
    let from = if from.starts_with('.') {
        folder.join(from)
    } else {
        assert!(compose["volumes"].get(from).is_some(), "{from} is no volume");
        assert_eq!(
            instruction("VOLUME"),
            format!("[{to:?}]"),
            "a fresh volume belongs to the user of the image there only"
        );
        pod::volume(from, user)
    };
    Mount { from, to, read_only }
}

fn bridge(compose: &Value, folder: &Path) -> (Container, Vec<String>) {
    let service = &compose["services"]["footbridge"];
    let user = user(service);
    assert_eq!(instruction("USER"), format!("{user}:{user}"));
    assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]));
    assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]));
    assert!(service.get("ports").is_none() && service.get("privileged").is_none());
    let mut mounts = secrets(compose, service, folder);
    mounts.extend(texts(&service["volumes"]).iter().map(|text| mount(compose, text, folder, user)));
    let environment = service["environment"].as_object().unwrap().iter();
    let environment =
        environment.map(|(name, value)| (name.clone(), interpolated(value.as_str().unwrap()))).collect();
    let probe = texts(&service["healthcheck"]["test"]);
    assert_eq!(probe[0], "CMD", "there is no shell in the image");
    let argv = match service.get("command") {
        None => entrypoint_and_command(),
        Some(command) => panic!("the image knows what to run: {command}"),
    };
    let read_only = service["read_only"] == true;
    (Container { argv, environment, user, mounts, read_only }, probe[1..].to_vec())
}

fn app(compose: &Value, folder: &Path) -> App {
    let service = &compose["services"]["app"];
    assert_eq!(service["network_mode"], "service:footbridge", "the two have one network");
    assert_eq!(service["depends_on"]["footbridge"]["condition"], "service_healthy");
    for secret in secrets(compose, service, folder) {
        fs::create_dir_all(Path::new(&secret.to).parent().unwrap()).unwrap();
        fs::write(&secret.to, "").unwrap();
        run(["mount", "--bind", secret.from.to_str().unwrap(), &secret.to]);
    }
    let words = [texts(&service["entrypoint"]), texts(&service["command"])].concat();
    let argv = words.iter().map(|word| interpolated(word)).collect();
    App { argv, environment: Vec::new(), user: user(service) }
}

#[test]
fn a_program_finds_its_mailbox_by_the_sidecar_of_compose_and_nobody_else_finds_the_sidecar() {
    on(
        "compose::a_program_finds_its_mailbox_by_the_sidecar_of_compose_and_nobody_else_finds_the_sidecar",
        async |island| {
            let folder = Island::folder("deploy");
            run(["cp", "-a", concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/."), folder.to_str().unwrap()]);
            let compose = documents(&folder.join("compose.yaml")).remove(0);
            let of = user(&compose["services"]["footbridge"]);
            for (name, text) in [("client_secret", pod::CLIENT_SECRET), ("mail_password", pod::PASSWORD)] {
                let path = folder.join(compose["secrets"][name]["file"].as_str().unwrap());
                pod::file(&path, &format!("{text}\n"), of, 0o400);
            }
            let app = app(&compose, &folder);
            let (bridge, probe) = bridge(&compose, &folder);
            assert!(bridge.read_only);
            Pod { bridge, probe, app }.works(&island);
        },
    );
}
