//! How a line looks: for people, for the journal, or as JSON. Field names are the same in all of them.

use std::fmt::{self, Debug, Write};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How lines look.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line {
    Text {
        colours: bool,
    },
    /// The journal knows the time itself, and takes the priority from the beginning of each line (sd-daemon(3)).
    Journal,
    /// One object per line.
    Json,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut said = Said::default();
        event.record(&mut said);
        let meta = event.metadata();
        self.write(&mut out, &time, *meta.level(), meta.target(), said)
    }
}

impl Line {
    fn write(self, out: &mut dyn Write, time: &str, level: Level, target: &str, said: Said) -> fmt::Result {
        match self {
            Line::Text { colours } => {
                let (on, off) = if colours { (colour(level), "\x1b[0m") } else { ("", "") };
                writeln!(out, "{time} {on}{level:>5}{off} {target}: {}", said.text())
            }
            Line::Journal => {
                let priority = priority(level);
                let text = format!("{target}: {}", said.text());
                text.lines().try_for_each(|line| writeln!(out, "<{priority}>{line}"))
            }
            Line::Json => {
                let mut object = said.fields;
                object.insert("time".into(), time.into());
                object.insert("level".into(), level.as_str().to_lowercase().into());
                object.insert("target".into(), target.into());
                object.insert("message".into(), said.message.into());
                writeln!(out, "{}", Value::Object(object))
            }
        }
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    }
}

/// As syslog has it.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    /// The message, and behind its first line the fields, but for those that it says in its own words.
    fn text(&self) -> String {
        let mut fields = String::new();
        for (name, value) in &self.fields {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let in_words = match name.as_str() {
                "service" => self.message.contains(&format!("service '{value}'")),
                "conn" => self.message.contains(&format!("connection {value}")),
                _ => false,
            };
            if !in_words {
                fields.push_str(&format!(" {name}={value}"));
            }
        }
        let (first, rest) = self.message.split_at(self.message.find('\n').unwrap_or(self.message.len()));
        let mut text = String::with_capacity(self.message.len() + fields.len());
        for c in first.chars().chain(fields.chars()).chain(rest.chars()) {
            // Of what clients send some may come here; it is not to work on anybody's terminal.
            if c.is_control() && !matches!(c, '\n' | '\t') {
                text.extend(c.escape_unicode())
            } else {
                text.push(c)
            }
        }
        text
    }

    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.add(field, format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(line: Line, message: &str, fields: Value) -> String {
        let Value::Object(fields) = fields else { panic!("an object") };
        let mut out = String::new();
        let said = Said { message: message.into(), fields };
        line.write(&mut out, "NOW", Level::WARN, "lapps::engine", said).unwrap();
        out
    }

    const TEXT: Line = Line::Text { colours: false };

    #[test]
    fn text_has_the_fields_behind_the_first_line_unless_the_message_has_them() {
        let fields = || json!({ "conn": 42, "peer": "::1", "service": "echo" });
        assert_eq!(
            line(TEXT, "boom\n\tat a", fields()),
            "NOW  WARN lapps::engine: boom conn=42 peer=::1 service=echo\n\tat a\n"
        );
        assert_eq!(
            line(TEXT, "service 'echo', onMessage, connection 42: boom", fields()),
            "NOW  WARN lapps::engine: service 'echo', onMessage, connection 42: boom peer=::1\n"
        );
        let coloured = line(Line::Text { colours: true }, "x", json!({}));
        assert_eq!(coloured, "NOW \x1b[33m WARN\x1b[0m lapps::engine: x\n");
    }

    #[test]
    fn what_would_work_on_a_terminal_is_written_out() {
        assert_eq!(
            line(TEXT, "\x1b[2Ja\rb\u{9b}", json!({})),
            "NOW  WARN lapps::engine: \\u{1b}[2Ja\\u{d}b\\u{9b}\n"
        );
    }

    #[test]
    fn each_line_for_the_journal_has_its_priority_and_no_time() {
        assert_eq!(
            line(Line::Journal, "boom\nat a", json!({ "conn": 1 })),
            "<4>lapps::engine: boom conn=1\n<4>at a\n"
        );
    }

    #[test]
    fn json_is_one_object_in_one_line() {
        let text = line(Line::Json, "boom\n\"at\" a", json!({ "conn": 42, "service": "echo" }));
        assert_eq!(text.lines().count(), 1);
        let expected = json!({
            "time": "NOW", "level": "warn", "target": "lapps::engine",
            "message": "boom\n\"at\" a", "conn": 42, "service": "echo",
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }
}
