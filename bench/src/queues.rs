//! `mqr` between two services: messages per second and CPU per message, as values and serialised.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::compare::version;
use crate::failure::Failure;
use crate::home::put;
use crate::machine::Machine;
use crate::server::Server;
use crate::table::median;

/// How long one case may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What both services begin with. `pack` makes what is posted, `open` reads two fields of what was received.
const COMMON: &str = r#"
local there, back = mqr.create "there", mqr.create "back"
local request = [[{"lapps":1,"cid":17,"method":"subscribe","params":[{"topic":"prices","symbols":["EURUSD","GBPUSD",
  "USDJPY"],"depth":5,"snapshot":true},{"token":"0123456789abcdef0123456789abcdef"}]}]]
local large = '{"cid":17,"method":"book","params":[' .. (request .. ","):rep(49) .. request .. ']}'
local document = nljson.decode("SIZE" == "large" and large or request)

local function fields(value)
  return value.cid, value.method
end

local kinds = {
  value = { pack = function() return document end, open = fields },
  cbor = {
    pack = function() return nljson.to_cbor(document) end,
    open = function(text) return fields(nljson.from_cbor(text)) end,
  },
  json = {
    pack = function() return nljson.encode(document) end,
    open = function(text) return fields(nljson.decode(text)) end,
  },
}
local pack, open = kinds.KIND.pack, kinds.KIND.open

-- Puts one in, whatever that takes.
local function post(queue)
  while not queue:post(pack()) do nap:usleep(100) end
end

-- What one end does, `count` times.
local ends = {
  stream = {
    source = function(count) for _ = 1, count do post(there) end end,
    sink = function(count) for _ = 1, count do open(there:recv()) end end,
  },
  answers = {
    source = function(count)
      for _ = 1, count do
        post(there)
        open(back:recv())
      end
    end,
    sink = function(count)
      for _ = 1, count do
        open(there:recv())
        post(back)
      end
    end,
  },
}

local function run(name)
  local step = ends.SHAPE[name]
  step(math.floor(COUNT / 5))
  -- `os.clock` is the CPU time of the whole process.
  local wall, cpu = time.monotonic(), os.clock()
  step(COUNT)
  wall, cpu = time.monotonic() - wall, os.clock() - cpu
  if name == "sink" then
    local file = assert(io.open("HOME/result.new", "w"))
    file:write(("%.9f %.9f"):format(wall, cpu))
    file:close()
    os.rename("HOME/result.new", "HOME/result")
  end
end
"#;

const STANDALONE: &str = r#"
local NAME = {}
function NAME.init() end
function NAME.run() run "NAME" end
return NAME
"#;

const DEDICATED: &str = r#"
local NAME = {}
function NAME.onStart() spawn(run, "NAME"):detach() end
function NAME.onMessage() return true end
function NAME.onDisconnect() end
function NAME.onShutdown() end
return NAME
"#;

/// What to measure, and how often.
#[derive(Debug, Clone)]
pub struct QueuesPlan {
    /// The `lapps` executable.
    pub lapps: PathBuf,
    /// Small messages of each run; of the large ones a twentieth.
    pub messages: u32,
    /// How often the cases take turns.
    pub passes: u32,
}

/// What came out.
#[derive(Debug)]
pub struct Queues {
    cases: Vec<Case>,
    machine: Machine,
    lapps: String,
    plan: QueuesPlan,
}

/// One way to pass messages.
#[derive(Debug)]
struct Case {
    placement: &'static str,
    shape: &'static str,
    size: &'static str,
    kind: &'static str,
    /// Of each pass: messages per second, and CPU nanoseconds per message.
    runs: Vec<(f64, f64)>,
}

