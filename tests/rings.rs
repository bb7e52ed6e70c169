//! Workers that serve by io_uring: that they do, and what the server says where the system forbids it.

mod common;

use std::path::Path;
use std::process::Command;

use common::client::{Client, Got};
use common::home::Home;
use common::process::Lapps;
use serde_json::json;

/// Becomes the program of its other arguments, for which a system call answers with an error.
const SANDBOX: &str = r"
import ctypes, os, struct, sys
number, errno = int(sys.argv[1]), int(sys.argv[2])
def instruction(code, jump, other, value): return struct.pack('HBBI', code, jump, other, value)
# Load the number of the call; if it is this one, skip nothing and answer with the error, else allow.
code = instruction(0x20, 0, 0, 0) + instruction(0x15, 0, 1, number)
code += instruction(0x06, 0, 0, 0x00050000 | errno) + instruction(0x06, 0, 0, 0x7fff0000)
memory = ctypes.create_string_buffer(code, len(code))
class Filter(ctypes.Structure): _fields_ = [('length', ctypes.c_ushort), ('code', ctypes.c_void_p)]
libc = ctypes.CDLL(None)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
program = Filter(4, ctypes.cast(memory, ctypes.c_void_p))
allowed = libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
if not allowed or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
    sys.exit('there are no filters here')
if len(sys.argv) > 3: os.execv(sys.argv[3], sys.argv[3:])
";

const IO_URING_SETUP: u32 = 425;
const IO_URING_ENTER: u32 = 426;

fn home(io: &str) -> Home {
    Home::with_echo().ws(json!({ "workers": { "io": io } }))
}

fn echoes(server: &Lapps) {
    for target in ["/echo", "/echo-dedicated"] {
        let mut client = Client::open(server, target);
        client.text("hello");
        assert_eq!(client.get(), Got::Text("hello".into()));
        client.close(1000);
        assert_eq!((client.get(), client.get()), (Got::Close(1000, String::new()), Got::Eof));
    }
}

#[test]
fn the_server_says_whether_its_workers_have_rings() {
    let mut has_rings = false;
    for io in ["epoll", "io_uring", "auto"] {
        let server = Lapps::start(&home(io));
        echoes(&server);
        let says = server.banner.contains("(io_uring)");
        let told = server.stop();
        let is_refused = told.contains("io_uring cannot be used");
        match io {
            "epoll" => assert!(!says && !is_refused, "{told}"),
            "io_uring" => {
                has_rings = says;
                assert!(says != is_refused, "{told}");
                println!("{}", if says { "the workers have rings" } else { "io_uring is refused here" });
            }
            _ => assert!(says == has_rings && !is_refused, "{told}"),
        }
    }
}

/// Large messages are read by calls, small ones come by the ring; what comes while one takes over from the other is neither lost
/// nor in another order.
#[test]
fn large_and_small_messages_by_turns_come_back_whole() {
    let server = Lapps::start(&home("io_uring"));
    let mut clients: Vec<Client> =
        ["/echo", "/echo-dedicated"].map(|target| Client::open(&server, target)).into();
    for round in 0..5 {
        for client in &mut clients {
            // Together less than any buffer in between, so that the client may write first and read then.
            let texts: Vec<String> =
                (0..6).map(|at| format!("{round}.{at}.").repeat(4000 + 100 * at)).collect();
            texts.iter().for_each(|text| client.text(text));
            texts.into_iter().for_each(|text| assert_eq!(client.get(), Got::Text(text)));
            (0..40).for_each(|at| client.echo(&format!("{round}.{at}")));
        }
    }
    server.stop();
}

#[test]
fn where_a_sandbox_forbids_io_uring_epoll_serves_and_one_line_says_why() {
    let sandbox = |arguments: &[&str]| {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("sandbox.py");
        std::fs::write(&file, SANDBOX).unwrap();
        let mut all = vec![file.to_str().unwrap().to_owned()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        (home, all)
    };
    let (_kept, arguments) = sandbox(&["425", "1"]);
    if !Command::new("python3").args(&arguments).status().is_ok_and(|status| status.success()) {
        println!("skipped: no python3, or no filters of system calls");
        return;
    }
    for (call, error, reason) in [
        (IO_URING_SETUP, libc::EPERM, "a sandbox, or kernel.io_uring_disabled"),
        (IO_URING_SETUP, libc::ENOSYS, "the kernel has no io_uring"),
        (IO_URING_SETUP, libc::ENOMEM, "see `ulimit -l`"),
        (IO_URING_ENTER, libc::EPERM, "a sandbox, or kernel.io_uring_disabled"),
    ] {
        let home = home("io_uring");
        home.save();
        let (call, error) = (call.to_string(), error.to_string());
        let place = home.path().to_str().unwrap();
        let (_kept, arguments) =
            sandbox(&[&call, &error, env!("CARGO_BIN_EXE_lapps"), "run", "--home", place]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let server = Lapps::program("python3", Path::new("."), &arguments, &[]);
        echoes(&server);
        assert!(!server.banner.contains("(io_uring)"), "{}", server.banner);
        let told = server.stop();
        assert!(told.contains(reason), "{told}");
        assert_eq!(told.matches("io_uring cannot be used").count(), 1, "{told}");
    }
}
