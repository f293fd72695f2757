//! The tour of a new user, slips of the hand included.

use super::screen::unbroken;
use super::{Terminal, others};
use crate::harness::{Agent, Process, Server, everlog};
use serde_json::json;

/// A pipeline whose task says how far it is and then waits until somebody opens the gate.
const GATED: &str = "name: gated
tasks:
  - name: hold
    command: [sh, -c, 'echo \"0.5 half done\" >> \"$EVERLOG_PROGRESS\"; cat gate']
  - name: and-then-report-to-everybody
    depends_on: [hold]
    command: [echo, '\"夜间训练 🙂\"']
";

#[test]
fn at_40_columns() {
    tour(40);
}

#[test]
fn at_80_columns() {
    tour(80);
}

#[test]
fn at_120_columns() {
    tour(120);
}

fn tour(columns: u16) {
    let mut terminal = Terminal::new(columns);
    first_look(&mut terminal);
    nobody_there(&mut terminal);
    let server = Server::start();
    terminal.turn_to(&server);
    nothing_there(&mut terminal);
    a_pipeline(&mut terminal, &server);
    slips(&mut terminal);
    a_run(&mut terminal);
    terminal.compare();
}

fn first_look(terminal: &mut Terminal) {
    for typed in ["everlog", "everlog --help", "everlog ps --help", "everlog help exit-codes"] {
        terminal.enter(typed);
    }
}

fn nobody_there(terminal: &mut Terminal) {
    terminal.enter("everlog ps");
    terminal.port = others::web_server();
    terminal.enter("everlog agents");
    terminal.port = others::old_coordinator();
    terminal.enter("everlog retry nightly");
}

fn nothing_there(terminal: &mut Terminal) {
    for typed in ["ps", "ps --all", "tasks", "agents", "errors", "memory ls best/"] {
        terminal.enter(&format!("everlog {typed}"));
    }
}

fn a_pipeline(terminal: &mut Terminal, server: &Server) {
    terminal.save(
        "nightly.yaml",
        "name: nightly\nretry_attempts: 0\ntasks:\n  - name: load\n  - name: 夜间训练-🙂-model\n    depends_on: [load]\n",
    );
    terminal.enter("everlog submit nightly.yaml");
    let mut screen = terminal.start("everlog watch nightly");
    screen.until("no agent");
    terminal.keep("everlog watch nightly (and nobody works)", &screen);
    let mut agent = Agent::join(server, "worker");
    let load = agent.next();
    agent.begin(&load);
    screen.until("1 running");
    screen.until("load");
    terminal.keep("everlog watch nightly (and the task says nothing)", &screen);
    progress(&mut agent, &load.task, "epoch 42 of 100");
    screen.until("42 %");
    screen.until("epoch");
    terminal.keep("everlog watch nightly (and the task says how far it is)", &screen);
    screen.press("\u{3}");
    terminal.end("everlog watch nightly (and Ctrl-C)", screen);
    terminal.enter("everlog ps");
    let screen = terminal.start("everlog watch nightly");
    agent.complete(&load, json!({"rows": 150}));
    let train = agent.next();
    agent.fail(&train, "no labels.txt");
    terminal.end("everlog watch nightly (to its end)", screen);
    for typed in [
        "ps --all",
        "tasks nightly",
        "agents",
        "status nightly",
        "call task/list --output table",
        "result nightly/load",
    ] {
        terminal.enter(&format!("everlog {typed}"));
    }
}

fn progress(agent: &mut Agent, task: &str, message: &str) {
    let told = json!({"task_id": task, "agent_id": agent.id, "progress": 0.42, "details": {"message": message},
        "timestamp": "2026-01-01T00:00:00"});
    agent.peer.notify("task/progress", told);
    agent.sync();
}

fn slips(terminal: &mut Terminal) {
    terminal.save("mcp.yaml", "server:\n  prot: 9000\n");
    terminal.save("broken.yaml", "name: broken\ntasks:\n  - name: a\n    comand: [echo, hello]\n");
    for typed in [
        "stauts",
        "ps --statsu failed",
        "call pipelin/list",
        "call task/list {limit:5}",
        "tasks nigthly",
        "result nightly/laod",
        "start @last",
        "memory get best/accuracy",
        "config check mcp.yaml",
        "check broken.yaml",
        "check nowhere.yaml",
    ] {
        terminal.enter(&format!("everlog {typed}"));
    }
}

