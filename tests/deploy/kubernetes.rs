//! `deploy/kubernetes.yaml`, read as the kubelet reads it.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    container::{Container, Mount, entrypoint_and_command},
    island::{Island, on},
    pod::{self, App, Pod},
    yaml::{documents, texts},
};

/// The objects of the file by their kind, with what stands in angle brackets filled in.
struct Objects(Vec<Value>);

impl Objects {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes.yaml");
        let text = json!(documents(&path)).to_string();
        let filled = [
            ("<client secret>", pod::CLIENT_SECRET),
            ("<password>", pod::PASSWORD),
            ("<tenant>", pod::TENANT),
            ("<client id>", pod::CLIENT_ID),
            ("<mailbox>", pod::MAILBOX),
        ]
        .iter()
        .fold(text, |text, (place, value)| {
            assert!(text.contains(place), "there is no {place}");
            text.replace(place, value)
        });
        Self(serde_json::from_str::<Vec<Value>>(&filled).unwrap())
    }

    /// The only object of a kind and a name.
    fn named(&self, kind: &str, name: &Value) -> &Value {
        let mut found =
            self.0.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == *name);
        let one = found.next().unwrap_or_else(|| panic!("there is no {kind} {name}"));
        assert!(found.next().is_none());
        one
    }

    fn pod(&self) -> &Value {
        let deployment = self.0.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let spec = &deployment["spec"];
        assert_eq!(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]);
        &spec["template"]["spec"]
    }

    /// A volume as files of this machine, which belong to the pod's group.
    fn volume(&self, name: &Value, group: u32) -> std::path::PathBuf {
        let volumes = self.pod()["volumes"].as_array().unwrap();
        let volume = volumes.iter().find(|volume| volume["name"] == *name).unwrap();
        let folder = pod::volume(name.as_str().unwrap(), group);
        let write = |entries: &Value, mode: u32| {
            for (name, text) in entries.as_object().unwrap() {
                pod::file(&folder.join(name), text.as_str().unwrap(), group, mode);
            }
        };
        if let Some(map) = volume.get("configMap") {
            write(&self.named("ConfigMap", &map["name"])["data"], 0o644);
        } else if let Some(secret) = volume.get("secret") {
            let mode = u32::try_from(secret["defaultMode"].as_u64().unwrap()).unwrap();
            write(&self.named("Secret", &secret["secretName"])["stringData"], mode);
        } else {
            assert_eq!(volume["emptyDir"], json!({}), "{volume}");
        }
        folder
    }

    fn bridge(&self, user: u32) -> Container {
        let container = &self.pod()["initContainers"][0];
        assert_eq!(container["restartPolicy"], "Always", "an init container that goes on is a sidecar");
        assert!(container.get("command").is_none() && container.get("args").is_none());
        unprivileged(container);
        let mounts = container["volumeMounts"].as_array().unwrap().iter().map(|mount| Mount {
            from: self.volume(&mount["name"], user),
            to: mount["mountPath"].as_str().unwrap().to_owned(),
            read_only: mount.get("readOnly") == Some(&json!(true)),
        });
        Container {
            argv: entrypoint_and_command(),
            environment: Vec::new(),
            user,
            mounts: mounts.collect(),
            read_only: container["securityContext"]["readOnlyRootFilesystem"] == true,
        }
    }

    fn app(&self, user: u32) -> App {
        let container = &self.pod()["containers"][0];
        unprivileged(container);
        let environment = container["env"].as_array().unwrap().iter().map(|variable| {
            let from = &variable["valueFrom"]["secretKeyRef"];
            let secret = self.named("Secret", &from["name"]);
            let value = &secret["stringData"][from["key"].as_str().unwrap()];
            (variable["name"].as_str().unwrap().to_owned(), value.as_str().unwrap().to_owned())
        });
        let argv = [texts(&container["command"]), texts(&container["args"])].concat();
        App { argv, environment: environment.collect(), user }
    }
}

fn unprivileged(container: &Value) {
    let context = &container["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
}

#[test]
fn a_program_finds_its_mailbox_by_the_sidecar_of_its_pod_and_nobody_else_finds_the_sidecar() {
    on(
        "kubernetes::a_program_finds_its_mailbox_by_the_sidecar_of_its_pod_and_nobody_else_finds_the_sidecar",
        async |island: Island| {
            let objects = Objects::read();
            let context = &objects.pod()["securityContext"];
            let user = u32::try_from(context["runAsUser"].as_u64().unwrap()).unwrap();
            assert_eq!((&context["runAsGroup"], &context["fsGroup"]), (&json!(user), &json!(user)));
            assert_eq!(context["runAsNonRoot"], true);
            let bridge = objects.bridge(user);
            assert!(bridge.read_only);
            let sidecar = &objects.pod()["initContainers"][0];
            let probe = texts(&sidecar["startupProbe"]["exec"]["command"]);
            assert_eq!(probe, texts(&sidecar["readinessProbe"]["exec"]["command"]));
            Pod { bridge, probe, app: objects.app(user) }.works(&island);
        },
    );
}
