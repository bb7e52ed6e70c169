//! All metrics by name, made from the tallies when somebody asks.

use super::causes::{Cause, STATUSES};
use super::counter::Counter;
use super::exposition::Exposition;
use super::histogram::BOUNDS;
use super::ledger::{Books, Ledger};
use super::tally::{InstanceTally, ListenerTally, WorkerTally};
use crate::sys::process;

/// A name, what it means, and where its number is in a tally.
type Row<T> = (&'static str, &'static str, fn(&T) -> u64);

const LISTENERS: [Row<ListenerTally>; 2] = [
    ("lapps_connections_accepted_total", "Connections that were accepted.", |tally| tally.accepted.get()),
    ("lapps_accept_pauses_total", "Times that no file descriptor was left to accept with.", |tally| {
        tally.exhausted.get()
    }),
];

const WORKERS: [Row<WorkerTally>; 5] = [
    ("lapps_worker_received_messages_total", "Messages of clients that were handed to services.", |tally| {
        tally.messages_in.get()
    }),
    ("lapps_worker_received_bytes_total", "Bytes from sockets, after decryption.", |tally| {
        tally.bytes_in.get()
    }),
    ("lapps_worker_sent_messages_total", "Messages of services to clients, without broadcasts.", |tally| {
        tally.messages_out.get()
    }),
    ("lapps_worker_sent_bytes_total", "Bytes that sockets took, before encryption.", |tally| {
        tally.bytes_out.get()
    }),
    (
        "lapps_broadcast_deliveries_total",
        "Broadcast messages, once for each client that they went to.",
        |tally| tally.deliveries.get(),
    ),
];

const INSTANCES: [Row<InstanceTally>; 8] = [
    ("lapps_received_messages_total", "Messages of clients that the instance got.", |tally| {
        tally.messages_in.get()
    }),
    ("lapps_received_bytes_total", "Bytes in the messages that the instance got.", |tally| {
        tally.bytes_in.get()
    }),
    ("lapps_sent_messages_total", "Messages that the instance sent, without broadcasts.", |tally| {
        tally.messages_out.get()
    }),
    ("lapps_sent_bytes_total", "Bytes in the messages that the instance sent.", |tally| {
        tally.bytes_out.get()
    }),
    ("lapps_connections_opened_total", "Clients that the instance began to serve.", |tally| {
        tally.opened.get()
    }),
    ("lapps_outgoing_events_total", "Events of outgoing connections that the instance got.", |tally| {
        tally.outgoing.get()
    }),
    ("lapps_handler_errors_total", "Handlers of the instance that failed.", |tally| tally.errors.get()),
    ("lapps_lua_collections_total", "Collections of garbage that have ended.", |tally| {
        tally.collections.get()
    }),
];

const LEVELS: [Row<InstanceTally>; 2] = [
    ("lapps_service_connections", "Clients that the instance serves.", |tally| {
        tally.opened.get().saturating_sub(tally.closed.get())
    }),
    ("lapps_lua_heap_bytes", "Bytes of the instance's Lua heap when its thread last slept.", |tally| {
        tally.heap.get()
    }),
];

/// What is told of a server at this moment.
pub(super) fn render(ledger: &Ledger) -> String {
    let mut out = Exposition::default();
    out.gauge("lapps_build_info", "Which build this is; always 1.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.gauge(
        "lapps_ready",
        "1 while clients are served, 0 before services have started and while they stop.",
    )
    .sample(&[], u8::from(ledger.is_ready()));
    out.counter(
        "lapps_log_suppressed_lines_total",
        "Lines of the log that were left out, because many like them had come.",
    )
    .sample(&[], super::log::suppressed());
    let books = ledger.books();
    listeners(&books, &mut out);
    workers(&books, &mut out);
    instances(&books, &mut out);
    drop(books);
    of_process(&mut out);
    out.into_text()
}

fn listeners(books: &Books, out: &mut Exposition) {
    let listeners = numbered(&books.listeners);
    for (name, help, value) in LISTENERS {
        let mut family = out.counter(name, help);
        for (number, tally) in &listeners {
            family.sample(&[("listener", number)], value(tally));
        }
    }
    let mut family = out.counter(
        "lapps_connections_refused_total",
        "Connections that were turned away: by the access list, or because the server was full.",
    );
    for (number, tally) in &listeners {
        for (reason, count) in [("acl", &tally.denied), ("full", &tally.full)] {
            family.sample(&[("listener", number), ("reason", reason)], count.get());
        }
    }
}