/// Runs all cases in turn. `tell` hears one line for each run.
///
/// # Errors
/// [`Failure::Server`] if the server does not start, or does not come to an end within two minutes.
pub fn run(plan: &QueuesPlan, tell: &mut dyn FnMut(&str)) -> Result<Queues, Failure> {
    let lapps = version(&plan.lapps)?;
    let mut cases = Vec::new();
    for placement in ["standalone", "dedicated"] {
        for shape in ["stream", "answers"] {
            for size in ["small", "large"] {
                for kind in ["value", "cbor", "json"] {
                    cases.push(Case { placement, shape, size, kind, runs: Vec::new() });
                }
            }
        }
    }
    for pass in 1..=plan.passes {
        for case in &mut cases {
            let run = measure(plan, case)?;
            tell(&format!(
                "pass {pass}  {:<10} {:<7} {:<5} {:<5} {:>9.0} messages/s  {:>7.0} ns/message",
                case.placement, case.shape, case.size, case.kind, run.0, run.1
            ));
            case.runs.push(run);
        }
    }
    Ok(Queues { cases, machine: Machine::here(), lapps, plan: plan.clone() })
}

fn measure(plan: &QueuesPlan, case: &Case) -> Result<(f64, f64), Failure> {
    let directory = tempfile::Builder::new()
        .prefix("lapps-bench-")
        .tempdir()
        .map_err(|error| Failure::system("make a directory for the home", error))?;
    let home = directory.path();
    let count = if case.size == "large" { plan.messages / 20 } else { plan.messages };
    write(home, case, count)?;
    let mut command = Command::new(&plan.lapps);
    command.arg("run").arg("--home").arg(home);
    // Settings of the user's own installation must not reach this one.
    for name in ["LAPPS_HOME", "LAPPS_CONF_DIR", "WS_CONFIG", "LAPPS_CONFIG", "LUA_PATH", "LUA_CPATH"] {
        command.env_remove(name);
    }
    let server = Server::start("lapps", command, "ws", &home.join("lapps.log"))?;
    let result = home.join("result");
    let deadline = Instant::now() + PATIENCE;
    while !result.exists() {
        if Instant::now() > deadline {
            return Err(server.failed("did not pass all messages on in time"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    let text = fs::read_to_string(&result)
        .map_err(|error| Failure::system(format!("read {}", result.display()), error))?;
    let mut figures = text.split(' ').filter_map(|figure| figure.parse::<f64>().ok());
    let (Some(wall), Some(cpu)) = (figures.next(), figures.next()) else {
        return Err(server.failed("did not write two figures"));
    };
    // An answer is a message, too.
    let messages = f64::from(count) * if case.shape == "answers" { 2.0 } else { 1.0 };
    Ok((messages / wall, cpu * 1e9 / messages))
}

fn write(home: &Path, case: &Case, count: u32) -> Result<(), Failure> {
    let common = COMMON
        .replace("SIZE", case.size)
        .replace("KIND", case.kind)
        .replace("SHAPE", case.shape)
        .replace("COUNT", &count.to_string())
        .replace("HOME", &home.display().to_string());
    let mut services = json!({});
    for name in ["sink", "source"] {
        let (end, mut keys) = match case.placement {
            "standalone" => (STANDALONE, json!({ "placement": "standalone" })),
            _ => (DEDICATED, json!({ "instances": 1, "request_target": format!("/{name}") })),
        };
        keys["preload"] = json!(["mqr", "nap", "time"]);
        services[name] = keys;
        let code = format!("{common}{}", end.replace("NAME", name));
        put(&home.join("apps").join(name).join(format!("{name}.lua")), &code)?;
    }
    let ws =
        json!({ "listeners": 1, "ip": "127.0.0.1", "port": 0, "workers": { "workers": 1, "pin": false } });
    put(&home.join("etc/conf/ws.json"), &format!("{ws:#}\n"))?;
    put(&home.join("etc/conf/lapps.json"), &format!("{:#}\n", json!({ "services": services })))
}

impl Case {
    fn rate(&self) -> f64 {
        median(&mut self.runs.iter().map(|run| run.0).collect::<Vec<_>>())
    }

    fn cpu(&self) -> f64 {
        median(&mut self.runs.iter().map(|run| run.1).collect::<Vec<_>>())
    }

    /// CPU per message to that of values: the median of the ratios of each pass.
    fn to_value(&self, cases: &[Case]) -> f64 {
        let is_like = |other: &&Case| {
            (other.placement, other.shape, other.size, other.kind)
                == (self.placement, self.shape, self.size, "value")
        };
        let Some(value) = cases.iter().find(is_like) else { return f64::NAN };
        let pairs = self.runs.iter().zip(&value.runs);
        median(&mut pairs.map(|(own, value)| own.1 / value.1).collect::<Vec<_>>())
    }
}

impl Queues {
    /// The table, with what it depends on.
    pub fn markdown(&self) -> String {
        let Machine { cpu, cores, kernel, date } = &self.machine;
        let mut table = String::from(
            "| services | shape | document | sent as | messages/s | CPU ns/message | min..max | to value |\n\
             |---|---|---|---|--:|--:|--:|--:|\n",
        );
        for case in &self.cases {
            let cpu = case.runs.iter().map(|run| run.1);
            let _ = writeln!(
                table,
                "| {} | {} | {} | {} | {:.0} | {:.0} | {:.0}..{:.0} | {:.2} |",
                case.placement,
                case.shape,
                case.size,
                case.kind,
                case.rate(),
                case.cpu(),
                cpu.clone().fold(f64::INFINITY, f64::min),
                cpu.fold(0.0, f64::max),
                case.to_value(&self.cases),
            );
        }
        format!(
            "# Queues between two services: {messages} messages, {passes} passes\n\n\
             {table}\n\
             *stream*: one service posts, the other receives. *answers*: one posts and waits for what the other posts back,\n\
             one message under way; each way counts. *small* is a document of about 180 bytes of JSON, *large* has fifty of\n\
             them in it. *value*: the document is handed over as it is. *cbor*, *json*: the sender encodes it, the receiver\n\
             decodes it. The receiver reads two fields. CPU is that of the whole process, the median over the passes; \"to\n\
             value\" is the median of the ratios of each pass.\n\n\
             - machine: {cpu}, {cores} cores, {kernel}\n\
             - date: {date}\n\
             - versions: {lapps}; lapps-bench {bench}\n",
            messages = self.plan.messages,
            passes = self.plan.passes,
            lapps = self.lapps,
            bench = env!("CARGO_PKG_VERSION"),
        )
    }

    /// Everything, as one object.
    pub fn json(&self) -> Value {
        let cases: Vec<Value> = self
            .cases
            .iter()
            .map(|case| {
                let runs: Vec<Value> = case
                    .runs
                    .iter()
                    .map(|(rate, cpu)| json!({ "messages_per_second": rate, "cpu_ns_per_message": cpu }))
                    .collect();
                json!({
                    "services": case.placement, "shape": case.shape, "document": case.size, "sent_as": case.kind,
                    "messages_per_second": case.rate(), "cpu_ns_per_message": case.cpu(), "runs": runs,
                })
            })
            .collect();
        json!({
            "machine": self.machine.json(),
            "versions": { "lapps": self.lapps, "lapps-bench": env!("CARGO_PKG_VERSION") },
            "messages": self.plan.messages,
            "cases": cases,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(kind: &'static str, runs: &[(f64, f64)]) -> Case {
        Case { placement: "standalone", shape: "stream", size: "small", kind, runs: runs.to_vec() }
    }

    #[test]
    fn the_table_compares_with_values_pass_by_pass() {
        let queues = Queues {
            cases: vec![
                case("value", &[(1e6, 1000.0), (5e5, 2000.0), (1e6, 1000.0)]),
                case("cbor", &[(1e5, 5000.0), (5e4, 8000.0), (1e5, 6000.0)]),
            ],
            machine: Machine::here(),
            lapps: "lapps 1".to_owned(),
            plan: QueuesPlan { lapps: PathBuf::new(), messages: 10, passes: 3 },
        };
        let table = queues.markdown();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| standalone")).collect();
        assert_eq!(rows[0], "| standalone | stream | small | value | 1000000 | 1000 | 1000..2000 | 1.00 |");
        assert_eq!(rows[1], "| standalone | stream | small | cbor | 100000 | 6000 | 5000..8000 | 5.00 |");
        assert_eq!(queues.json()["cases"][1]["cpu_ns_per_message"], 6000.0);
    }

    #[test]
    fn the_home_has_two_services() {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), &case("value", &[]), 10).unwrap();
        let text = fs::read_to_string(home.path().join("apps/sink/sink.lua")).unwrap();
        assert!(
            text.contains("function sink.run() run \"sink\" end")
                && text.contains("step(math.floor(10 / 5))")
        );
    }
}
