//! Our pages in a real browser: headless Chromium opens them, types, sends, and reads what they show.
//!
//! Skipped where there is no Chromium (`chromium`, `chromium-browser` or `google-chrome` in PATH, or named by CHROMIUM), unless
//! LAPPS_REQUIRE_CHROMIUM=1.

mod common;

use common::browser::{Browser, Page};
use common::process::Lapps;
use serde_json::json;

#[test]
fn a_browser_echoes_through_the_demo_page() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Lapps::demo();
    let mut page = browser.open(&format!("http://{}/", server.address));

    page.wait_until("the page is connected", "document.getElementById('state').dataset.is === 'connected'");
    let state = page.string("document.getElementById('state').textContent");
    assert_eq!(state, format!("connected to ws://{}/echo", server.address));

    page.evaluate("document.getElementById('message').focus(); document.getElementById('message').select()");
    page.call("Input.insertText", &json!({ "text": "Grüße, Lua <&>" }));
    page.evaluate("document.getElementById('send').click()");
    page.wait_until("the answer is in the log", "document.querySelectorAll('#log li').length === 1");
    let line = page.string("document.querySelector('#log li .text').textContent");
    assert_eq!(line, "Grüße, Lua <&>");
    let time = page.string("document.querySelector('#log li .time').textContent");
    assert!(milliseconds(&time).is_some(), "not a round-trip time: {time}");

    page.evaluate("document.getElementById('burst').click()");
    page.wait_until("the burst is over", "document.querySelectorAll('#log li').length === 2");
    let times = page.string("document.querySelectorAll('#log li .time')[1].textContent");
    let [min, median, max] = burst_times(&times);
    assert!(min <= median && median <= max, "not in order: {times}");

    for (target, sent) in [("/echo", "by hand"), ("/echo-dedicated", "by another hand")] {
        let got = page.string(&format!(
            "new Promise((resolve, reject) => {{
                const socket = new WebSocket('ws://{}{target}');
                socket.onopen = () => socket.send('{sent}');
                socket.onmessage = event => {{ socket.close(1000); resolve(event.data) }};
                socket.onerror = () => reject(new Error('no connection'));
            }})",
            server.address
        ));
        assert_eq!(got, sent);
    }

    page.evaluate("const t = document.getElementById('target'); t.value = '/hello'; t.dispatchEvent(new Event('change'))");
    let hello = format!("connected to ws://{}/hello", server.address);
    page.wait_until(
        "the other service",
        &format!("document.getElementById('state').textContent === '{hello}'"),
    );
    page.evaluate("document.getElementById('send').click()");
    page.wait_until("the greeting is in the log", "document.querySelectorAll('#log li').length === 3");

    assert_eq!(page.complaints, Vec::<String>::new(), "the browser's console is not empty");
}

#[test]
fn a_browser_speaks_the_lapps_protocol_through_the_page_of_its_example() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Lapps::example("lapps_echo");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/lapps_echo/client/index.html");
    let mut page = browser.open(&format!("file://{file}"));
    page.wait_until("the page is there", "document.readyState === 'complete'");

    let url = format!("ws://{}/lapps-echo", server.address);
    page.evaluate(&format!("document.getElementById('url').value = '{url}'"));
    press(&mut page, "connect");
    page.wait_until("the page is connected", "document.getElementById('state').textContent === 'connected'");
    press(&mut page, "echo");
    expect_line(&mut page, 1, "echo failed: log in first (-32000)");
    press(&mut page, "login");
    page.wait_until("the login is answered", "document.querySelectorAll('#log li').length === 3");
    let line = page.string("document.querySelectorAll('#log li')[2].textContent");
    assert!(line.starts_with(r#"login -> [{"authkey":"#) && line.ends_with(r#""user":"anna"}]"#), "{line}");
    press(&mut page, "echo");
    expect_line(&mut page, 3, r#"echo -> [1,2.5,"text",{"deep":[true,null]}]"#);
    page.evaluate("document.getElementById('subscribe').click()");
    expect_line(&mut page, 4, "subscribe -> [100]");
    press(&mut page, "tell");
    expect_line(&mut page, 5, r#"notification 100: ["anna","Hello, all"]"#);

    let numbers = "(async () => {
        const client = await LAppS.connect(document.getElementById('url').value);
        await client.request('login', [{ user: 'a', password: 'b' }]);
        const sent = [18446744073709551615n, -9223372036854775808n, 9007199254740993n, 2 ** 53 - 1, 0.1, 'käse', ''];
        const got = await client.request('echo', sent);
        client.close();
        return got.length === sent.length && got.every((value, n) => value === sent[n]);
    })()";
    assert_eq!(page.evaluate(numbers), json!(true));
    assert_eq!(page.complaints, Vec::<String>::new(), "the browser's console is not empty");
}

/// Submits a form.
fn press(page: &mut Page, form: &str) {
    page.evaluate(&format!("document.getElementById('{form}').requestSubmit()"));
}

#[track_caller]
fn expect_line(page: &mut Page, at: usize, expected: &str) {
    page.wait_until("the line is there", &format!("document.querySelectorAll('#log li').length > {at}"));
    let line = page.string(&format!("document.querySelectorAll('#log li')[{at}].textContent"));
    assert_eq!(line, expected);
}

/// A number of milliseconds as the page writes it.
fn milliseconds(text: &str) -> Option<f64> {
    text.strip_suffix(" ms")?.parse().ok().filter(|ms| (0.0..60_000.0).contains(ms))
}

fn burst_times(text: &str) -> [f64; 3] {
    let parts: Vec<_> = text.split(", ").collect();
    let [min, median, max] = parts[..] else { panic!("not three times: {text}") };
    [("min ", min), ("median ", median), ("max ", max)].map(|(name, part)| {
        part.strip_prefix(name).and_then(milliseconds).unwrap_or_else(|| panic!("no {name}in: {text}"))
    })
}
