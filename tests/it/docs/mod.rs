//! The pages of the manual, typed again: what stands below each `$` is what comes, ids, times and widths aside.
//! `EVERLOG_BLESS=1 cargo test --test it docs` writes the answers anew.
//!
//! A fence says what is done with it: `console` is typed, `yaml fit.yaml` is saved under that name, everything else is only
//! read (`console not-run`: it needs more than this machine). In an answer `…` stands for whatever comes.

mod links;
mod page;
mod stage;

use page::Part;
use stage::Stage;
use std::path::Path;

/// What of a line does not change from one run to the next.
pub(crate) fn lasting(line: &str) -> Vec<String> {
    let is_hex = |word: &str| word.len() >= 8 && word.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
    let is_number = |word: &str| word.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    let is_time = |word: &str| {
        let digits = word.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        !digits.is_empty() && digits != word && is_number(digits)
    };
    // As tables and lines have them, 0.13 or 0.1; figures have more digits.
    let is_seconds = |word: &str| is_number(word) && word.find('.').is_some_and(|dot| word.len() - dot <= 3);
    let is_stamp =
        |word: &str| word.starts_with("20") && word.contains('T') && (word.ends_with("+00:00") || word.ends_with('Z'));
    let passes = |word: &str| {
        is_time(word) || is_seconds(word) || is_stamp(word) || matches!(word, "now" | "ago" | "│" | "s" | "ms")
    };
    let words = line.split_whitespace().map(|word| word.trim_matches(|letter: char| "():,".contains(letter)));
    let words = words.filter(|word| is_hex(word) || !passes(word));
    words.map(|word| if is_hex(word) { "ID".to_owned() } else { word.to_owned() }).collect()
}

/// Whether this came as it was told.
pub(crate) fn fits(told: &[String], came: &[String]) -> bool {
    match told.split_first() {
        None => came.is_empty(),
        Some((word, rest)) if word == "…" => (0..=came.len()).any(|skipped| fits(rest, &came[skipped..])),
        Some((word, rest)) => came.split_first().is_some_and(|(first, others)| {
            let same = word == first || word.strip_suffix('…').is_some_and(|begin| first.starts_with(begin));
            same && fits(rest, others)
        }),
    }
}

/// Types the page again.
#[track_caller]
fn play(page: &str) {
    play_with(page, None);
}

/// Types the page again, with what is marked by this.
#[track_caller]
fn play_with(page: &str, extras: Option<&str>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let mut stage = Stage::new();
    let (mut told, mut news) = (String::new(), Vec::new());
    for part in page::parts(&std::fs::read_to_string(&path).unwrap(), extras) {
        match part {
            Part::Text(line) => told.extend([&line, "\n"]),
            Part::Saved { name, text } => stage.save(&name, &text),
            Part::Typed { command, answer } => {
                let came = stage.answer(&command);
                let came: Vec<&str> = came.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
                let words = |lines: &[&str]| lines.iter().flat_map(|line| lasting(line)).collect::<Vec<_>>();
                let expected: Vec<&str> = answer.iter().map(String::as_str).collect();
                let same = fits(&words(&expected), &words(&came));
                told.extend(["$ ", &command, "\n"]);
                for line in if same { expected } else { came.clone() } {
                    told.extend([line, "\n"]);
                }
                if !same {
                    news.push(format!("$ {command}\n{}", came.join("\n")));
                }
            }
        }
    }
    if std::env::var_os("EVERLOG_BLESS").is_some() {
        std::fs::write(&path, told).unwrap();
        return;
    }
    assert!(news.is_empty(), "{page} tells it otherwise:\n{}", news.join("\n"));
}

#[test]
fn the_readme_goes_as_it_is_told() {
    play("README.md");
}

#[test]
fn the_guide_goes_as_it_is_told() {
    play("docs/guide.md");
}

#[test]
fn the_tour_goes_as_it_is_told() {
    play("docs/tour.md");
}

#[test]
fn the_manual_of_pipelines_goes_as_it_is_told() {
    play("docs/pipelines.md");
}

#[test]
fn the_manual_of_agents_goes_as_it_is_told() {
    play("docs/agents.md");
}

#[test]
fn the_manual_of_the_protocol_goes_as_it_is_told() {
    play("docs/protocol.md");
}

#[test]
fn the_manual_of_operations_goes_as_it_is_told() {
    play("docs/operations.md");
}

#[test]
#[ignore = "needs the Python package websockets; .ci/run brings it"]
fn agents_in_python_do_as_they_are_told() {
    play_with("docs/guide.md", Some("with-websockets"));
    play_with("docs/agents.md", Some("with-websockets"));
}

#[test]
fn no_page_is_left_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let played = include_str!("mod.rs");
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let name = page.strip_prefix(root).unwrap().display().to_string();
        let types = std::fs::read_to_string(&page).unwrap().contains("\n```console\n");
        assert!(!types || played.contains(&format!("play({name:?})")), "nobody types what {name} says");
    }
}

#[test]
fn dots_stand_for_anything_and_nothing_else_does() {
    let words = |line: &str| lasting(line);
    for (told, came, fit) in [
        ("a … d", "a b c d", true),
        ("a … d", "a d", true),
        ("a … d", "a b c", false),
        ("be… c", "begun c", true),
        ("be… c", "ended c", false),
        ("took 12ms 0.13", "took 1.4s 2.50", true),
        ("loss 0.625", "loss 0.615", false),
        ("nightly (29045143) stopped", "nightly (6eadc910) stopped", true),
        ("a", "a b", false),
    ] {
        assert_eq!(fits(&words(told), &words(came)), fit, "{told} / {came}");
    }
}
