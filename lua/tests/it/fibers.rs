//! The semantic cases of `tests/cases`, in handlers and in a standalone service, with a virtual clock.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lapps_lua::{Concurrency, ConnId, Outcome, Reactive, Verdict};

use crate::stage::{Stage, conn, quoted};

const CHECK: &str = include_str!("../cases/lib/check.lua");
const RUNNER: &str = include_str!("../cases/lib/runner.lua");
const ONE: ConnId = conn(1);
/// What still has timers then has them for ever.
const FOREVER: Duration = Duration::from_secs(1_000_000);

/// Makes two tests of each file.
macro_rules! cases {
    ($($name:ident)*) => {
        const FILES: &[&str] = &[$(stringify!($name)),*];
        $(
            mod $name {
                const TEXT: &str = include_str!(concat!("../cases/", stringify!($name), ".lua"));

                #[test]
                fn in_handlers() {
                    super::in_handlers(stringify!($name), TEXT);
                }

                #[test]
                fn in_a_standalone_service() {
                    super::in_a_standalone_service(stringify!($name), TEXT);
                }
            }
        )*
    };
}

cases! {
    barrier boundary channel condition_variable coroutines detach future interruption join misuse modules mqr murmur mutex nap
    nljson nljson_misuse nljson_walk order pam_auth hostile points protected recursive_mutex scope select semaphore tangles
    this_fiber time timers with_timeout
}

#[test]
fn no_file_is_forgotten() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(path.is_dir() || FILES.contains(&name.as_str()), "{name} is not in the list above");
    }
}

/// What came of one case.
struct Result {
    name: String,
    /// What is wrong; `None`: it passed.
    wrong: Option<String>,
}

/// The lines that make `cases` and `runner`.
fn prelude(name: &str, text: &str) -> String {
    let preload = [("lib.check", CHECK), ("lib.runner", RUNNER)].map(|(module, text)| {
        format!("package.preload['{module}'] = assert(loadstring({}, '@{module}'))\n", quoted(text))
    });
    format!(
        "{}local runner = require 'lib.runner'\nlocal cases = assert(loadstring({}, '@{name}.lua'))()\n",
        preload.concat(),
        quoted(text)
    )
}

fn in_handlers(file: &str, text: &str) {
    let lines = format!(
        "{}
         function demo.onMessage(h, _, name)
            if name == '?' then return ws:send(h, 1, table.concat(runner.names(cases), '\\n')) end
            local verdict, text = runner.run(cases, name, true)
            return ws:send(h, 1, verdict .. '\\n' .. text)
         end",
        prelude(file, text)
    );
    let mut failures = Vec::new();
    for concurrency in [Concurrency::Serial, Concurrency::Connection, Concurrency::Free] {
        let begin = || {
            let mut stage = Stage::reactive(&lines, Some(concurrency));
            stage.world.open.insert(ONE);
            stage
        };
        let mut stage = begin();
        assert!(matches!(stage.text(ONE, "?"), Verdict::Keep));
        let names = stage.take_sent().pop().unwrap();
        for name in names.lines() {
            let wrong = one_case(&mut stage, name);
            println!("{} {concurrency:?} {file}: {name}", if wrong.is_none() { "ok" } else { "WRONG" });
            if let Some(wrong) = wrong {
                failures.push(format!("{concurrency:?} {file}: {name}\n{wrong}"));
                // What it left behind is not the next one's.
                stage = begin();
            }
        }
    }
    assert!(failures.is_empty(), "{} failed\n\n{}", failures.len(), failures.join("\n\n"));
}

