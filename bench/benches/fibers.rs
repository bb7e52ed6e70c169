//! What fibers cost: memory of one that sleeps, and time of one wake-up, by a timer and by another fiber.
//!
//! The clock is the bench's own, so nothing really sleeps. With `--test`, as in CI, it runs once with few fibers.

use std::time::{Duration, Instant};
use std::{env, fs};

use lapps_lua::{Answer, Command, ConnId, Event, Outcome, Port, Progress, Reactive, Setup, Source, Verdict};
use lapps_parser::frame::OpCode;

const SERVICE: &str = r#"
local time, channel, mutex = require "time", require "channel", require "mutex"
local service, woken = {}, 0

function service.onStart() end
function service.onDisconnect() end
function service.onShutdown() end

local tasks = {}

-- So many fibers that sleep a second again and again; their phases differ by up to a second.
function tasks.sleep(count)
    for n = 1, count do
        spawn(function()
            time.sleep(n % 1000 / 1000 + 0.001)
            while true do
                time.sleep(1)
                woken = woken + 1
            end
        end):detach()
    end
end

function tasks.yield(count)
    for _ = 1, count do this_fiber.yield() end
end

function tasks.channel(count)
    local a, b = channel.new(), channel.new()
    spawn(function() for _ = 1, count do b:send(a:recv()) end end):detach()
    for n = 1, count do a:send(n) b:recv() end
end

function tasks.mutex(count)
    local m = mutex.new()
    local function work()
        for _ = 1, count / 2 do
            m:lock()
            this_fiber.yield()
            m:unlock()
        end
    end
    local other = spawn(work)
    work()
    other:join()
end

function tasks.spawn(count)
    for _ = 1, count do spawn(function() end):join() end
end

function tasks.heap()
    collectgarbage()
    collectgarbage()
end

function service.onMessage(handler, opcode, message)
    local name, count = message:match("(%a+) (%d+)")
    tasks[name](tonumber(count))
    ws:send(handler, 1, tostring(collectgarbage("count") * 1024))
    return true
end

return service
"#;

/// A port whose clock stands still until it is set.
struct World {
    now: Duration,
    said: f64,
}

impl Port for World {
    fn command(&mut self, command: Command<'_>) -> Answer {
        if let Command::Send { payload, .. } = command {
            self.said = String::from_utf8_lossy(payload).parse().unwrap_or_default();
        }
        Answer::Done
    }

    fn now(&mut self) -> Duration {
        self.now
    }

    fn serves(&mut self, _: ConnId) -> bool {
        true
    }

    fn is_stopping(&mut self) -> bool {
        false
    }
}

/// Runs a task to its end; the time that it took.
fn run(service: &mut Reactive, world: &mut World, task: &str, count: usize) -> Duration {
    let message = format!("{task} {count}");
    let conn = ConnId::new(0, 1, 1);
    let began = Instant::now();
    let event = Event::Message { conn, opcode: OpCode::Text, payload: message.as_bytes() };
    if let Verdict::Fail(failure) = service.deliver(world, event) {
        panic!("{failure}");
    }
    while !service.is_idle() {
        service.turn(world);
    }
    let took = began.elapsed();
    while let Some(outcome) = service.next_outcome() {
        if let Outcome::Failed(failure) = outcome {
            panic!("{failure}");
        }
    }
    took
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.unwrap_or_default() * 4096.0
}

fn load() -> Reactive {
    let setup = Setup::new("bench", Source::Embedded { text: SERVICE });
    Reactive::load(&setup).expect("the service loads")
}

fn main() {
    let once = env::args().any(|arg| arg == "--test");
    let (fibers, rounds) = if once { (1000, 3) } else { (100_000, 20) };
    let mut world = World { now: Duration::ZERO, said: 0.0 };
    let mut service = load();
    assert_eq!(service.start(&mut world).expect("the service starts"), Progress::Done);

    run(&mut service, &mut world, "heap", 0);
    let (heap, process) = (world.said, resident());
    run(&mut service, &mut world, "sleep", fibers);
    while service.is_ready() {
        service.turn(&mut world);
    }
    assert_eq!(service.fibers(), fibers);
    run(&mut service, &mut world, "heap", 0);
    println!(
        "{fibers} sleeping fibers: {:.0} bytes of Lua heap each, {:.0} resident",
        (world.said - heap) / fibers as f64,
        (resident() - process) / fibers as f64
    );

    let mut costs = Vec::new();
    for round in 0..rounds {
        let mut spent = Duration::ZERO;
        // A second in steps of a millisecond, as a busy worker would take it.
        for _ in 0..1000 {
            world.now += Duration::from_millis(1);
            let began = Instant::now();
            service.turn(&mut world);
            while service.is_ready() {
                service.turn(&mut world);
            }
            spent += began.elapsed();
        }
        // In the first two seconds they find their phases, and LuaJIT its traces.
        if round > 1 || once {
            costs.push(spent.as_nanos() as f64 / fibers as f64);
        }
    }
    costs.sort_by(f64::total_cmp);
    println!(
        "wake-up by a timer, {fibers} asleep: median {:.0} ns, from {:.0} to {:.0}",
        costs[costs.len() / 2],
        costs[0],
        costs[costs.len() - 1]
    );
    drop(service);

    let mut service = load();
    assert_eq!(service.start(&mut world).expect("the service starts"), Progress::Done);
    let count = if once { 100 } else { 200_000 };
    for (task, what) in [
        ("yield", "this_fiber.yield()"),
        ("channel", "value there and back through two channels"),
        ("mutex", "lock and unlock of a contended mutex, with a yield"),
        ("spawn", "spawn and join of an empty function"),
    ] {
        let mut costs: Vec<f64> = (0..if once { 1 } else { 7 })
            .map(|_| run(&mut service, &mut world, task, count).as_nanos() as f64 / count as f64)
            .collect();
        costs.sort_by(f64::total_cmp);
        println!("{what}: median {:.0} ns", costs[costs.len() / 2]);
    }
}
