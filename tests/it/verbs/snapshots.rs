//! What the verbs print, in every form: `tests/cli/VERB.txt`, whose field names are promises.
//! `EVERLOG_BLESS=1 cargo test --test it verbs::snapshots` writes the files anew.

use super::{failed, start};
use crate::harness::{Agent, Ended, Peer, Process, Server, everlog};
use serde_json::{Value, json};
use std::path::Path;

/// The letters of a UUID, and of the end of it that tables show.
const UUID_CHARS: usize = 36;
/// What a time looks like: digits where it has digits.
const TIME: &str = "0000-00-00T00:00:00.000000+00:00";
/// The fields whose numbers are measured.
const MEASURED: [&str; 5] = ["duration", "average_task_duration", "uptime_seconds", "seq", "durable_seq"];

/// Command lines with their answers.
struct Transcript {
    server: Server,
    host: Peer,
    text: String,
    /// The ids that have been met; each goes by its place.
    ids: Vec<String>,
}

impl Transcript {
    fn new() -> Self {
        let server = Server::start();
        let host = server.peer();
        Self { server, host, text: String::new(), ids: Vec::new() }
    }

    /// A pipeline of one task that has not been started.
    fn idle(&mut self, name: &str) -> String {
        let config = json!({"strategy": "parallel", "retry_attempts": 0});
        let params = json!({"name": name, "config": config, "tasks": [{"name": "train"}]});
        let made = self.host.request("pipeline/create", params);
        made["pipeline_id"].as_str().unwrap().to_owned()
    }

    fn started(&mut self, name: &str) -> String {
        let id = self.idle(name);
        self.host.request("pipeline/start", json!({"pipeline_id": id}));
        id
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.server.home().join(name), text).unwrap();
    }

    /// Types `everlog ARGS --server URL`.
    fn ask(&mut self, args: &[&str]) {
        let ended = start(&self.server, args).end();
        self.note(args, &ended);
    }

    /// Types `everlog ARGS`, where no coordinator is asked.
    fn type_in(&mut self, args: &[&str]) -> Ended {
        let mut command = everlog(args);
        command.current_dir(self.server.home());
        Process::start(command).end()
    }

    /// What was typed and what came of it: data, then messages, then the exit code unless it is 0.
    fn note(&mut self, args: &[&str], ended: &Ended) {
        check_json(args, &ended.stdout);
        let messages: String = ended.stderr.lines().map(|line| format!("! {line}\n")).collect();
        let code = if ended.code == 0 { String::new() } else { format!("exit code {}\n", ended.code) };
        let shown = self.steady(&format!("$ everlog {}\n{}{messages}{code}\n", args.join(" "), ended.stdout));
        self.text.push_str(&shown);
    }

    /// The text without what differs from run to run.
    fn steady(&mut self, text: &str) -> String {
        for (method, list) in [("pipeline/list", "pipelines"), ("task/list", "tasks")] {
            let all = self.host.request(method, json!({}));
            for id in all[list].as_array().unwrap().iter().filter_map(|record| record["id"].as_str()) {
                if !self.ids.iter().any(|known| known == id) {
                    self.ids.push(id.to_owned());
                }
            }
        }
        let mut text =
            text.replace(&*self.server.home().to_string_lossy(), "~").replace(env!("CARGO_PKG_VERSION"), "<version>");
        for (n, id) in self.ids.iter().enumerate() {
            text = text.replace(id, &format!("<id {n}>")).replace(super::short(id), &format!("<id {n}>"));
        }
        text = replaced(&text, UUID_CHARS, |part| crate::harness::is_uuid(&json!(part)), "<new id>");
        text = replaced(&text, TIME.len(), is_time, "<time>");
        for field in MEASURED {
            text = without_number(&text, &format!("\"{field}\":"));
            text = without_number(&text, &format!(" {field} "));
        }
        if text.contains(['{', '[']) {
            return text;
        }
        let words = text.split_inclusive([' ', '\n', ':']).map(|word| {
            let bare = word.trim_end_matches([' ', '\n', ':']);
            if is_span(bare) { word.replacen(bare, "<span>", 1) } else { word.to_owned() }
        });
        words.collect()
    }

    fn check(self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(format!("{name}.txt"));
        if std::env::var_os("EVERLOG_BLESS").is_some() {
            std::fs::write(&path, &self.text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), self.text, "{name}.txt");
    }
}

