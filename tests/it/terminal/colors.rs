//! Colours come and go together, wherever they are.

use crate::harness::{Ended, Process, Server, everlog};

/// What is coloured: help, slips of the hand, tables and troubles.
const COLOURED: [&[&str]; 4] = [&["--help"], &["stauts"], &["ps", "--all"], &["status", "nobody"]];

/// Whether each of them has colours, and the log of a server too.
fn coloured(server: &Server, flags: &[&str], variables: &[(&str, &str)]) -> Vec<bool> {
    let port = server.address().rsplit(':').next().unwrap();
    let variables = variables.iter().copied().chain([("MCP_SERVER_PORT", port)]);
    let has = |ended: Ended| (ended.stdout + &ended.stderr).contains('\u{1b}');
    let verbs = COLOURED.map(|args| {
        let mut command = everlog(args.iter().chain(flags));
        command.envs(variables.clone());
        has(Process::start(command).end())
    });
    let log = Server::tuned(|command| command.args(flags).envs(variables).env("RUST_LOG", "info")).terminate();
    assert!(log.stderr.contains("INFO"), "{log:?}");
    verbs.into_iter().chain([has(log)]).collect()
}

#[test]
fn everything_is_coloured_or_nothing() {
    let server = Server::start();
    server.peer().request("pipeline/create", serde_json::json!({"name": "p", "tasks": []}));
    for (flags, variables, expected) in [
        (&[][..], &[][..], false),
        (&["--color", "always"], &[], true),
        (&["--color=always"], &[("NO_COLOR", "1")], true),
        (&[], &[("CLICOLOR_FORCE", "1")], true),
        (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
    ] {
        assert_eq!(coloured(&server, flags, variables), [expected; 5], "{flags:?} {variables:?}");
    }
}
