//! Instances that share queues, and one that asks for passwords: what passes between a state and the rest of its server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapps_lua::login::{Login, Logins, Outcome};
use lapps_lua::{Bell, Bounds, Queues, Reactive, Setup, Source, Verdict};

use crate::world::{ONE, Quietly, World, failed, kept};

/// A service whose messages are Lua code, which may wait.
const RUNS: &str = r"
local runs = { onStart = function() end, onDisconnect = function() end, onShutdown = function() end }
function runs.onMessage(handler, opcode, text)
    ws:send(handler, 1, tostring(assert(loadstring('return ' .. text))()))
    return true
end
held = mqr.create 'q'
return runs
";

struct Neighbour {
    lua: Reactive,
    world: World,
    bell: Arc<Bell>,
    wakes: Arc<AtomicUsize>,
}

impl Neighbour {
    fn new(queues: &Arc<Queues>, memory_limit: usize, logins: Option<&Arc<dyn Logins>>) -> Neighbour {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&wakes);
        let bell = Bell::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let preload = ["mqr", "pam_auth"].map(str::to_owned);
        let setup = Setup {
            memory_limit,
            preload: &preload,
            bell: Some(&bell),
            queues: Some(queues),
            logins,
            ..Setup::new("runs", Source::Embedded { text: RUNS })
        };
        let lua = Reactive::load(&setup).unwrap_or_else(|error| panic!("{error}")).start_quietly();
        Neighbour { lua, world: World::new(), bell, wakes }
    }

    fn says(&mut self, code: &str) -> Verdict {
        self.lua.text(&mut self.world, ONE, code)
    }

    fn turn(&mut self) -> Vec<String> {
        while self.lua.is_ready() {
            self.lua.turn(&mut self.world);
        }
        self.world.take_sent()
    }
}

fn queues() -> Arc<Queues> {
    Queues::new(Bounds { messages: 10, bytes: 1 << 26 })
}

#[test]
fn a_post_wakes_the_instance_that_waits() {
    let queues = queues();
    let (mut one, mut two) = (Neighbour::new(&queues, 0, None), Neighbour::new(&queues, 0, None));
    assert!(matches!(one.says("held:recv()"), Verdict::Waits { .. }));
    assert_eq!(one.turn(), [""; 0]);
    assert!(one.lua.deadline().is_none() && !one.lua.is_owed() && !one.bell.has_rung());
    kept(two.says("held:post('hello')"));
    assert!(one.bell.has_rung() && one.lua.is_ready());
    assert_eq!((one.wakes.load(Ordering::Relaxed), two.wakes.load(Ordering::Relaxed)), (1, 0));
    assert_eq!((one.turn(), two.turn()), (vec!["hello".to_owned()], vec!["true".to_owned()]));
    assert!(!one.lua.is_ready() && one.lua.is_idle());
}

#[test]
fn what_an_instance_that_ends_has_not_picked_up_goes_to_the_next() {
    let queues = queues();
    let (mut one, mut two) = (Neighbour::new(&queues, 0, None), Neighbour::new(&queues, 0, None));
    assert!(matches!(one.says("held:recv()"), Verdict::Waits { .. }));
    kept(two.says("held:post('first')"));
    kept(two.says("held:post('second')"));
    drop(one);
    kept(two.says("held:try_recv() .. ' ' .. held:try_recv()"));
    assert_eq!(two.turn(), ["true", "true", "first second"]);
    drop(two);
    assert_eq!((queues.count(), queues.bytes()), (0, 0));
}