/// That stdout is for a program, where one was meant: one document, or one a line.
#[track_caller]
fn check_json(args: &[&str], stdout: &str) {
    let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
    match args.last() {
        Some(&"json") => assert!(stdout.is_empty() || is_json(stdout), "{args:?}: {stdout}"),
        Some(&"ndjson") => assert!(stdout.lines().all(is_json), "{args:?}: {stdout}"),
        _ => {}
    }
}

/// The text with `stand_in` for each part of so many bytes that is one of those.
fn replaced(text: &str, bytes: usize, is: impl Fn(&str) -> bool, stand_in: &str) -> String {
    let (mut rest, mut steady) = (text, String::new());
    while let Some(next) = rest.chars().next() {
        match rest.get(..bytes).filter(|part| is(part)) {
            Some(_) => {
                steady.push_str(stand_in);
                rest = &rest[bytes..];
            }
            None => {
                steady.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    steady
}

fn is_time(text: &str) -> bool {
    text.chars().zip(TIME.chars()).all(|(found, form)| if form == '0' { found.is_ascii_digit() } else { found == form })
}

/// `12ms`, `1.5s` or `0.03`: all that a table has of durations as short as those of a test.
fn is_span(word: &str) -> bool {
    let number = word.trim_end_matches("ms").trim_end_matches('s');
    let measured = number.len() < word.len() || number.starts_with("0.") && number.len() == "0.00".len();
    measured && number.parse::<f64>().is_ok()
}

/// The text without the numbers behind `field`.
fn without_number(text: &str, field: &str) -> String {
    let mut parts = text.split(field);
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let number = |one: char| one.is_ascii_digit() || matches!(one, '.' | 'e' | '-');
        let (blank, value) = part.split_at(part.len() - part.trim_start().len());
        let rest = value.trim_start_matches(number);
        let shown = if rest.len() < value.len() { "<number>" } else { "" };
        steady.push_str(&format!("{field}{blank}{shown}{rest}"));
    }
    steady
}

const FORMS: [&str; 3] = ["table", "json", "ndjson"];

#[test]
fn submit() {
    let mut page = Transcript::new();
    page.write("p.yaml", "name: made\ntasks:\n  - {name: a, command: ['true']}\n");
    for form in FORMS {
        page.ask(&["submit", "p.yaml", "--output", form]);
    }
    page.ask(&["submit", "p.yaml", "--no-start"]);
    page.check("submit");
}

#[test]
fn steering() {
    let mut page = Transcript::new();
    for form in FORMS {
        let names = [format!("one-{form}"), format!("two-{form}")];
        names.iter().for_each(|name| drop(page.idle(name)));
        let [one, two] = names.each_ref().map(String::as_str);
        page.ask(&["start", one, two, "--output", form]);
        page.ask(&["pause", one, "nothing", "--output", form]);
        page.ask(&["resume", one, two, "--output", form]);
        page.ask(&["cancel", &format!("{one}/train"), "--reason", "slow", "--output", form]);
        page.ask(&["stop", two, "--output", form]);
        page.ask(&["delete", one, two, "--output", form]);
    }
    page.check("steering");
}

#[test]
fn retry() {
    let mut page = Transcript::new();
    let mut agent = Agent::join(&page.server, "worker");
    for form in FORMS {
        let id = failed(&mut page.host, &mut agent);
        page.ask(&["retry", &id, "worker", "--output", form]);
        let again = agent.next();
        agent.fail(&again, "again");
        page.host.next_notification("pipeline/failed");
    }
    page.check("retry");
}

#[test]
fn wait() {
    let mut page = Transcript::new();
    let mut agent = Agent::join(&page.server, "worker");
    page.started("good");
    agent.work(json!({"accuracy": 0.98}));
    page.host.next_notification("pipeline/completed");
    page.started("slow");
    let train = agent.next();
    agent.begin(&train);
    for form in FORMS {
        page.ask(&["wait", "good", "--output", form]);
        page.ask(&["wait", "slow", "good", "--timeout", "50ms", "--output", form]);
    }
    page.check("wait");
}

#[test]
fn watch() {
    let mut page = Transcript::new();
    let mut agent = Agent::join(&page.server, "worker");
    page.started("good");
    agent.work(json!({"accuracy": 0.98}));
    page.host.next_notification("pipeline/completed");
    for form in FORMS {
        let args = ["watch", "good", "--output", form];
        let ended = start(&page.server, &args).end();
        // Stderr is for the eyes: how it looks is no promise.
        page.note(&args, &Ended { stderr: String::new(), ..ended });
    }
    page.check("watch");
}

#[test]
fn result() {
    let mut page = Transcript::new();
    let mut agent = Agent::join(&page.server, "worker");
    page.started("good");
    agent.work(json!({"accuracy": 0.98}));
    page.started("bad");
    let train = agent.next();
    agent.fail(&train, "no data");
    page.host.next_notification("pipeline/failed");
    page.idle("new");
    for form in FORMS {
        for task in ["good/train", "bad/train", "new/train"] {
            page.ask(&["result", task, "--output", form]);
        }
    }
    page.check("result");
}

#[test]
fn memory() {
    let mut page = Transcript::new();
    for form in FORMS {
        page.ask(&["memory", "set", "best", r#"{"rate": 0.5}"#, "--output", form]);
        page.ask(&["memory", "get", "best", "--output", form]);
        page.ask(&["memory", "rm", "best", "none", "--output", form]);
        page.ask(&["memory", "get", "best", "--output", form]);
    }
    page.check("memory");
}

#[test]
fn health() {
    let mut page = Transcript::new();
    for form in FORMS {
        page.ask(&["health", "--output", form]);
        page.ask(&["health", "--ready", "--output", form]);
    }
    page.check("health");
}

/// A task that says what it depends on, rightly or not.
fn file(depends_on: &str) -> String {
    format!(
        "name: p\ntasks:\n  - {{name: a, command: ['true']}}\n  - name: b\n    command: ['true']\n    depends_on: [{depends_on}]\n"
    )
}

#[test]
fn check() {
    let mut page = Transcript::new();
    page.write("good.yaml", &file("a"));
    page.write("bad.yaml", &file("aa"));
    for form in FORMS {
        for name in ["good.yaml", "bad.yaml"] {
            let args = ["check", name, "--output", form];
            let ended = page.type_in(&args);
            page.note(&args, &ended);
        }
    }
    page.check("check");
}

#[test]
fn config() {
    let mut page = Transcript::new();
    page.write("good.yaml", "server:\n  port: 9000\n");
    page.write("bad.yaml", "server:\n  prot: 9000\n");
    for form in FORMS {
        let show = ["config", "show", "--config", "good.yaml", "--origin", "--output", form];
        for args in [
            &["config", "check", "good.yaml", "--output", form][..],
            &["config", "check", "bad.yaml", "--output", form],
            &["config", "check", "none.yaml", "--output", form],
            &show,
        ] {
            let ended = page.type_in(args);
            page.note(args, &ended);
        }
    }
    page.check("config");
}

#[test]
fn run() {
    let mut page = Transcript::new();
    page.write(
        "p.yaml",
        "name: p\nretry_attempts: 0\nstrategy: parallel\ntasks:\n  - {name: good, command: [echo, '1']}\n",
    );
    for form in FORMS {
        let args = ["run", "p.yaml", "--data", form, "--output", form];
        let ended = page.type_in(&args);
        // What is told on the way depends on how quick it is.
        page.note(&args, &Ended { stderr: String::new(), ..ended });
    }
    page.check("run");
}
