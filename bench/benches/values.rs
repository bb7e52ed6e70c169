//! The inner loop of the LAppS protocol: a request of 200 bytes is read, four of its members are looked at, a response is
//! made and written. By the tree of values, by others' trees, and in a service, bytes to bytes.

mod nowhere;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lapps_lua::{ConnId, Event, Progress, Reactive, Setup, Source, Verdict};
use lapps_parser::frame::OpCode;
use lapps_parser::value::{Limits, NodeId, Tree, Value};
use lapps_parser::{cbor, json};
use nowhere::Nowhere;

/// 209 bytes; 164 in CBOR.
const REQUEST: &str = r#"{"cid":7,"lapps":1,"method":"place_order","params":[{"client":"a1b2c3d4e5f6","flags":["post_only","day"],"instrument":"BTCUSD","note":"second try","price":43125.5,"quantity":3,"side":"buy","time":1732181500123}]}"#;

fn tree(text: &str) -> Tree {
    json::decode(text.as_bytes(), Limits::default()).expect("a JSON text")
}

fn in_cbor() -> Vec<u8> {
    let tree = tree(REQUEST);
    let mut out = Vec::new();
    cbor::encode(&tree, tree.root(), &mut out).expect("a flat value");
    out
}

/// Looks at four members.
fn read(tree: &Tree) -> (f64, f64, NodeId) {
    let root = tree.root();
    let cid = tree.get(root, b"cid").and_then(|cid| cid.number());
    assert!(matches!(tree.get(root, b"method"), Some(Value::Text(b"place_order"))));
    let params = tree.get(root, b"params").and_then(|params| params.node()).expect("params");
    let order = tree.at(params, 0).and_then(|order| order.node()).expect("an order");
    let price = tree.get(order, b"price").and_then(|price| price.number());
    (cid.unwrap_or_default(), price.unwrap_or_default(), order)
}

fn respond(request: &Tree) -> Result<Tree, Box<dyn std::error::Error>> {
    let (cid, price, order) = read(request);
    let mut tree = Tree::new();
    let root = tree.root();
    let result = tree.new_array(1);
    let placed = tree.new_object(4);
    tree.set_key(placed, b"price", Value::Float(price))?;
    tree.set_key(placed, b"of", Value::Float(cid))?;
    if let Some(Value::Text(client)) = request.get(order, b"client") {
        tree.set_key(placed, b"client", Value::Text(client))?;
    }
    tree.push(result, Value::Object(placed))?;
    tree.set_key(root, b"cid", Value::Int(0))?;
    tree.set_key(root, b"status", Value::Int(1))?;
    tree.set_key(root, b"result", Value::Array(result))?;
    Ok(tree)
}

fn ours(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("values");
    group.throughput(Throughput::Elements(1));
    let bytes = in_cbor();
    let mut out = Vec::new();
    group.bench_function("json/decode", |bencher| {
        bencher.iter(|| json::decode(black_box(REQUEST.as_bytes()), Limits::default()));
    });
    group.bench_function("cbor/decode", |bencher| {
        bencher.iter(|| cbor::decode(black_box(&bytes), Limits::default()));
    });
    let request = tree(REQUEST);
    group.bench_function("read four members", |bencher| bencher.iter(|| read(black_box(&request))));
    group.bench_function("make a response", |bencher| bencher.iter(|| respond(black_box(&request)).ok()));
    group.bench_function("json/encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            json::encode(black_box(&request), request.root(), &mut out)
        });
    });
    group.bench_function("cbor/encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            cbor::encode(black_box(&request), request.root(), &mut out)
        });
    });
    group.bench_function("json/round", |bencher| {
        bencher.iter(|| {
            let request = json::decode(black_box(REQUEST.as_bytes()), Limits::default()).expect("JSON");
            let response = respond(&request).expect("a response");
            out.clear();
            json::encode(&response, response.root(), &mut out)
        });
    });
    group.bench_function("cbor/round", |bencher| {
        bencher.iter(|| {
            let request = cbor::decode(black_box(&bytes), Limits::default()).expect("CBOR");
            let response = respond(&request).expect("a response");
            out.clear();
            cbor::encode(&response, response.root(), &mut out)
        });
    });
}