#[test]
fn what_finds_no_memory_at_its_receiver_stays_in_the_queue() {
    let queues = queues();
    let (mut one, mut two) = (Neighbour::new(&queues, 4 << 20, None), Neighbour::new(&queues, 0, None));
    kept(two.says("held:post(('x'):rep(8e6))"));
    for _ in 0..3 {
        let failure = failed(one.says("held:try_recv()"));
        assert!(failure.to_string().contains("not enough memory"), "{failure}");
        one.lua.turn(&mut one.world);
    }
    assert!(matches!(one.says("#held:recv(10)"), Verdict::Fail(_)));
    one.lua.turn(&mut one.world);
    kept(two.says("#held:recv()"));
    assert_eq!(two.turn(), ["true", "8000000"]);

    kept(two.says("held:post(nljson.decode('[\"' .. ('x'):rep(8e6) .. '\"]'))"));
    for _ in 0..3 {
        let failure = failed(one.says("held:try_recv()"));
        assert!(failure.to_string().contains("not enough memory"), "{failure}");
        one.lua.turn(&mut one.world);
    }
    kept(two.says("#held:recv()[1]"));
    assert_eq!(two.turn(), ["true", "8000000"]);
}

#[test]
fn a_document_counts_as_often_as_it_is_posted_until_it_is_received() {
    let queues = Queues::new(Bounds { messages: 100, bytes: 1 << 20 });
    let mut one = Neighbour::new(&queues, 0, None);
    kept(one.says("(function() document = nljson.decode('[\"' .. ('x'):rep(4e5) .. '\"]') return 1 end)()"));
    let empty = queues.bytes();
    for posted in 1..=5 {
        kept(one.says("held:post(document)"));
        assert_eq!(one.world.take_sent().pop().unwrap(), if posted <= 3 { "true" } else { "false" });
    }
    assert!((1_200_000..1_210_000).contains(&(queues.bytes() - empty)), "{}", queues.bytes());
    kept(one.says("#held:recv()[1] + #held:recv()[1] + #held:recv()[1]"));
    assert_eq!((one.turn(), queues.bytes()), (vec!["1200000".to_owned()], empty));
}

/// Keeps the questions.
#[derive(Default, Debug)]
struct Desk(Mutex<Vec<Login>>);

impl Logins for Desk {
    fn ask(&self, login: Login) -> Result<(), String> {
        self.0.lock().unwrap().push(login);
        Ok(())
    }
}

#[test]
fn an_answer_that_is_sure_to_come_is_owed_until_then() {
    let desk = Arc::new(Desk::default());
    let logins: Arc<dyn Logins> = Arc::clone(&desk) as Arc<dyn Logins>;
    let mut one = Neighbour::new(&queues(), 0, Some(&logins));
    let asks = "(function(ok, why) return tostring(ok) .. (why and ' ' .. why or '') end)(\
        pam_auth:login('web', 'alice', 'secret'))";
    for (result, delay, answer) in
        [(Ok(()), 0, "true"), (Err("no".to_owned()), 0, "false no"), (Ok(()), 2, "true")]
    {
        assert!(matches!(one.says(asks), Verdict::Waits { .. }));
        assert_eq!(one.turn(), [""; 0]);
        assert!(one.lua.is_owed() && one.lua.deadline().is_none());
        let login = desk.0.lock().unwrap().remove(0);
        login.answer(Outcome { result, delay: Duration::from_secs(delay) });
        let mut got = one.turn();
        assert!(!one.lua.is_owed());
        if delay > 0 {
            assert_eq!(got, [""; 0]);
            while let Some(deadline) = one.lua.deadline() {
                one.world.now = deadline;
                one.lua.turn(&mut one.world);
            }
            assert_eq!(one.world.now, Duration::from_secs(2));
            got = one.world.take_sent();
        }
        assert_eq!(got, [answer]);
    }
    // Whoever drops a question has answered.
    assert!(matches!(one.says(asks), Verdict::Waits { .. }));
    desk.0.lock().unwrap().clear();
    assert_eq!(one.turn(), ["false nobody has answered"]);
    // An interruption does not wait for the answer, which nobody misses.
    assert!(matches!(one.says(asks), Verdict::Waits { .. }));
    one.lua.wind_down(&mut one.world);
    one.turn();
    assert!(!one.lua.is_owed() && one.lua.is_idle());
    desk.0.lock().unwrap().clear();
    assert_eq!(one.turn(), [""; 0]);
}
