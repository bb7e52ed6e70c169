//! Headless Chromium, driven over its DevTools protocol.

use std::env;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// How long anything here may take before it counts as broken; a good run needs a small part of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before asking again for something that another process has to do.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A headless Chromium with a fresh profile; ended when dropped.
pub struct Browser {
    child: Child,
    debugger: String,
    // After the child in drop order: the profile goes when nobody writes to it any more.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None`: there is no Chromium, and nobody demands one.
    pub fn start() -> Option<Browser> {
        let Some(program) = find_chromium() else {
            let required = env::var_os("LAPPS_REQUIRE_CHROMIUM").is_some_and(|value| value == "1");
            assert!(!required, "Chromium is required, and is not here");
            println!("skipped: no Chromium in PATH (or named by CHROMIUM)");
            return None;
        };
        let profile = tempfile::tempdir().expect("a directory for the profile");
        let child = Command::new(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Chromium starts");
        let mut browser = Browser { child, debugger: String::new(), _profile: profile };
        browser.debugger = browser.wait_for_debugger();
        Some(browser)
    }

    /// Chromium writes the port it took, and a path, when it is ready.
    fn wait_for_debugger(&mut self) -> String {
        let file = self._profile.path().join("DevToolsActivePort");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let written = fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, path)) = written.split_once('\n')
                && path.starts_with("/devtools/browser/")
            {
                return format!("ws://127.0.0.1:{port}{}", path.trim_end());
            }
            let ended = self.child.try_wait().expect("Chromium can be asked");
            assert!(ended.is_none(), "Chromium ended by itself: {ended:?}");
            assert!(Instant::now() < deadline, "Chromium does not say where its debugger listens");
            thread::sleep(BETWEEN_LOOKS);
        }
    }

    fn connect(&self) -> Option<WebSocket<TcpStream>> {
        let address = self.debugger.strip_prefix("ws://")?.split('/').next()?;
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(tungstenite::client(self.debugger.as_str(), stream).ok()?.0)
    }

    fn ask_to_close(&self) -> Option<()> {
        let close = json!({ "id": 1, "method": "Browser.close" });
        self.connect()?.send(Message::text(close.to_string())).ok()
    }

    /// A new tab on `url`, watched from before its first request.
    pub fn open(&mut self, url: &str) -> Page {
        let socket = self.connect().expect("the debugger answers");
        let mut page = Page { socket, session: None, last: 0, complaints: Vec::new() };
        let target = page.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = page.call("Target.attachToTarget", &attach);
        page.session = session["sessionId"].as_str().map(str::to_string);
        page.call("Runtime.enable", &json!({}));
        page.call("Log.enable", &json!({}));
        page.call("Page.enable", &json!({}));
        let navigated = page.call("Page.navigate", &json!({ "url": url }));
        assert_eq!(navigated.get("errorText"), None, "{url} cannot be opened");
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to, it takes its helper processes along and stops writing to the profile.
        let deadline = Instant::now() + Duration::from_secs(10);
        if self.ask_to_close().is_some() {
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                thread::sleep(BETWEEN_LOOKS);
            }
        }
        end(&mut self.child);
    }
}

/// One tab, over the DevTools protocol.
pub struct Page {
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last: u64,
    /// Errors and warnings of the browser's console, refused content among them.
    pub complaints: Vec<String>,
}

impl Page {
    /// One command and its result; what the browser reports in between is looked at, too.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(command.to_string())).expect("the debugger takes a command");
        loop {
            let Message::Text(text) = self.socket.read().expect("the debugger answers in time") else {
                continue;
            };
            let mut answer: Value = serde_json::from_str(&text).expect("the debugger speaks JSON");
            if answer["id"] == json!(self.last) {
                assert_eq!(answer.get("error"), None, "{method} failed");
                return answer["result"].take();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        let loud = |level: &Value| level == "error" || level == "warning";
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled") if loud(&params["type"]) => {
                self.complaints.push(params["args"].to_string())
            }
            Some("Log.entryAdded") if loud(&params["entry"]["level"]) => {
                self.complaints.push(params["entry"].to_string())
            }
            _ => {}
        }
    }

    /// The value of a JavaScript expression; a promise is waited for.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self.call("Runtime.evaluate", &params);
        assert_eq!(result.get("exceptionDetails"), None, "{expression}");
        result["result"]["value"].take()
    }

    /// The text that a JavaScript expression is.
    pub fn string(&mut self, expression: &str) -> String {
        let value = self.evaluate(expression);
        value.as_str().unwrap_or_else(|| panic!("not a string: {value} from {expression}")).to_string()
    }

    /// Waits until a JavaScript condition is true.
    pub fn wait_until(&mut self, what: &str, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        // The document may not be there yet: then the condition raises, which is the same as false.
        let guarded = format!("(() => {{ try {{ return {condition} }} catch {{ return false }} }})()");
        while self.evaluate(&guarded) != json!(true) {
            let shown = "document.body ? document.body.innerText : ''";
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}; console: {:?}; page:\n{}",
                self.complaints.clone(),
                self.string(shown)
            );
            thread::sleep(BETWEEN_LOOKS);
        }
    }
}

fn find_chromium() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        return Some(PathBuf::from(named));
    }
    let path = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names
        .iter()
        .flat_map(|name| env::split_paths(&path).map(move |dir| dir.join(name)))
        .find(|file| file.is_file())
}

fn end(child: &mut Child) {
    // Both fail only if it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}
