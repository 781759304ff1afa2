//! Pages and files that somebody follows who has never seen the program.

use std::{fs, path::Path};

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The pages, by their paths in the repository.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let mut pages: Vec<_> =
        docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().into_string().unwrap())).collect();
    pages.push("README.md".to_owned());
    pages.retain(|page| Path::new(page).extension().is_some_and(|end| end == "md"));
    pages.sort();
    pages
}

/// The blocks of a page in this language.
fn blocks<'t>(page: &'t str, language: &str) -> Vec<&'t str> {
    let begin = format!("```{language}\n");
    page.split(begin.as_str())
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
        .collect()
}

/// `footbridge serve` stays in the foreground. Who pastes a block in which commands stand behind it sees the bridge, and
/// nothing else; Ctrl-C then runs the rest, against no bridge. So a block ends there, and what follows says "In another
/// terminal".
#[test]
fn no_command_stands_behind_one_that_does_not_end() {
    let mut stuck = Vec::new();
    for page in pages() {
        let written = text(&page);
        for block in blocks(&written, "sh") {
            let behind = block.split_once("footbridge serve\n").map(|(_, behind)| behind.trim());
            stuck
                .extend(behind.filter(|behind| !behind.is_empty()).map(|behind| format!("{page}: {behind}")));
        }
    }
    assert!(stuck.is_empty(), "behind footbridge serve\n{}", stuck.join("\n"));
}

/// curl sends a file as it is: the mail of `printf '…\n'` goes out with bare line feeds, which RFC 5321 §2.3.8 forbids and
/// servers refuse, Exchange among them (`550 5.6.11`) where it hands the mail on. `--crlf` or `\r\n` makes it right. The
/// page that shows how a device is tried must not show mail that the next server may not take.
#[test]
fn the_mail_that_pages_send_to_try_it_has_the_line_ends_of_mail() {
    let mut bare = Vec::new();
    for page in pages() {
        let written = text(&page);
        let sends = |block: &&str| block.contains("--upload-file");
        for block in blocks(&written, "sh").into_iter().filter(sends) {
            if !block.contains("--crlf") && !block.contains(r"\r\n") {
                bare.push(page.clone());
            }
        }
    }
    assert_eq!(bare, [""; 0], "pages whose mail has bare line feeds");
}

/// What the unit says of ports below 1024 is all that an administrator reads there: "take the number signs away". An
/// empty `CapabilityBoundingSet=` behind resets the set to nothing (systemd.exec(5)), so that the capability is gone
/// again, and the service does not start. The lines stand where taking the signs away is enough.
#[test]
fn who_takes_the_number_signs_away_in_the_unit_has_the_ports_below_1024() {
    let unit = text("deploy/footbridge.service");
    let followed = unit.replace("# AmbientCapabilities=", "AmbientCapabilities=");
    let followed = followed.replace("# CapabilityBoundingSet=", "CapabilityBoundingSet=");
    assert_ne!(unit, followed);
    let mut bounding = Vec::new();
    for value in followed.lines().filter_map(|line| line.strip_prefix("CapabilityBoundingSet=")) {
        if value.is_empty() {
            bounding.clear();
        } else {
            bounding.push(value);
        }
    }
    assert_eq!(bounding, ["CAP_NET_BIND_SERVICE"]);
}

/// The page has the image put where the cluster takes images from, and the Deployment asks for `footbridge:latest`,
/// which a cluster looks for at Docker Hub: the pod would wait for an image (`ImagePullBackOff`) until
/// `kubectl rollout status` gives up. So the name is one of the things to fill in.
#[test]
fn the_image_that_is_put_somewhere_is_the_one_that_the_pod_asks_for() {
    let page = text("docs/kubernetes.md");
    assert!(
        text("deploy/kubernetes.yaml").contains("image: footbridge:latest"),
        "its name is another one now"
    );
    let says_where =
        page.contains("<image>") || page.contains("image:") || page.contains("footbridge:latest");
    assert!(says_where, "docs/kubernetes.md does not say where the name of the image goes");
}