fn workers(books: &Books, out: &mut Exposition) {
    let workers = numbered(&books.workers);
    let mut open = out.gauge("lapps_worker_connections", "Connections that the worker has, upgraded or not.");
    for (number, tally) in &workers {
        // In this order: who comes and goes meanwhile has come at least.
        let removed = tally.removed.get();
        open.sample(&[("worker", number)], tally.adopted.get().saturating_sub(removed));
    }
    let mut queued = out.gauge("lapps_worker_queued_bytes", "Bytes that sockets have not taken yet.");
    for (number, tally) in &workers {
        queued.sample(&[("worker", number)], tally.queued.get());
    }
    for (name, help, value) in WORKERS {
        let mut family = out.counter(name, help);
        for (number, tally) in &workers {
            family.sample(&[("worker", number)], value(tally));
        }
    }
    let by = |out: &mut Exposition,
              name: &'static str,
              help: &str,
              label: &str,
              counts: fn(&WorkerTally) -> Vec<(&'static str, &Counter)>| {
        let mut family = out.counter(name, help);
        for (number, tally) in &workers {
            for (value, count) in counts(tally) {
                family.sample(&[("worker", number), (label, value)], count.get());
            }
        }
    };
    by(
        out,
        "lapps_handshakes_total",
        "Requests by the status of their answer; 101 opens a WebSocket.",
        "status",
        |tally| STATUSES.iter().map(|(_, text)| *text).zip(&tally.answers.0).collect(),
    );
    by(
        out,
        "lapps_tls_handshakes_total",
        "TLS handshakes of clients by how they ended.",
        "result",
        |tally| vec![("done", &tally.tls_done), ("failed", &tally.tls_failed)],
    );
    by(
        out,
        "lapps_connections_ended_total",
        "Connections that ended, by what ended them.",
        "cause",
        |tally| Cause::ALL.iter().map(|(_, text)| *text).zip(&tally.ended.0).collect(),
    );
    by(
        out,
        "lapps_pauses_total",
        "Times that a connection was not read for a while, by the reason.",
        "reason",
        |tally| {
            vec![
                ("budget", &tally.paused_budget),
                ("output", &tally.paused_output),
                ("ring", &tally.paused_ring),
            ]
        },
    );
}

fn instances(books: &Books, out: &mut Exposition) {
    let instances: Vec<_> = books
        .instances
        .iter()
        .map(|((service, number), record)| (service.as_str(), number.to_string(), record, record.sum()))
        .collect();
    let mut starts = out.counter("lapps_instance_starts_total", "Times that the instance was loaded.");
    for (service, number, record, _) in &instances {
        starts.sample(&[("service", service), ("instance", number)], record.starts);
    }
    let mut running = out.gauge(
        "lapps_instances",
        "Instances that live: 1, or 0 where it has ended, or more while one replaces another.",
    );
    for (service, number, record, _) in &instances {
        running.sample(&[("service", service), ("instance", number)], record.living.len());
    }
    for (name, help, value) in INSTANCES {
        let mut family = out.counter(name, help);
        for (service, number, _, sum) in &instances {
            family.sample(&[("service", service), ("instance", number)], value(sum));
        }
    }
    for (name, help, value) in LEVELS {
        let mut family = out.gauge(name, help);
        for (service, number, _, sum) in &instances {
            family.sample(&[("service", service), ("instance", number)], value(sum));
        }
    }
    let mut fibers = out
        .gauge("lapps_lua_fibers", "Fibers of the instance that have begun and not ended, by what they do.");
    for (service, number, _, sum) in &instances {
        let (running, ready) = (sum.fibers_running.get(), sum.fibers_ready.get());
        let waiting = sum.fibers.get().saturating_sub(running + ready);
        for (state, count) in [("running", running), ("ready", ready), ("waiting", waiting)] {
            fibers.sample(&[("service", service), ("instance", number), ("state", state)], count);
        }
    }
    let mut handlers = out.histogram(
        "lapps_handler_seconds",
        "How long handlers of clients' events ran before they returned or waited: of one call in 64; where a call handles many messages, their mean.",
    );
    for (service, number, _, sum) in &instances {
        let labels = [("service", *service), ("instance", number)];
        let bounds = BOUNDS.iter().map(|(_, text)| *text);
        handlers.buckets(&labels, bounds, &sum.handlers.cumulative(), sum.handlers.seconds());
    }
}

/// These have the names that all programs give them.
fn of_process(out: &mut Exposition) {
    let Some(taken) = process::taken() else { return };
    out.counter("process_cpu_seconds_total", "Time on processors, of user and system.")
        .sample(&[], taken.cpu);
    out.gauge("process_start_time_seconds", "When the process began, since 1970.").sample(&[], taken.started);
    out.gauge("process_resident_memory_bytes", "Bytes in memory.").sample(&[], taken.resident_bytes);
    out.gauge("process_virtual_memory_bytes", "Bytes of address space.").sample(&[], taken.virtual_bytes);
    out.gauge("process_open_fds", "Open file descriptors.").sample(&[], taken.open_files);
    let mut most = out.gauge("process_max_fds", "How many file descriptors may be open.");
    match taken.max_files {
        Some(files) => most.sample(&[], files),
        None => most.sample(&[], "+Inf"),
    };
    out.gauge("process_threads", "Threads.").sample(&[], taken.threads);
}

fn numbered<T>(all: &[T]) -> Vec<(String, &T)> {
    all.iter().enumerate().map(|(number, tally)| (number.to_string(), tally)).collect()
}
