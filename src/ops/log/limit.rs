//! Lines that come again and again: the first of them are logged, the others counted and told as one line.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines from one place of the code, about one service, that are logged in a period.
const MOST: u32 = 20;

/// It begins with the first line.
const PERIOD: Duration = Duration::from_secs(10);

/// Letters of a line that are told again.
const SHOWN: usize = 200;

/// Periods that are remembered before those that are over are looked for.
const KEPT: usize = 1024;

/// The target of the lines that tell of others. It has no limit.
const TARGET: &str = "lapps::log";

static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

/// How many lines were left out so far.
pub(super) fn suppressed() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}

/// The layer that leaves lines out: errors, warnings and news. Who asks for more wants all of it.
#[derive(Clone, Default)]
pub(super) struct Limit(Arc<Shared>);

#[derive(Default)]
struct Shared {
    periods: Mutex<Periods>,
    /// Something was left out, where nothing was before.
    news: Condvar,
}

#[derive(Default)]
struct Periods {
    /// By place in the code, and the service that a line is about.
    open: HashMap<(Identifier, u64), Period>,
    hasher: RandomState,
}

struct Period {
    began: Instant,
    lines: u32,
    left_out: u64,
    level: Level,
    service: Option<String>,
    /// The last line that was logged.
    text: String,
}

impl Limit {
    /// Begins to tell, on a thread of its own, what was left out when its period is over.
    pub(super) fn start(&self) {
        let limit = self.clone();
        // Where there is no thread to be had, it is told at the end.
        let _ = thread::Builder::new().name("log".into()).spawn(move || limit.run());
    }

    /// Tells all that was left out, whatever is left of its period.
    pub(super) fn tell_all(&self) {
        let over = self.lock().take(|_| true);
        over.iter().for_each(Period::tell);
    }

