//! What signals order: to stop, to read files again, to open the log file again.

use std::sync::{Arc, OnceLock};

use lapps::server::Stopper;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

/// Listens to signals on a thread of its own. Until there is somebody to stop, the first order to stop ends the process.
///
/// # Errors
/// The system does not let signals be handled.
pub(crate) fn listen(server: Arc<OnceLock<Stopper>>) -> Result<(), String> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1])
        .map_err(|error| format!("cannot handle signals: {error}"))?;
    std::thread::spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            match (signal, server.get()) {
                (SIGUSR1, _) => lapps::reopen_log(),
                (SIGHUP, Some(server)) => server.reloader().reload(),
                (SIGHUP, None) => tracing::info!("SIGHUP: nothing is read yet that could be read again"),
                _ if stopping => exit("second signal, exiting at once"),
                (_, Some(server)) => {
                    stopping = true;
                    tracing::info!("stopping: onShutdown, close 1001; a second signal ends it at once");
                    server.stop();
                }
                (_, None) => exit("ended by a signal while services start"),
            }
        }
    });
    Ok(())
}

fn exit(why: &str) -> ! {
    eprintln!("lapps: {why}");
    std::process::exit(1);
}