fn respond_as_theirs(request: &serde_json::Value) -> serde_json::Value {
    assert_eq!(request["method"], "place_order");
    let order = &request["params"][0];
    let placed =
        serde_json::json!({"price": order["price"], "of": request["cid"], "client": order["client"]});
    serde_json::json!({"cid": 0, "status": 1, "result": [placed]})
}

/// The same with the trees of `serde_json`, which `ciborium` can read and write, too.
fn theirs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("values/serde");
    group.throughput(Throughput::Elements(1));
    let bytes = in_cbor();
    let mut out = Vec::new();
    group.bench_function("json/decode", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(REQUEST.as_bytes())));
    });
    group.bench_function("json/round", |bencher| {
        bencher.iter(|| {
            let request = serde_json::from_slice(black_box(REQUEST.as_bytes())).expect("JSON");
            out.clear();
            serde_json::to_writer(&mut out, &respond_as_theirs(&request))
        });
    });
    group.bench_function("cbor/decode", |bencher| {
        bencher.iter(|| ciborium::from_reader::<serde_json::Value, _>(black_box(&bytes[..])));
    });
    group.bench_function("cbor/round", |bencher| {
        bencher.iter(|| {
            let request = ciborium::from_reader(black_box(&bytes[..])).expect("CBOR");
            out.clear();
            ciborium::into_writer(&respond_as_theirs(&request), &mut out)
        });
    });
}

fn deliver(criterion: &mut Criterion, name: &str, on_message: &str) {
    let text = format!(
        "local nljson = nljson
         local template = '{{\"cid\":0,\"status\":1,\"result\":[]}}'
         local function nothing() end
         return {{ onStart = nothing, onDisconnect = nothing, onShutdown = nothing,
                   onMessage = function(h, op, msg) {on_message} end }}"
    );
    let setup = Setup { memory_limit: 256 << 20, ..Setup::new("bench", Source::Embedded { text: &text }) };
    let mut service = Reactive::load(&setup).expect("the service loads");
    assert_eq!(service.start(&mut Nowhere).expect("the service starts"), Progress::Done);
    let mut payload = in_cbor();
    let place = payload.windows(12).position(|part| part == b"a1b2c3d4e5f6").expect("the client");
    let mut count = 0_u32;
    let mut group = criterion.benchmark_group("values/lua");
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            // Every request differs.
            count = count.wrapping_add(1);
            payload[place..place + 4].copy_from_slice(&(count | 0x2020_2020).to_le_bytes());
            let conn = ConnId::new(0, count % 240, 1);
            let event = Event::Message { conn, opcode: OpCode::Binary, payload: &payload };
            if let Verdict::Fail(failure) = service.deliver(&mut Nowhere, event) {
                panic!("{failure}");
            }
        });
    });
}

fn in_lua(criterion: &mut Criterion) {
    deliver(criterion, "ignore", "return true");
    deliver(criterion, "decode", "local u = nljson.from_cbor(msg) return true");
    let read = "local u = nljson.from_cbor(msg)
        local cid, method = u.cid, u.method
        local order = u.params[1]
        local price, client = order.price, order.client";
    deliver(criterion, "decode, read", &format!("{read} return price == 43125.5"));
    let make = "local r = nljson.decode(template)
        r.result[1] = { price = price, of = cid, client = client }";
    deliver(criterion, "decode, read, make", &format!("{read} {make} return true"));
    deliver(
        criterion,
        "decode, read, make, encode, send",
        &format!("{read} {make} return ws:send(h, 2, nljson.to_cbor(r))"),
    );
    deliver(
        criterion,
        "the same from a table",
        &format!(
            "{read}
            local r = {{ cid = 0, status = 1, result = {{ {{ price = price, of = cid, client = client }} }} }}
            return ws:send(h, 2, nljson.to_cbor(r))"
        ),
    );
}

criterion_group!(benches, ours, theirs, in_lua);
criterion_main!(benches);