/// Runs one case; `Some` says what is wrong.
fn one_case(stage: &mut Stage<Reactive>, name: &str) -> Option<String> {
    if let Verdict::Fail(failure) = stage.text(ONE, name) {
        return Some(failure.to_string());
    }
    let limit = stage.world.now + FOREVER;
    let ends = stage.run_to(limit);
    let reports = stage.take_reports();
    let failed: Vec<String> = stage
        .outcomes
        .drain(..)
        .filter_map(|outcome| match outcome {
            Outcome::Failed(failure) => Some(failure.to_string()),
            _ => None,
        })
        .collect();
    if !failed.is_empty() {
        return Some(failed.join("\n"));
    }
    let Some(reply) = stage.take_sent().pop() else {
        let deadlock = stage.instance.deadlock().unwrap_or_else(|| "nothing waits".to_owned());
        return Some(format!("it never ends\n{deadlock}"));
    };
    let expected = match reply.split_once('\n').unwrap() {
        ("pass", expected) => expected,
        (_, wrong) => return Some(wrong.to_owned()),
    };
    if let Some(wrong) = unexpected(expected.lines(), &reports) {
        return Some(wrong);
    }
    if !ends {
        return Some("timers go on for ever".to_owned());
    }
    match stage.instance.fibers() {
        0 if stage.instance.is_idle() => None,
        0 => Some("the event has not ended".to_owned()),
        left => Some(format!("{left} fibers are left\n{}", stage.instance.deadlock().unwrap_or_default())),
    }
}

/// Compares what was logged with what should have been, in this order.
fn unexpected<'a>(expected: impl Iterator<Item = &'a str>, reports: &[String]) -> Option<String> {
    let expected: Vec<&str> = expected.collect();
    let same = expected.len() == reports.len()
        && expected.iter().zip(reports).all(|(expected, report)| report.contains(expected));
    (!same).then(|| format!("logged {reports:#?}\ninstead of {expected:#?}"))
}

fn in_a_standalone_service(file: &str, text: &str) {
    let results = tempfile::NamedTempFile::new().unwrap();
    let lines = format!(
        "{}
         function demo.run()
            local out = assert(io.open({}, 'w'))
            out:setvbuf 'line'
            for _, name in ipairs(runner.names(cases)) do
                out:write('=', name, '\\n')
                local verdict, text = spawn(runner.run, cases, name, true):join()
                out:write(verdict, '\\n', text, '\\n')
                collectgarbage()
            end
            out:close()
         end",
        prelude(file, text),
        quoted(results.path().to_str().unwrap()).replace("[\n", "[")
    );
    let mut stage = Stage::standalone(&lines);
    let limit = FOREVER;
    let ends = stage.run_to(limit);

    let written = fs::read_to_string(results.path()).unwrap();
    let (mut expected, mut failures) = (Vec::new(), Vec::new());
    for result in parse(&written, &mut expected) {
        println!(
            "{} standalone {file}: {}",
            if result.wrong.is_none() { "ok" } else { "WRONG" },
            result.name
        );
        if let Some(wrong) = result.wrong {
            failures.push(format!("standalone {file}: {}\n{wrong}", result.name));
        }
    }
    let reports = stage.take_reports();
    failures.extend(unexpected(expected.into_iter(), &reports));
    match &stage.outcomes[..] {
        [Outcome::Started(Ok(())), Outcome::Ended(Ok(()))] => {}
        other => failures.push(format!("init and run should have ended well: {other:#?}")),
    }
    if !ends {
        failures.push("timers go on for ever".to_owned());
    }
    if stage.instance.fibers() > 0 {
        let deadlock = stage.instance.deadlock().unwrap_or_default();
        failures.push(format!("{} fibers are left\n{deadlock}", stage.instance.fibers()));
    }
    assert!(failures.is_empty(), "{} failed\n\n{}", failures.len(), failures.join("\n\n"));
}

/// Reads `=NAME`, the verdict, and its text up to the next `=`; what has to be in the log goes to `expected`.
fn parse<'a>(written: &'a str, expected: &mut Vec<&'a str>) -> Vec<Result> {
    let mut results = Vec::new();
    for part in written.split("\n=").map(|part| part.trim_start_matches('=')) {
        let (name, rest) = part.split_once('\n').unwrap_or((part, ""));
        let (verdict, text) = rest.split_once('\n').unwrap_or((rest, ""));
        let wrong = match verdict {
            "pass" => {
                expected.extend(text.lines().filter(|line| !line.is_empty()));
                None
            }
            "fail" => Some(text.to_owned()),
            _ => Some("it never ends".to_owned()),
        };
        results.push(Result { name: name.to_owned(), wrong });
    }
    results
}