fn a_run(terminal: &mut Terminal) {
    terminal.save("gated.yaml", GATED);
    let gate = terminal.home.path().join("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let typed = "everlog run gated.yaml --slots 1";
    let mut screen = terminal.start(typed);
    screen.until("half done");
    terminal.keep(&format!("{typed} (while it goes on)"), &screen);
    screen.press("\u{3}");
    terminal.end(&format!("{typed} (and Ctrl-C)"), screen);
    let mut screen = terminal.start("everlog run --resume");
    screen.until("half done");
    std::fs::write(&gate, "150\n").unwrap();
    terminal.end("everlog run --resume", screen);
}

#[test]
fn no_help_is_wider_than_the_terminal() {
    let verbs = |args: &[&str]| {
        let help = Process::start(everlog(args.iter().chain(&["--help"]))).end().expect_code(0).stdout;
        let listed =
            help.split_once("Commands:\n").map_or("", |(_, rest)| rest).split("\n\n").next().unwrap_or_default();
        let verbs = listed.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned));
        verbs.filter(|verb| !verb.is_empty() && verb != "help").collect::<Vec<_>>()
    };
    let mut all = verbs(&[]);
    assert!(all.len() > 20, "{all:?}");
    let inner: Vec<String> =
        all.iter().flat_map(|verb| verbs(&[verb]).into_iter().map(move |inner| format!("{verb} {inner}"))).collect();
    assert!(inner.iter().any(|verb| verb == "memory get"), "{inner:?}");
    all.extend(inner);
    for columns in [40, 80] {
        let terminal = Terminal::new(columns);
        for verb in &all {
            let mut screen = terminal.start(&format!("everlog {verb} --help"));
            assert_eq!(screen.end(), 0, "{verb}");
            let text = screen.text();
            // A flag and what is to be typed are what they are.
            let lines = unbroken(&text);
            let broken = lines
                .lines()
                .find(|line| line.len() > columns.into() && line.trim().contains(' ') && !line.starts_with("Usage: "));
            assert_eq!(broken, None, "{verb} at {columns} columns:\n{text}");
        }
    }
}

#[test]
fn a_resized_terminal_has_no_ruins() {
    let server = Server::start();
    let mut terminal = Terminal::new(100);
    terminal.turn_to(&server);
    terminal.save("p.yaml", "name: p\ntasks:\n  - name: a-task-with-a-name-of-some-length\n");
    terminal.enter("everlog submit p.yaml");
    let mut agent = Agent::join(&server, "worker");
    let task = agent.next();
    agent.begin(&task);
    let mut screen = terminal.start("everlog watch p");
    screen.until("p  running");
    progress(&mut agent, &task.task, "as many words as fill a line of a hundred columns, or nearly so");
    screen.until("as many words");
    for columns in [40, 30, 90] {
        screen.resize(columns);
        progress(&mut agent, &task.task, &format!("now {columns} columns"));
        screen.until_it("two whole lines", |screen| screen.rows().len() == 2 && !screen.text().contains('↩'));
        assert!(screen.rows()[0].starts_with("p  "), "{}", screen.text());
    }
    screen.until("now 90 columns");
    screen.press("\u{3}");
    assert_eq!(screen.end(), 130);
}

#[test]
fn a_terminal_that_does_not_know_its_width_bounds_nothing() {
    let server = Server::start();
    let mut terminal = Terminal::new(0);
    terminal.turn_to(&server);
    let mut host = server.peer();
    let name = "a name that is longer than any terminal of eighty columns has room for, and a good deal longer too";
    host.request("pipeline/create", json!({"name": name, "tasks": []}));
    let mut screen = terminal.start("everlog ps");
    assert_eq!(screen.end(), 0);
    assert!(screen.rows()[1].contains(name), "{}", screen.text());
}

#[test]
fn a_line_of_the_history_is_one_row() {
    let mut terminal = Terminal::new(80);
    terminal.save("p.yaml", "name: p\ntasks: [{name: a, command: ['true']}]\n");
    terminal.enter("everlog run p.yaml");
    for columns in [40, 80] {
        terminal.columns = columns;
        let mut screen = terminal.start("everlog log");
        assert_eq!(screen.end(), 0);
        let text = screen.text();
        assert!(text.contains("PipelineCompleted") && !text.contains('↩'), "{text}");
    }
}
