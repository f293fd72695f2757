use super::manual;
use super::*;
use everlog_replay::spec::Strategy;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use std::sync::LazyLock;

/// A file of the tree that is made from the table; written anew under `EVERLOG_BLESS=1`.
#[track_caller]
fn in_tree(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("EVERLOG_BLESS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        made,
        "{name} is out of date: EVERLOG_BLESS=1 cargo test --lib"
    );
}

/// Layers in a directory of their own.
fn load(
    yaml: &str,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &'static str, &str)],
) -> Result<Loaded, String> {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mcp.yaml");
    std::fs::write(&file, yaml).unwrap();
    let sources = Sources {
        file: Some(file),
        environment: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        flags: flags.iter().map(|(path, flag, text)| (*path, *flag, (*text).to_owned())).collect(),
    };
    let shown = |error: ConfigError| error.to_string().replace(&*home.path().to_string_lossy(), "HOME");
    sources.load().map_err(shown)
}

fn origin<'a>(loaded: &'a Loaded, path: &str) -> &'a Origin {
    &loaded.origins[KEYS.iter().position(|key| key.path() == path).unwrap()]
}

#[test]
fn what_is_shipped_follows_from_the_table() {
    in_tree("config/mcp.yaml", &manual::shipped_file());
    in_tree("docs/schema/config.json", &format!("{:#}\n", manual::schema()));
    let operations = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    const BEGIN: &str = "<!-- keys: made from src/config/keys.rs -->\n";
    let (before, rest) = operations.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once("<!-- end of keys -->").unwrap();
    in_tree("docs/operations.md", &format!("{before}{BEGIN}{}<!-- end of keys -->{after}", manual::table()));
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let loaded = load(&manual::shipped_file(), &[], &[]).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.origins.iter().all(|origin| matches!(origin, Origin::File(..))), "every key is in it");
    assert_eq!(Config::default().settings(), Settings::default());
    let setup = Config::default().setup();
    let expected =
        Setup { place: Place::Directory(".everlog".into()), door: Some(DoorConfig::default()), ..Setup::default() };
    assert_eq!(setup, expected);
}

#[test]
fn every_default_is_allowed_and_reads_back() {
    for key in KEYS {
        let mut config = Config::default();
        let text = key.shown(&config);
        assert!(key.set(&mut config, &text), "{} = {text}", key.path());
        assert_eq!(config, Config::default(), "{}", key.path());
        let bounds = match key.allowed {
            table::Allowed::Whole(least, most) => vec![least.to_string(), most.to_string()],
            table::Allowed::Number(least, most) => vec![least.to_string(), most.to_string()],
            table::Allowed::Words(ref words) => words(),
            table::Allowed::Flag => vec!["true".to_owned(), "false".to_owned()],
            table::Allowed::Text => vec!["a text".to_owned()],
        };
        for bound in bounds {
            assert!(key.set(&mut config, &bound), "{} = {bound}", key.path());
            assert_eq!(key.shown(&config).trim_end_matches(".0"), bound, "{}", key.path());
        }
    }
}

#[test]
fn what_nobody_says_stays_as_it_was() {
    for nothing in ["", "# nothing\n", "server:\n"] {
        assert_eq!(load(nothing, &[], &[]).unwrap().config, Config::default(), "{nothing:?}");
    }
    let config = load("orchestration: {strategy: priority_based, task_timeout: 0}\n", &[], &[]).unwrap().config;
    assert_eq!((config.settings().strategy, config.settings().timeout_ms), (Strategy::PriorityBased, None));
    assert_eq!(config.server, keys::Server::default());
}

