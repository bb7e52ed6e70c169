//! The events of outgoing connections: the functions that `cws:new` was given, for each connection one after the other.

use std::collections::VecDeque;
use std::mem;

use crate::error::{Failure, FailureKind};
use crate::port::{ClientEvent, ConnId, Port};
use crate::raw::{Args, Called, Handler, Instance};
use crate::reactive::{INTERRUPTED, Outcome, Verdict};
use crate::waiting::{ClientPending, Pending, Running, Waiting, weight};

/// Those events of one instance that wait.
#[derive(Debug)]
pub(crate) struct Clients {
    waiting: Waiting,
    /// Behind the event of which connection others still have to start, because the last turn was long enough.
    unfinished: Vec<ConnId>,
}

/// The instance to which they belong.
pub(crate) struct Host<'a> {
    pub(crate) service: &'a str,
    pub(crate) instance: &'a mut Instance,
    pub(crate) outcomes: &'a mut VecDeque<Outcome>,
    /// Everything was interrupted: handlers that end by that have not failed.
    pub(crate) winding_down: bool,
    /// Events of others wait, for which it matters which connections are closed.
    pub(crate) others_wait: bool,
}

impl Clients {
    pub(crate) fn new() -> Clients {
        Clients { waiting: Waiting::of_clients(), unfinished: Vec::new() }
    }

    /// True when no event waits or is being handled.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// True when events wait for others.
    pub(crate) fn has_pending(&self) -> bool {
        self.waiting.has_pending()
    }

    /// True when events want to start that the last turn had no time for.
    pub(crate) fn is_ready(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// Calls the handler of an event, now or behind those before it.
    pub(crate) fn deliver(
        &mut self,
        host: Host<'_>,
        port: &mut dyn Port,
        conn: ConnId,
        event: ClientEvent<'_>,
    ) -> Verdict {
        if !self.waiting.may_start(Some(conn)) {
            self.waiting.push(Some(conn), Pending::Client(conn, ClientPending::new(event)));
            host.instance.watch_closed(true);
            return Verdict::Waits { weight: weight_of(&event) };
        }
        self.handle(host, port, conn, event)
    }

    /// Starts what the last turn had no time for.
    pub(crate) fn turn(&mut self, mut host: Host<'_>, port: &mut dyn Port, left: &mut usize) {
        for conn in mem::take(&mut self.unfinished) {
            self.go_on(&mut host, port, conn, left);
        }
    }

    /// The handler of an event that has waited has ended; what was behind it may start.
    pub(crate) fn end(
        &mut self,
        mut host: Host<'_>,
        port: &mut dyn Port,
        number: u32,
        result: Result<(), FailureKind>,
        left: &mut usize,
    ) {
        let Some(Running { handler, conn: Some(conn), weight }) = self.waiting.end(number) else { return };
        if let Err(kind) = result
            && let Verdict::Fail(failure) = verdict(&host, handler, conn, kind)
        {
            self.fail(&mut host, conn, failure);
        }
        handled(&mut host, handler, conn, weight);
        self.go_on(&mut host, port, conn, left);
    }

    /// Drops the messages of `conn`, or of all connections, that have not started.
    pub(crate) fn drop_messages(&mut self, outcomes: &mut VecDeque<Outcome>, conn: Option<ConnId>) {
        for (conn, weight) in self.waiting.drop_messages(conn) {
            outcomes.push_back(Outcome::Handled { conn, weight });
        }
    }

    /// Starts what waited behind an event of `conn`, as far as it may.
    fn go_on(&mut self, host: &mut Host<'_>, port: &mut dyn Port, conn: ConnId, left: &mut usize) {
        while let Some(pending) = self.waiting.next(Some(conn)) {
            if *left == 0 {
                self.waiting.put_back(pending);
                self.unfinished.push(conn);
                break;
            }
            *left -= 1;
            let Pending::Client(_, event) = &pending else { continue };
            let event = event.event();
            let (handler, weight) = (Handler::of_client(&event), weight_of(&event));
            match self.handle(host.again(), port, conn, event) {
                Verdict::Keep => handled(host, handler, conn, weight),
                Verdict::Waits { .. } => {}
                Verdict::Fail(failure) => {
                    self.fail(host, conn, failure);
                    handled(host, handler, conn, weight);
                }
            }
        }
        host.instance.watch_closed(host.others_wait || self.has_pending());
    }

    /// Handles an event that may start now.
    fn handle(
        &mut self,
        host: Host<'_>,
        port: &mut dyn Port,
        conn: ConnId,
        event: ClientEvent<'_>,
    ) -> Verdict {
        let handler = Handler::of_client(&event);
        match host.instance.call(port, handler, Args::Client(conn, event)) {
            Ok(Called::Returned(_)) => Verdict::Keep,
            Ok(Called::Waits) => {
                let weight = weight_of(&event);
                let number = self.waiting.begin(Running { handler, conn: Some(conn), weight });
                host.instance.adopt(number);
                Verdict::Waits { weight }
            }
            Err(kind) => verdict(&host, handler, conn, kind),
        }
    }

    /// A handler that had waited, or whose event had, failed. Its connection will be closed: nothing of the peer's is
    /// delivered any more.
    fn fail(&mut self, host: &mut Host<'_>, conn: ConnId, failure: Failure) {
        host.outcomes.push_back(Outcome::Failed(failure));
        self.drop_messages(host.outcomes, Some(conn));
    }
}

impl Host<'_> {
    fn again(&mut self) -> Host<'_> {
        Host { service: self.service, instance: self.instance, outcomes: self.outcomes, ..*self }
    }
}

fn weight_of(event: &ClientEvent<'_>) -> usize {
    if let ClientEvent::Message { payload, .. } = event { weight(payload.len()) } else { 0 }
}

fn handled(host: &mut Host<'_>, handler: Handler, conn: ConnId, weight: usize) {
    if handler == Handler::ClientMessage {
        host.outcomes.push_back(Outcome::Handled { conn, weight });
    }
}

/// What a handler's failure means.
fn verdict(host: &Host<'_>, handler: Handler, conn: ConnId, kind: FailureKind) -> Verdict {
    match kind {
        FailureKind::Raised { message, .. } if host.winding_down && message == INTERRUPTED => Verdict::Keep,
        kind => Verdict::Fail(Failure::new(host.service, handler.name(), Some(conn), kind)),
    }
}
