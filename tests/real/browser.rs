//! A browser that a test uses as a person would: Chromium without a window, driven by the `WebDriver` protocol.
//!
//! See <https://www.w3.org/TR/webdriver2/>. The few commands needed here are plain HTTP and JSON, which curl speaks.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::clients::{command, eventually, run_with};
use crate::servers::{free_ports, guardian, servers, wait_for_ports};

/// How `WebDriver` names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser of one test, without cookies or history; ended with it. It trusts the servers' certificate, and reaches nothing
/// but this machine.
pub struct Browser {
    name: String,
    /// The address of its session at the driver.
    session: String,
}

/// What a person sees.
#[derive(Debug)]
pub struct Page {
    pub url: String,
    pub title: String,
    /// The text that is visible.
    pub text: String,
}

impl Browser {
    /// `name` is of this test alone.
    pub fn start(name: &str) -> Self {
        let dir = &servers().dir;
        let [port] = free_ports();
        let name = format!("browser-{name}");
        let profile = dir.join(&name);
        fs::create_dir_all(&profile).unwrap();
        // What it leaves behind, the guardian removes with the rest.
        let [home, temporary] = [format!("HOME={}", profile.display()), format!("TMPDIR={}", dir.display())];
        guardian(dir).start(&name, &["env", &home, &temporary, "chromedriver", &format!("--port={port}")]);
        wait_for_ports(dir, &name, &[port]);
        let driver = format!("http://127.0.0.1:{port}/session");
        let answer =
            send("POST", &driver, &capabilities(dir, &profile)).unwrap_or_else(|error| panic!("{error}"));
        let session = format!("{driver}/{}", answer["sessionId"].as_str().unwrap());
        Self { name, session }
    }