#[test]
fn a_flag_counts_more_than_the_environment_and_that_more_than_the_file() {
    let yaml = "server:\n  port: 1\n  host: file\nmonitoring: {agent_interval: 3}\n";
    let variables = [
        ("MCP_SERVER_PORT", "2"),
        ("MCP_SERVER_HOST", ""),
        ("MONITORING_INTERVAL", "0.5"),
        ("EVERLOG__MONITORING__MODEL_INTERVAL", "7"),
        ("MAX_MEMORY_MB", " 512 "),
        ("MAX_CPU_PERCENT", "12.5"),
    ];
    let loaded = load(yaml, &variables, &[("server.port", "--port", "3")]).unwrap();
    let config = &loaded.config;
    assert_eq!((config.server.port, config.server.host.as_str()), (3, "file"));
    let intervals = &config.monitoring;
    assert_eq!([intervals.system_interval, intervals.agent_interval, intervals.model_interval], [0.5, 0.5, 7.0]);
    assert_eq!((config.settings().limits.memory, config.settings().limits.cpu), (512 * 1_024, 1_250));
    let origins = ["server.port", "server.host", "monitoring.agent_interval", "alerts.cpu_threshold"];
    let origins = origins.map(|path| origin(&loaded, path).to_string());
    assert_eq!([&*origins[0], &*origins[2], &*origins[3]], ["flag --port", "env MONITORING_INTERVAL", "default"]);
    assert!(origins[1].ends_with("mcp.yaml:3"), "{origins:?}");
}

#[test]
fn the_longer_name_counts_and_a_difference_is_told() {
    let both =
        |longer, shorter| load("", &[("EVERLOG__SERVER__PORT", longer), ("MCP_SERVER_PORT", shorter)], &[]).unwrap();
    let loaded = both("5", "6");
    assert_eq!(loaded.config.server.port, 5);
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].contains("EVERLOG__SERVER__PORT and MCP_SERVER_PORT differ"), "{:?}", loaded.warnings);
    assert!(both("5", "5").warnings.is_empty());
}

#[test]
fn a_value_may_stand_in_a_file() {
    let home = tempfile::tempdir().unwrap();
    let secret = home.path().join("port");
    std::fs::write(&secret, "  77\n").unwrap();
    let secret = secret.to_str().unwrap();
    for name in ["MCP_SERVER_PORT_FILE", "EVERLOG__SERVER__PORT_FILE"] {
        let loaded = load("", &[(name, secret)], &[]).unwrap();
        assert_eq!(
            (loaded.config.server.port, origin(&loaded, "server.port").to_string()),
            (77, format!("env {name}"))
        );
    }
    let both = load("", &[("MCP_SERVER_PORT", "1"), ("MCP_SERVER_PORT_FILE", secret)], &[]).unwrap_err();
    assert_eq!(
        both,
        "the environment variables MCP_SERVER_PORT and MCP_SERVER_PORT_FILE are both set; unset one of them"
    );
    let missing = load("", &[("MCP_SERVER_PORT_FILE", "no/such/file")], &[]).unwrap_err();
    assert!(missing.contains("MCP_SERVER_PORT_FILE names no/such/file, which cannot be read"), "{missing}");
}

/// All mistakes of a file, each with its help.
fn mistakes(yaml: &str) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mcp.yaml");
    std::fs::write(&file, yaml).unwrap();
    let error = Sources { file: Some(file), ..Sources::default() }.load().unwrap_err();
    let place = format!("{}/mcp.yaml", home.path().display());
    let ConfigError::File(error) = error else { panic!("{error}") };
    error.faults().iter().map(|fault| fault.in_a_line().replace(&place, "")).collect()
}

#[test]
fn what_nobody_knows_is_told_with_the_nearest_and_its_place() {
    for (yaml, expected) in [
        ("servr: {}\n", ":1:1: there is no key `servr` here; did you mean `server`?"),
        ("server:\n  host: x\n  prot: 1\n", ":3:3: there is no key `prot` here; did you mean `port`?"),
        ("log:\n  colour: 1\n", ":2:3: there is no key `colour` here; known are format, level"),
    ] {
        assert_eq!(mistakes(yaml), [expected], "{yaml}");
    }
    for (variable, expected) in [
        ("EVERLOG__SERVER__PROT", " names no key (did you mean EVERLOG__SERVER__PORT?); rename it, or unset it"),
        ("EVERLOG__SERVER__PROT_FILE", " names no key (did you mean EVERLOG__SERVER__PORT?); rename it, or unset it"),
        ("EVERLOG__PLANETS", " names no key; rename it, or unset it"),
    ] {
        let error = load("", &[(variable, "1")], &[]).unwrap_err();
        assert_eq!(error, format!("the environment variable {variable}{expected}"));
    }
}

