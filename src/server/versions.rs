//! The versions of services that a server has: what each is doing, and who of it is left.

use std::sync::Arc;
use std::time::Instant;

use super::Outcome;
use crate::config::{Placement, Service};
use crate::engine::mail::Letter;
use crate::engine::mailbox::Postbox;
use crate::engine::report::Who;
use crate::services::registry::{Entry, Registry};

/// Numbers of services, and of instances with a thread of their own, that there may be at the same time.
const NUMBERS: usize = 1 << 16;

/// All versions by number. A number goes to another version when nobody has anything to do with the first one any more.
#[derive(Default)]
pub(super) struct Versions(Vec<Option<Version>>);

/// One version of a service.
pub(super) struct Version {
    pub(super) entry: Arc<Entry>,
    pub(super) outcome: Outcome,
    pub(super) phase: Phase,
    /// Its instances; of a co-located service one for each worker.
    pub(super) members: Vec<Member>,
    /// Whether it is this one that clients find, and not one that comes or goes.
    pub(super) current: bool,
}

/// What a version is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing: none of its instances is there.
    Idle,
    Starting,
    Running,
    /// `onShutdown` is called, or `run` comes to its end.
    Stopping {
        deadline: Instant,
    },
    /// So many workers still have connections of it, or an instance.
    Leaving {
        deadline: Instant,
        workers: usize,
    },
    /// The threads of its instances come to their end.
    Exiting,
}

/// One instance.
pub(super) struct Member {
    /// To its thread, if it has one of its own.
    pub(super) post: Option<Postbox<Letter>>,
    pub(super) thread: Option<usize>,
    pub(super) start: Start,
    pub(super) stopped: bool,
    pub(super) ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Pending,
    /// It is not at its end, but the thread is free for other things.
    Waits,
    Over,
}

impl Versions {
    /// Adds a version of which nothing runs, and tells its number.
    pub(super) fn add(&mut self, service: Service, current: bool) -> Result<usize, String> {
        let too_many = || format!("service '{}' cannot be started: too many at the same time", service.name);
        let number = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        let first = self.first_free(&service).filter(|_| number < NUMBERS).ok_or_else(too_many)?;
        if number == self.0.len() {
            self.0.push(None);
        }
        self.0[number] = Some(Version {
            entry: Arc::new(Entry::new(service, first)),
            outcome: Outcome::NotStarted,
            phase: Phase::Idle,
            members: Vec::new(),
            current,
        });
        Ok(number)
    }

    /// Where the numbers of its instances with a thread of their own can begin.
    fn first_free(&self, service: &Service) -> Option<usize> {
        let (Placement::Dedicated(count) | Placement::Standalone(count)) = service.placement else {
            return Some(0);
        };
        let mut taken: Vec<_> = self.all().map(|(_, version)| version.entry.instances.clone()).collect();
        taken.retain(|numbers| !numbers.is_empty());
        taken.sort_by_key(|numbers| numbers.start);
        let mut first = 0;
        for numbers in taken {
            if numbers.start >= first + count {
                break;
            }
            first = numbers.end;
        }
        (first + count <= NUMBERS).then_some(first)
    }

    /// All that are there, with their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &Version)> {
        self.0.iter().enumerate().filter_map(|(number, version)| Some((number, version.as_ref()?)))
    }

    /// The numbers of all that are there.
    pub(super) fn numbers(&self) -> Vec<usize> {
        self.all().map(|(number, _)| number).collect()
    }

    /// Those that are not on their way in or out, by number.
    pub(super) fn current(&self) -> impl Iterator<Item = (usize, &Version)> {
        self.all().filter(|(_, version)| version.current)
    }

    /// The current version of the service with this name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.current().find(|(_, version)| version.name() == name).map(|(number, _)| number)
    }

    /// The version with this number, if there is one.
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Version> {
        self.0.get_mut(number)?.as_mut()
    }

    /// The version with this number, which is there.
    pub(super) fn at(&mut self, number: usize) -> &mut Version {
        self.get_mut(number).expect("a version is there until it has gone")
    }

    /// The instance that a report is about.
    pub(super) fn member(&mut self, who: Who) -> Option<&mut Member> {
        self.get_mut(who.service)?.members.get_mut(who.nth)
    }

    /// The instance that this thread runs.
    pub(super) fn of_thread(&mut self, thread: usize) -> Option<&mut Member> {
        let members = self.0.iter_mut().flatten().flat_map(|version| &mut version.members);
        members.into_iter().find(|member| member.thread == Some(thread))
    }

    /// Forgets a version of which nothing is left.
    pub(super) fn remove(&mut self, number: usize) {
        self.0[number] = None;
        while self.0.last().is_some_and(Option::is_none) {
            self.0.pop();
        }
    }

    /// What workers are to know of all this.
    pub(super) fn registry(&self, page: Option<&'static str>) -> Registry {
        let entries = self
            .0
            .iter()
            .map(|version| version.as_ref().map(|version| (&version.entry, version.has_target())));
        Registry::new(entries, page)
    }
}

impl Version {
    pub(super) fn name(&self) -> &str {
        &self.entry.service.name
    }

    /// True for the version of a service without clients.
    pub(super) fn is_standalone(&self) -> bool {
        matches!(self.entry.service.placement, Placement::Standalone(_))
    }

    fn has_target(&self) -> bool {
        self.current && !self.is_standalone()
    }

    /// How many instances have not started yet, and how many of these wait.
    pub(super) fn starting(&self) -> (usize, usize) {
        let count = |start| self.members.iter().filter(|member| member.start == start).count();
        let waiting = count(Start::Waits);
        (count(Start::Pending) + waiting, waiting)
    }

    /// How many instances have not come to the end of `onShutdown`.
    pub(super) fn stopping(&self) -> usize {
        self.members.iter().filter(|member| !member.stopped && !member.ended).count()
    }

    /// True when the threads of all instances have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.members.iter().all(|member| member.ended)
    }

    /// Says something to all instances that have a thread of their own.
    pub(super) fn tell(&mut self, letter: impl Fn() -> Letter) {
        for post in
            self.members.iter_mut().filter(|member| !member.ended).filter_map(|member| member.post.as_mut())
        {
            post.send(letter());
        }
    }
}

impl Member {
    /// An instance that was asked to start: in a worker, or in this thread.
    pub(super) fn new(own: Option<(Postbox<Letter>, usize)>) -> Member {
        let (post, thread) = own.unzip();
        Member { post, thread, start: Start::Pending, stopped: false, ended: false }
    }
}