    fn run(&self) {
        let mut periods = self.lock();
        loop {
            let now = Instant::now();
            let over = periods.take(|period| now >= period.began + PERIOD);
            if !over.is_empty() {
                // Whoever writes lines needs the lock.
                drop(periods);
                over.iter().for_each(Period::tell);
                periods = self.lock();
                continue;
            }
            let next =
                periods.open.values().filter(|period| period.left_out > 0).map(|period| period.began).min();
            periods = match next {
                None => self.0.news.wait(periods).unwrap_or_else(PoisonError::into_inner),
                Some(began) => {
                    let wait = (began + PERIOD).saturating_duration_since(now);
                    self.0.news.wait_timeout(periods, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Periods> {
        // Nothing of it is ever half done.
        self.0.periods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let meta = event.metadata();
        if *meta.level() > Level::INFO || meta.target() == TARGET {
            return true;
        }
        let mut about = About::default();
        event.record(&mut about);
        let taken = self.lock().take_line(meta.callsite(), *meta.level(), about, Instant::now());
        if taken == Taken::First {
            self.0.news.notify_one();
        }
        taken == Taken::Logged
    }
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Logged,
    /// It is the first one of its period that is left out.
    First,
    LeftOut,
}

impl Periods {
    fn take_line(&mut self, place: Identifier, level: Level, about: About, now: Instant) -> Taken {
        if self.open.len() >= KEPT {
            self.open.retain(|_, period| period.left_out > 0 || now < period.began + PERIOD);
        }
        let key = (place, self.hasher.hash_one(&about.service));
        let period = self.open.entry(key).or_insert_with(|| Period::new(level, now));
        // One with lines that were left out ends when these are told.
        if now >= period.began + PERIOD && period.left_out == 0 {
            *period = Period::new(level, now);
        }
        if period.lines < MOST {
            period.lines += 1;
            if period.lines == MOST {
                (period.service, period.text) = (about.service, about.message);
            }
            return Taken::Logged;
        }
        SUPPRESSED.fetch_add(1, Ordering::Relaxed);
        period.left_out += 1;
        if period.left_out == 1 { Taken::First } else { Taken::LeftOut }
    }

    /// Ends those periods with something to tell that are over.
    fn take(&mut self, is_over: impl Fn(&Period) -> bool) -> Vec<Period> {
        let over = self.open.extract_if(|_, period| period.left_out > 0 && is_over(period));
        over.map(|(_, period)| period).collect()
    }
}

impl Period {
    fn new(level: Level, began: Instant) -> Period {
        Period { began, lines: 0, left_out: 0, level, service: None, text: String::new() }
    }

    fn tell(&self) {
        let Period { left_out, service, .. } = self;
        let service = service.as_deref();
        let seconds = self.began.elapsed().as_secs();
        let text: String = self.text.lines().next().unwrap_or_default().chars().take(SHOWN).collect();
        let lines = if *left_out == 1 { "1 more line".to_owned() } else { format!("{left_out} more lines") };
        match self.level {
            Level::ERROR => {
                tracing::error!(target: TARGET, service, left_out, "{lines} like this in {seconds} s: {text}");
            }
            Level::WARN => {
                tracing::warn!(target: TARGET, service, left_out, "{lines} like this in {seconds} s: {text}");
            }
            _ => {
                tracing::info!(target: TARGET, service, left_out, "{lines} like this in {seconds} s: {text}")
            }
        }
    }
}

/// What of an event counts here.
#[derive(Default)]
struct About {
    message: String,
    service: Option<String>,
}

impl Visit for About {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "service" {
            self.service = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Callsite;

    use super::*;

    fn place() -> Identifier {
        tracing::callsite!(name: "a", kind: tracing::metadata::Kind::EVENT, fields:).metadata().callsite()
    }

    fn about(service: Option<&str>) -> About {
        About { message: "boom\nmore".into(), service: service.map(str::to_owned) }
    }

    #[test]
    fn the_first_are_logged_and_the_others_counted_until_the_period_is_over() {
        let (mut periods, place, began) = (Periods::default(), place(), Instant::now());
        let mut say =
            |service, after| periods.take_line(place.clone(), Level::WARN, about(service), began + after);
        for _ in 0..MOST {
            assert_eq!(say(Some("a"), Duration::ZERO), Taken::Logged);
        }
        assert_eq!(say(Some("a"), Duration::ZERO), Taken::First);
        assert_eq!(say(Some("a"), PERIOD / 2), Taken::LeftOut);
        assert_eq!(say(Some("b"), PERIOD / 2), Taken::Logged, "another service has lines of its own");
        assert_eq!(say(None, PERIOD / 2), Taken::Logged);
        assert_eq!(say(Some("a"), 2 * PERIOD), Taken::LeftOut, "it is not told yet");

        assert!(periods.take(|_| false).is_empty());
        let told = periods.take(|_| true);
        assert_eq!((told.len(), told[0].left_out, told[0].text.as_str()), (1, 3, "boom\nmore"));
        let again = periods.take_line(place.clone(), Level::WARN, about(Some("a")), began + 2 * PERIOD);
        assert_eq!(again, Taken::Logged);
    }

    #[test]
    fn a_period_without_a_flood_ends_by_itself() {
        let (mut periods, place, began) = (Periods::default(), place(), Instant::now());
        for n in 0..5 * MOST {
            let now = began + PERIOD * (n / MOST);
            assert_eq!(periods.take_line(place.clone(), Level::INFO, about(None), now), Taken::Logged, "{n}");
        }
    }

    #[test]
    fn periods_of_the_past_take_no_room() {
        let (mut periods, place, began) = (Periods::default(), place(), Instant::now());
        for n in 0..3 * KEPT {
            let service = n.to_string();
            let now = began + PERIOD * n as u32;
            periods.take_line(place.clone(), Level::INFO, about(Some(&service)), now);
        }
        assert!(periods.open.len() <= KEPT + 1, "{}", periods.open.len());
    }
}
