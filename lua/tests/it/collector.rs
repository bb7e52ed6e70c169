//! When Lua's collector works.

use lapps_lua::{Progress, Reactive, Setup, Source};

use crate::stage::{Stage, conn};

#[test]
fn a_service_chooses_its_pace() {
    let text =
        "return { onStart = function() end, onDisconnect = function() end, onShutdown = function() end,
        onMessage = function(h, op) return ws:send(h, op, collectgarbage('setpause', 160) .. ' ' ..
            collectgarbage('setstepmul', 250)) end }";
    let source = Source::Embedded { text };
    let setup = Setup { pause: Some(160), stepmul: Some(250), ..Setup::new("demo", source) };
    let mut stage = Stage::of(Reactive::load(&setup).unwrap());
    assert_eq!(stage.start(), Progress::Done);
    let _ = stage.open(conn(1));
    let _ = stage.text(conn(1), "");
    assert_eq!(stage.take_sent(), ["160 250"]);
}

#[test]
fn garbage_is_collected_in_idle_time_and_then_there_is_nothing_to_do() {
    let mut stage = Stage::reactive(
        "local all = 0
         demo.onMessage = function(h, op, msg)
            if msg == 'litter' then for n = 1, 200 do last = ('x'):rep(100) .. all + n end end
            all = all + 200
            return ws:send(h, op, tostring(math.floor(collectgarbage('count'))))
         end",
        None,
    );
    let _ = stage.open(conn(1));
    let heap = |stage: &mut Stage<Reactive>, text: &str| -> u64 {
        let _ = stage.text(conn(1), text);
        stage.take_sent().pop().unwrap().parse().unwrap()
    };
    let mut rested = 0;
    for _ in 0..1000 {
        let before = heap(&mut stage, "litter");
        let mut steps = 0;
        while stage.instance.wants_collecting() {
            stage.instance.collect_a_little();
            steps += 1;
            assert!(steps < 100_000, "it comes to an end");
        }
        if steps > 0 {
            rested += 1;
            assert!(heap(&mut stage, "") < before, "it helps");
        }
    }
    assert!(rested > 1, "it comes again");
}

#[test]
fn every_collection_is_counted_whoever_makes_it() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h, op, msg)
            if msg == 'by itself' then for n = 1, 20000 do last = { n } end else collectgarbage() end
            return ws:send(h, op, msg)
         end",
        None,
    );
    let _ = stage.open(conn(1));
    let before = stage.instance.collections();
    for n in 1..=5 {
        let _ = stage.text(conn(1), "ordered");
        assert_eq!(stage.instance.collections(), before + n);
    }
    let before = stage.instance.collections();
    for _ in 0..20 {
        let _ = stage.text(conn(1), "by itself");
    }
    let while_busy = stage.instance.collections();
    assert!(while_busy > before, "the heap has doubled more than once");
    while !stage.instance.collect_a_little() {}
    assert_eq!(stage.instance.collections(), while_busy + 1);
}
