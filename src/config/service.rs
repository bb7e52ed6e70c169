//! One service as it is configured.

use std::time::Duration;

use super::acl::Acl;

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name of its directory, its file and its Lua global.
    pub name: String,
    /// Whether it is started with the server: because its key says so, or because a service that is started depends on it.
    pub auto_start: bool,
    /// Which threads run it.
    pub placement: Placement,
    /// How its messages are read.
    pub protocol: Protocol,
    /// The path that clients ask for; it begins with a slash and no other service has it. Empty for a standalone service.
    pub request_target: String,
    /// Bytes of the longest message that a client may send, the sum of its fragments; 1 to 2^30.
    pub max_inbound_message_size: usize,
    /// Fragments of one message, at least 1.
    pub max_fragments: u32,
    /// Unsent bytes of a connection above which nothing more is read from it.
    pub outgoing_high_water: usize,
    /// Unsent bytes of a connection above which it is closed; not less than the high water.
    pub outgoing_limit: usize,
    /// Bytes of Lua memory of one instance, at least 1 MiB.
    pub max_lua_memory: usize,
    /// How Lua's collector paces itself.
    pub gc: Gc,
    /// How long a dedicated instance that had messages a moment ago looks for the next ones before it sleeps; at most 1 ms.
    pub spin: Duration,
    /// Which events of an instance may interleave; `None`: as the service's handlers suggest.
    pub concurrency: Option<Concurrency>,
    /// Names of modules that become globals.
    pub preload: Vec<String>,
    /// Who may use this service, of those whom the server lets in.
    pub acl: Acl,
    /// The origins from which browsers may use it, in lower case; `None`: any.
    pub origins: Option<Vec<String>>,
    /// Header fields added to the answer to an upgrade, sorted by name; names are tokens, values have no control characters.
    pub extra_headers: Vec<(String, String)>,
    /// The subprotocol that the answer to an upgrade names; a token.
    pub proto_alias: Option<String>,
    /// The services that are started before this one.
    pub depends: Vec<String>,
    /// Whether a failing handler ends its instance, as in the original.
    pub lapps_strict: bool,
    /// Where its code is.
    pub source: Source,
}

/// Which threads run a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// One instance in each I/O worker.
    Worker,
    /// So many instances (at least 1), each with a thread of its own.
    Dedicated(usize),
    /// So many instances (at least 1) of a service without clients, each with a thread of its own.
    Standalone(usize),
}

/// Which events of one instance may interleave while a handler waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concurrency {
    /// None: one event at a time.
    Serial,
    /// Those of several connections; those of one come one at a time.
    Connection,
    /// All.
    Free,
}

/// How the messages of a service are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Text and binary messages as they are.
    Raw,
    /// CBOR messages of the LAppS protocol.
    Lapps,
}

/// Where the code of a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `NAME/NAME.lua` in the applications directory.
    Apps,
    /// This text.
    Embedded(&'static str),
}

/// The pace of Lua's collector, as the service asks for it; `None`: as the size of the heap suggests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gc {
    /// Percentage of the living heap at which a collection starts, from 100 to 1000.
    pub pause: Option<u16>,
    /// Percentage of what is allocated meanwhile that a collection handles, from 100 to 1000.
    pub stepmul: Option<u16>,
}