#[test]
fn a_variable_that_is_nearly_one_of_ours_is_worth_a_warning() {
    for (variable, meant) in [
        ("EVERLOG_SERVER_PORT", Some("EVERLOG__SERVER__PORT")),
        ("EVERLOG_SERVER_PORT_FILE", Some("EVERLOG__SERVER__PORT_FILE")),
        ("MCP_SERVER_PROT", Some("MCP_SERVER_PORT")),
        ("MCP_SERVER_PROT_FILE", Some("MCP_SERVER_PORT_FILE")),
        ("MCP_CLIENT_TIMOUT", Some("MCP_CLIENT_TIMEOUT")),
        ("MCP_MAX_RETRIES", None),
        ("MCP_SERVER_PORT", None),
        ("MCP_PROXY_MODE", None),
        // Kubernetes sets these beside a service that is called everlog.
        ("EVERLOG_PORT", None),
        ("EVERLOG_SERVICE_HOST", None),
        ("EVERLOG_CONFIG_DIRECTORY", None),
    ] {
        let told: Vec<String> = meant
            .into_iter()
            .map(|meant| format!("the environment variable {variable} is not read; did you mean {meant}?"))
            .collect();
        assert_eq!(load("", &[(variable, "1")], &[]).unwrap().warnings, told, "{variable}");
    }
}

#[test]
fn what_makes_no_sense_is_told_with_what_would() {
    const PORT: &str = "`port` must be a whole number from 0 to 65535, not";
    for (yaml, expected) in [
        ("server:\n  port: 70000", format!(":2:9: {PORT} 70000")),
        ("server: {port: }", format!(":1:14: {PORT} nothing")),
        ("server: {port: [1]}", format!(":1:16: {PORT} a list of 1")),
        ("server: {port: '9000'}", format!(":1:16: {PORT} the text `9000`; take the quotes off")),
        ("server: {host: 8}", ":1:16: `host` must be a text that is not empty, not 8; put it in quotes".to_owned()),
        ("server: {host: ''}", ":1:16: `host` must be a text that is not empty, not an empty text".to_owned()),
        ("server: 8700", ":1:9: `server` must be a mapping, not 8700".to_owned()),
        ("[server]", ":1:1: `the file` must be a mapping, not a list of 1".to_owned()),
        ("server: {port: 1, port: 2}", ":1:19: `port` is given twice; remove one of them".to_owned()),
        ("server: {}\n---\nlog: {}\n", ":2:1: a second document begins here; give it a file of its own".to_owned()),
        (
            "log: {format: jsno}",
            ":1:15: `format` must be one of text, json, not the text `jsno`; did you mean `json`?".to_owned(),
        ),
        (
            "limits: {max_cpu_percent: 101}",
            ":1:27: `max_cpu_percent` must be a number from 0 to 100, not 101".to_owned(),
        ),
        (
            "orchestration: {task_timeout: .nan}",
            ":1:31: `task_timeout` must be a number from 0 to 3155760000, not the text `.nan`".to_owned(),
        ),
    ] {
        assert_eq!(mistakes(yaml), [expected], "{yaml}");
    }
    assert!(mistakes("server: [")[0].starts_with(":1:9: this is no YAML: "), "{:?}", mistakes("server: ["));
    let all = mistakes("servr: {}\nserver: {port: x, port: 1}\n");
    assert_eq!(all.len(), 3, "all at once: {all:?}");
    for (variable, text, expected) in [
        (
            "MCP_SERVER_PORT",
            "many",
            "server.port is 'many'; set it to a whole number from 0 to 65535 in the environment variable MCP_SERVER_PORT, or unset it",
        ),
        (
            "MONITORING_INTERVAL",
            "-1",
            "monitoring.system_interval is '-1'; set it to a number, 0.2 or more in the environment variable MONITORING_INTERVAL, or unset it",
        ),
    ] {
        assert_eq!(load("", &[(variable, text)], &[]).unwrap_err(), expected);
    }
    let flag = load("", &[], &[("service.drain_deadline", "--drain-deadline", "-1")]).unwrap_err();
    assert_eq!(flag, "service.drain_deadline is '-1'; set it to a number from 0 to 86400 with --drain-deadline");
}

