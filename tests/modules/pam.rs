//! `pam_auth` against the system's PAM, with services made for the test.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::client::{Client, Got};
use crate::common::home::{ECHO, Home};
use crate::common::process::Lapps;

/// Where the system looks for services.
const DIRECTORY: &str = "/etc/pam.d";

/// A PAM service that is removed when dropped.
struct PamService {
    name: String,
    path: PathBuf,
}

impl PamService {
    /// `None`: this system does not let us make one.
    fn new(word: &str, lines: &str) -> Option<PamService> {
        let name = format!("lapps-test-{word}-{}", std::process::id());
        let path = PathBuf::from(DIRECTORY).join(&name);
        let missing = match fs::write(&path, lines).or_else(|error| sudo_write(&path, lines, error)) {
            Ok(()) => return Some(PamService { name, path }),
            Err(error) => format!("{}: {error}", path.display()),
        };
        let required = std::env::var_os("LAPPS_REQUIRE_PAM").is_some_and(|value| value == "1");
        assert!(!required, "PAM services are required: {missing}");
        eprintln!("SKIPPED: no PAM service can be made here: {missing}");
        None
    }
}

impl Drop for PamService {
    fn drop(&mut self) {
        if fs::remove_file(&self.path).is_err() {
            let _ = Command::new("sudo").args(["-n", "rm", "-f"]).arg(&self.path).status();
        }
    }
}

/// Writes a file as somebody who may, if we can be he without a question; else the error is what it was.
fn sudo_write(path: &Path, text: &str, error: io::Error) -> io::Result<()> {
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "tee"]).arg(path).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = sudo.spawn() else { return Err(error) };
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    match (written, child.wait()) {
        (Some(Ok(())), Ok(status)) if status.success() => Ok(()),
        _ => Err(error),
    }
}

/// A login service, and a home with a program that knows one user and her password, which it gets from PAM.
fn home() -> (Home, String) {
    let code = r"
        local NAME = {}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message)
            local service, user, password = message:match '^(%S+) (%S+) (.*)$'
            local answer = { pam_auth:login(service, user, password) }
            local text = #answer .. ' ' .. tostring(answer[1]) .. ' ' .. tostring(answer[2])
            print('answer ' .. text)
            return ws:send(handler, 1, text)
        end
        function NAME.onDisconnect() end
        function NAME.onShutdown() end
        return NAME";
    let keys = json!({ "preload": ["pam_auth"], "concurrency": "connection" });
    let home = Home::new().ws(json!({ "workers": { "workers": 1 } })).on_both("login", code, keys).service(
        "echo",
        ECHO,
        json!({}),
    );
    let script = "#!/bin/sh\npassword=$(tr -d '\\0')\necho \"Welcome, maybe\"\n\
        [ \"$PAM_USER\" = alice ] && [ \"$password\" = 'open sesame' ]\n";
    home.write("check", script);
    let check = home.path().join("check");
    fs::set_permissions(&check, fs::Permissions::from_mode(0o755)).unwrap();
    // What the program prints becomes a message of PAM's, which wants no answer.
    let auth = format!(
        "auth [success=1 default=ignore] pam_exec.so expose_authtok quiet stdout {}\n\
         auth requisite pam_deny.so\nauth required pam_permit.so\n",
        check.display()
    );
    (home, auth)
}

fn ask(client: &mut Client, service: &PamService, words: &str) {
    client.text(&format!("{} {words}", service.name));
}

fn text(client: &mut Client) -> String {
    match client.get() {
        Got::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_right_password_lets_in_and_everything_else_does_not() {
    let (home, auth) = home();
    let Some(web) = PamService::new("web", &format!("{auth}account required pam_permit.so\n")) else {
        return;
    };
    let Some(shut) = PamService::new("shut", &format!("{auth}account required pam_deny.so\n")) else {
        return;
    };
    let server = Lapps::start(&home);
    for target in ["/login", "/login-dedicated"] {
        let mut client = Client::open(&server, target);
        for (service, words, answer) in [
            (&web, "alice open sesame", "1 true nil"),
            (&web, "alice open", "2 false Authentication failure"),
            (&web, "alice ", "2 false Authentication failure"),
            (&web, "bob open sesame", "2 false Authentication failure"),
            (&shut, "alice open sesame", "2 false Authentication failure"),
            (&web, "alice open sesame", "1 true nil"),
        ] {
            ask(&mut client, service, words);
            assert_eq!(text(&mut client), answer, "{words}");
        }
        client.text("lapps-test-of-nobody alice open sesame");
        assert!(text(&mut client).starts_with("2 false "), "what the system says of unknown services");
        client.text("../pam.d/login alice open sesame");
        assert_eq!(
            text(&mut client),
            "2 false the name of the service must have 1 to 64 bytes, and no slash"
        );
    }
    let log = server.stop();
    assert!(!log.contains("ERROR") && !log.contains("sesame"), "{log}");
}

#[test]
fn who_guesses_waits_and_nobody_waits_with_him() {
    let (home, auth) = home();
    let slow = "auth optional pam_faildelay.so delay=2000000\n";
    let lines = format!("{slow}{auth}account required pam_permit.so\n");
    let Some(web) = PamService::new("slow", &lines) else { return };
    let server = Lapps::start(&home);
    let start = Instant::now();
    let mut guesser = Client::open(&server, "/login");
    ask(&mut guesser, &web, "alice guess");
    let mut alice = Client::open(&server, "/login");
    ask(&mut alice, &web, "alice open sesame");
    assert_eq!(text(&mut alice), "1 true nil");
    Client::open(&server, "/echo").echo("others run");
    let other = start.elapsed();
    assert_eq!(text(&mut guesser), "2 false Authentication failure");
    // PAM varies the delay by up to a half.
    assert!(start.elapsed() >= Duration::from_millis(1000), "{:?}", start.elapsed());
    assert!(other < start.elapsed());
    server.stop();
}

#[test]
fn a_stop_waits_for_the_answer() {
    let (home, _) = home();
    let gate = home.path().join("gate");
    let script =
        format!("#!/bin/sh\ntouch {0}.reached\nwhile [ ! -e {0} ]; do sleep 0.01; done\n", gate.display());
    home.write("wait", &script);
    let wait = home.path().join("wait");
    fs::set_permissions(&wait, fs::Permissions::from_mode(0o755)).unwrap();
    let lines =
        format!("auth required pam_exec.so quiet {}\naccount required pam_permit.so\n", wait.display());
    let Some(web) = PamService::new("wait", &lines) else { return };
    for target in ["/login", "/login-dedicated"] {
        let reached = home.path().join("gate.reached");
        let server = Lapps::start(&home);
        let mut client = Client::open(&server, target);
        ask(&mut client, &web, "alice x");
        crate::common::until("PAM is asked", || reached.exists());
        server.signal("TERM");
        assert!(matches!(client.get(), Got::Close(1001, _)));
        client.close(1001);
        // The connection is gone, and its handler still has its grace.
        fs::write(&gate, "").unwrap();
        let (status, log) = server.wait();
        assert!(status.success() && log.contains("answer 1 true nil\n"), "{log}");
        // Nobody is there any more for what it sends.
        assert!(!log.contains("ERROR") && !log.contains("deadlock"), "{log}");
        fs::remove_file(&gate).unwrap();
        fs::remove_file(&reached).unwrap();
    }
}