    /// Goes to an address, and returns when its page is there, redirects and all.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.ask("POST", "url", &json!({ "url": url }));
    }

    /// Clears the field of a name and types into it.
    #[track_caller]
    pub fn type_into(&self, field: &str, text: &str) {
        let element = self.find(&format!("//input[@name='{field}']"));
        self.ask("POST", &format!("{element}/clear"), &json!({}));
        self.ask("POST", &format!("{element}/value"), &json!({ "text": text }));
    }

    /// Presses the button or follows the link that says `label`, and returns when the next page is there.
    #[track_caller]
    pub fn press(&self, label: &str) {
        let says = format!("normalize-space()='{label}'");
        let element = self
            .find(&format!("//button[{says}] | //a[{says}] | //input[@type='submit' and @value='{label}']"));
        self.ask("POST", &format!("{element}/click"), &json!({}));
    }

    /// Fills in the authority's login form, which is there or comes, as `user`, and accepts what the application asks for.
    #[track_caller]
    pub fn sign_in(&self, user: &str) {
        self.type_into("login", user);
        self.press("Next");
        self.press("Accept");
    }

    /// Types a device's code into the authority's page for that, signs `user` in and accepts.
    #[track_caller]
    pub fn approve_device(&self, verification_uri: &str, user_code: &str, user: &str) {
        self.open(verification_uri);
        self.type_into("user_code", user_code);
        self.press("Next");
        self.press("Continue");
        self.sign_in(user);
    }

    /// The page whose address begins so, once it is there and has a text.
    #[track_caller]
    pub fn page_at(&self, prefix: &str) -> Page {
        eventually(
            || format!("the browser to be at {prefix}; it shows {:?}", self.look()),
            || {
                let page = self.look().ok()?;
                (page.url.starts_with(prefix) && !page.text.is_empty()).then_some(page)
            },
        )
    }

    /// What it shows now.
    #[track_caller]
    pub fn page(&self) -> Page {
        self.look().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What it shows now, all of one page; an error where it leaves the page at that very moment.
    fn look(&self) -> Result<Page, String> {
        let script = "return [location.href, document.title, document.body ? document.body.innerText : '']";
        let body = json!({ "script": script, "args": [] });
        let seen = send("POST", &format!("{}/execute/sync", self.session), &body)?;
        let [url, title, text] = [0, 1, 2].map(|at| seen[at].as_str().unwrap_or_default().to_owned());
        Ok(Page { url, title, text })
    }

    /// Runs the body of a function in the page, and returns what it returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The same for one that calls its last argument when it is done.
    #[track_caller]
    pub fn run_to_its_end(&self, script: &str) -> Value {
        self.ask("POST", "execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Waits until the page, whichever it is by then, shows these words.
    #[track_caller]
    pub fn shows(&self, words: &str) -> Page {
        eventually(
            || format!("the browser to show {words:?}; it shows {:?}", self.look()),
            || self.look().ok().filter(|page| page.text.contains(words)),
        )
    }

    /// Speaks to the browser itself: <https://chromedevtools.github.io/devtools-protocol/>.
    #[track_caller]
    pub fn tell(&self, command: &str, parameters: &Value) -> Value {
        self.ask("POST", "goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Whether the person likes their screen dark.
    #[track_caller]
    pub fn likes(&self, theme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": theme });
        self.tell("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// A window of this width, as phones have it or computers.
    #[track_caller]
    pub fn is_wide(&self, width: u32, height: u32, mobile: bool) {
        let scale = if mobile { 2 } else { 1 };
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile });
        self.tell("Emulation.setDeviceMetricsOverride", &metrics);
        self.tell("Emulation.setScrollbarsHidden", &json!({ "hidden": true }));
    }

    /// Presses a key, by its name and its number in the DOM, wherever the focus is.
    #[track_caller]
    pub fn type_key(&self, key: &str, number: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": number });
            self.tell("Input.dispatchKeyEvent", &event);
        }
    }

    /// Pages run no scripts from the next one on.
    #[track_caller]
    pub fn runs_no_scripts(&self) {
        self.tell("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    }

    /// Lets violations of a page's policy be complained of, from the next page on.
    #[track_caller]
    pub fn watches_policies(&self) {
        let script = "addEventListener('securitypolicyviolation', (event) => console.error('violates ' + \
                      event.violatedDirective + ' by ' + event.blockedURI));";
        self.tell("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": script }));
    }

    /// What the browser has complained of since it was last asked: of what it has asked addresses for that begin so, and
    /// of whatever pages did.
    #[track_caller]
    pub fn complaints(&self, prefix: &str) -> Vec<String> {
        let log = self.ask("POST", "se/log", &json!({ "type": "browser" }));
        let messages =
            log.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned());
        messages.filter(|message| message.starts_with(prefix) || !message.starts_with("http")).collect()
    }

    /// A picture of the whole page, no longer than `longest`.
    #[track_caller]
    pub fn photograph(&self, longest: u64) -> Vec<u8> {
        let size =
            self.run("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]");
        let (width, height) = (size[0].as_u64().unwrap(), size[1].as_u64().unwrap().min(longest));
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.tell("Page.captureScreenshot", &wanted);
        STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// A picture of what it shows now, in Cargo's folder for what tests write. A test that fails makes one by itself.
    pub fn screenshot(&self) -> Result<PathBuf, String> {
        let picture = send("GET", &format!("{}/screenshot", self.session), &Value::Null)?;
        let picture =
            STANDARD.decode(picture.as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.png", self.name));
        fs::write(&path, picture).map_err(|error| error.to_string())?;
        Ok(path)
    }

    /// The element at an `XPath`, once it is there.
    #[track_caller]
    fn find(&self, xpath: &str) -> String {
        let wanted = json!({ "using": "xpath", "value": xpath });
        let found = eventually(
            || format!("{xpath} to appear; the browser shows {:?}", self.look()),
            || send("POST", &format!("{}/element", self.session), &wanted).ok(),
        );
        format!("element/{}", found[ELEMENT].as_str().unwrap())
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        send(method, &format!("{}/{path}", self.session), body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            match self.screenshot() {
                Ok(path) => eprintln!("what the browser showed: {}", path.display()),
                Err(error) => eprintln!("the browser gave no picture: {error}"),
            }
        }
        let _ = send("DELETE", &self.session, &Value::Null);
        guardian(&servers().dir).stop(&self.name);
    }
}

fn capabilities(dir: &Path, profile: &Path) -> Value {
    let spki = fs::read_to_string(dir.join("server.spki")).unwrap();
    let arguments = [
        "--headless=new".to_owned(),
        // It runs as root, in containers too, whose /dev/shm is small.
        "--no-sandbox".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-gpu".to_owned(),
        format!("--user-data-dir={}/profile", profile.display()),
        format!("--ignore-certificate-errors-spki-list={spki}"),
        "--no-proxy-server".to_owned(),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--no-first-run".to_owned(),
    ];
    let options = json!({
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "browser": "WARNING" },
        "timeouts": { "script": 60_000 },
    });
    json!({ "capabilities": { "alwaysMatch": options } })
}

/// A command to the driver: the value that it answers, or what it says went wrong.
fn send(method: &str, url: &str, body: &Value) -> Result<Value, String> {
    let mut curl = command("curl");
    curl.args(["-sS", "-X", method, url]);
    if !body.is_null() {
        curl.args(["-H", "content-type: application/json", "--data-binary", "@-"]);
    }
    let outcome = run_with(&mut curl, body.to_string().as_bytes());
    let answer: Value = serde_json::from_slice(&outcome.stdout).map_err(|_| outcome.to_string())?;
    let value = answer["value"].clone();
    value["error"].as_str().map_or(Ok(value.clone()), |error| Err(format!("{error}: {}", value["message"])))
}
