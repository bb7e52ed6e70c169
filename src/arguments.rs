//! What may be typed behind `lapps`: every command and flag, from which help, manual pages and completions are made.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// What the long help and the manual page say behind the flags.
const MORE: &str = "\
Environment:
  LAPPS_HOME      The home directory, where --home does not say it
  LAPPS_CONF_DIR  The directory of the configuration; else etc/conf in the home
  WS_CONFIG       The name of the server's configuration file; else ws.json
  LAPPS_CONFIG    The name of the services' configuration file; else lapps.json
  LAPPS_LOG       What is logged: a level (error, warn, info, debug, trace), or levels by target
  LUA_PATH        Where Lua looks for modules, behind the directories of the services
  LUA_CPATH       The same for modules in C

The exit code is 0 if all went well, 1 if not, and 2 if what was typed cannot be understood.";

/// A Lua application server over WebSockets.
///
/// Without a configuration it runs the built-in demo on 127.0.0.1:5083.
#[derive(Debug, Parser)]
#[command(name = "lapps", version, args_conflicts_with_subcommands = true, after_long_help = MORE)]
pub struct Arguments {
    /// Without one the server is run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How, then.
    #[command(flatten)]
    pub run: Run,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (the default).
    Run(Run),
    /// Check the configuration, print the memory it can use, and start nothing.
    Check(Place),
    /// Make a service: its code, a test of it, a page that talks to it, and its configuration.
    New(New),
    /// Run the test of a service against a server of its own.
    Test(Test),
    /// Make a self-signed certificate for localhost: DIR/cert.pem and DIR/key.pem.
    DevCert {
        /// The directory to write to; it is made if need be.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Pack the directory of a service into an archive that can be deployed.
    Pack(Pack),
    /// Unpack an archive.
    Unpack(Unpack),
    /// Show what an archive holds: mode, size and path of each file.
    List(List),
    /// Commands for a server that runs.
    #[command(flatten)]
    Live(Live),
    /// Print what a shell needs to complete commands and flags.
    Completions {
        /// The shell.
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Write the manual pages: DIR/lapps.1, and one for each command.
    Man {
        /// The directory to write to; it is made if need be.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// How the server is run.
#[derive(Debug, Args)]
pub struct Run {
    /// Which configuration.
    #[command(flatten)]
    pub place: Place,
    /// Listen on this port instead of the configured one; 0 = any free one.
    #[arg(long)]
    pub port: Option<u16>,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogTo,
}

/// Where the log goes.
#[derive(Debug, Args)]
pub struct LogTo {
    /// Log to this file instead of the configured one, or of standard error. SIGUSR1 has it opened again.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// How lines of the log look.
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people; for the journal, where standard error is the journal.
    Text,
    /// One object per line.
    Json,
}

/// Which configuration is meant.
#[derive(Debug, Args)]
pub struct Place {
    /// The home directory: services in DIR/apps, configuration in DIR/etc/conf. Without it LAPPS_HOME and LAPPS_CONF_DIR
    /// say where, then /opt/lapps counts, then what a package has put into /etc/lapps.
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Use the built-in demo, whatever is configured.
    #[arg(long, conflicts_with = "home")]
    pub demo: bool,
}

/// What is made.
#[derive(Debug, Args)]
pub struct New {
    /// The name of the service: letters, digits, _ and -. Clients find it at /NAME.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Messages as they are, or requests and notifications of the LAppS protocol.
    #[arg(long, value_enum, default_value_t = Kind::Raw)]
    pub protocol: Kind,
    /// The home that gets the service; it is made if need be. Without it, it is the current directory if that is a home,
    /// else the new directory NAME.
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
}

/// The protocol of a service that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Texts and bytes.
    Raw,
    /// CBOR messages.
    #[value(name = "LAppS", alias = "lapps")]
    Lapps,
}

/// What is tested.
#[derive(Debug, Args)]
pub struct Test {
    /// The name of the service; its test is NAME_test.lua beside its code.
    #[arg(value_name = "NAME")]
    pub service: String,
    /// The home directory. Without it it is found as for `lapps run`.
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
}

/// What is packed.
#[derive(Debug, Args)]
pub struct Pack {
    /// The directory of the service; it holds NAME.lua and NAME.json, and its name is the service's.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The archive to write; NAME.lar in the current directory if it is not given. One that is there is replaced.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What is unpacked.
#[derive(Debug, Args)]
pub struct Unpack {
    /// The archive.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where the directory of the service is made; it must not be there yet.
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
}

/// What is listed.
#[derive(Debug, Args)]
pub struct List {
    /// The archive.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// The commands that ask or change a server that runs.
#[derive(Debug, Subcommand)]
pub enum Live {
    /// Show how the server that runs is.
    Status(Where),
    /// Show its services.
    Services(Where),
    /// Show its connections.
    Connections {
        /// Only those of this service.
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        /// So many at most.
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: u64,
        /// Which server is meant.
        #[command(flatten)]
        place: Where,
    },
    /// Close a connection: its client gets 1008.
    Kick {
        /// Its number, as services and the log have it.
        #[arg(value_name = "ID")]
        id: u64,
        /// Which server is meant.
        #[command(flatten)]
        place: Where,
    },
    /// Read certificates and access lists again, for new connections; what is wrong leaves the old in force.
    Reload(Where),
    /// Change what is logged.
    Log {
        /// A level (error, warn, info, debug, trace), or levels by target as LAPPS_LOG has them.
        #[arg(value_name = "FILTER")]
        filter: String,
        /// Which server is meant.
        #[command(flatten)]
        place: Where,
    },
    /// Start a service that is not running.
    Start(Named),
    /// Stop a service: its clients get 1012, and others 503.
    Stop(Named),
    /// Start a service anew; connections go to the new version as soon as it runs.
    Restart(Named),
}

/// A service of a server that runs.
#[derive(Debug, Args)]
pub struct Named {
    /// The name of the service.
    #[arg(value_name = "NAME")]
    pub service: String,
    /// Which server is meant.
    #[command(flatten)]
    pub place: Where,
}

/// Which server is meant, and how it is shown.
#[derive(Debug, Args)]
pub struct Where {
    /// The home directory of the server. Without it it is found as for `lapps run`.
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// The server's control socket, in place of that of its configuration.
    #[arg(long, value_name = "PATH", conflicts_with = "home")]
    pub socket: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The definition of all that, for whoever wants to walk it.
pub fn definition() -> clap::Command {
    Arguments::command()
}

/// What `shell` has to read so that it completes commands and flags.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut definition(), "lapps", &mut text);
    text
}