/// Values as people write them, right for some keys and wrong for most.
const LITERALS: [&str; 40] = [
    "", "~", "null", "true", "True", "'true'", "yes", "off", "0", "'0'", "-0", "-0.0", "+7", "007", "1", "1.0",
    "'1.0'", "1.5", "1e3", "1e999", "-1", "0.1", "0x10", "1_000", ".inf", ".nan", "65535", "65536", "9000", "'9000'",
    "5s", "''", "text", "'text'", "info", "parallel", "[]", "[1]", "{}", "{a: 1}",
];

static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::validator_for(&manual::schema()).expect("a schema"));

proptest! {
    #[test]
    fn what_the_schema_calls_valid_is_read_and_nothing_else(
        key in 0..KEYS.len(),
        literal in prop_oneof![
            prop::sample::select(&LITERALS[..]).prop_map(str::to_owned),
            any::<i32>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| format!("{number:?}")),
            "[a-z0-9.]{1,4}",
        ],
    ) {
        let key = &KEYS[key];
        let text = format!("{}:\n  {}: {literal}\n", key.section, key.name);
        let document = crate::yaml::parse(&text, &mut crate::yaml::Mistakes::default()).expect("YAML");
        let valid = VALIDATOR.is_valid(&serde_json::to_value(&document).expect("JSON"));
        let loaded = load(&text, &[], &[]);
        prop_assert_eq!(loaded.is_ok(), valid, "{}: {:?}", text, loaded);
    }
}

#[test]
fn whole_numbers_are_read_however_they_are_written() {
    for port in ["9000", "9000.0", "9e3", "+9000"] {
        assert_eq!(load(&format!("server: {{port: {port}}}"), &[], &[]).unwrap().config.server.port, 9_000, "{port}");
    }
    assert_eq!(load("server: {port: -0}", &[], &[]).unwrap().config.server.port, 0);
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let named = Sources { file: Some("no/such.yaml".into()), ..Sources::default() };
    let by_variable = [("EVERLOG_CONFIG".to_owned(), "no/such.yaml".to_owned())];
    let by_variable = Sources { environment: by_variable.into_iter().collect(), ..Sources::default() };
    for sources in [named, by_variable] {
        let error = sources.load().unwrap_err().to_string();
        assert!(error.starts_with("cannot read no/such.yaml: "), "{error}");
    }
}

#[test]
fn the_users_own_file_is_found() {
    let home = tempfile::tempdir().unwrap();
    for (variable, directory) in [("XDG_CONFIG_HOME", "everlog"), ("HOME", ".config/everlog")] {
        std::fs::create_dir_all(home.path().join(directory)).unwrap();
        let path = home.path().join(directory).join("config.yaml");
        std::fs::write(&path, "server: {port: 9}").unwrap();
        let variables = [(variable.to_owned(), home.path().to_string_lossy().into_owned())].into_iter().collect();
        assert_eq!(file::of_user(&variables), Some(path));
        // The tests of a crate run in its folder, where the file that counts more is the shipped one.
        assert_eq!(file::find(None, &variables), Some("config/mcp.yaml".into()));
    }
}

#[test]
fn a_reload_changes_what_can_change_and_names_the_rest() {
    let (old, mut new) = (Config::default(), Config::default());
    new.limits.max_memory_mb = 4_096;
    new.server.port = 1;
    new.alerts.cpu_threshold = 1.0;
    let Change { config, told } = old.change_to(&new);
    let expected = Config { limits: new.limits.clone(), ..Config::default() };
    assert_eq!(config, expected);
    let told: Vec<(Effect, &str)> = told.iter().map(|(effect, sentence)| (*effect, sentence.as_str())).collect();
    assert_eq!(
        told,
        [
            (Effect::Restart, "server.port stays 8700: it needs a restart to become 1"),
            (Effect::None, "alerts.cpu_threshold has no effect yet, so nothing changes"),
            (Effect::Reload, "limits.max_memory_mb is now 4096; it was 2048"),
        ]
    );
    assert_eq!(config.change_to(&config), Change { config: config.clone(), told: Vec::new() });
}
