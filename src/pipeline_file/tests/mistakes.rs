//! What is told of faulty files, and where.

use super::*;
use crate::yaml::Fault;

/// Every mistake as `line:column message; help`.
fn told(text: &str, set: &[&str]) -> Vec<String> {
    let mistakes = parse(text, Path::new("/work"), &settings(set)).expect_err("a faulty file");
    let error = mistakes.within(Path::new("p.yaml"), Some(text.to_owned()));
    let line = |fault: &Fault| {
        let place = fault.place.map_or_else(String::new, |(line, column)| format!("{line}:{column} "));
        format!("{place}{}; {}", fault.message, fault.help.as_deref().unwrap_or("-"))
    };
    error.faults().iter().map(line).collect()
}

#[track_caller]
fn tells(text: &str, expected: &[&str]) {
    assert_eq!(told(text, &[]), expected, "{text}");
}

/// A file with one task that has this line.
fn task(line: &str) -> String {
    format!("name: d\ntasks:\n- name: a\n  {line}\n")
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "naem: d\nstrategy: fast\ntasks:\n- name: a\n  comand: [x]\n  timeout: 5s\n  priority: 5000\n\
                - name: b\n  depends_on: [c, d]\n- name: c\n  retry: {attempts: -1, on: x}\n- name: c\n";
    tells(
        text,
        &[
            "1:1 there is no key `naem` here; did you mean `name`?",
            "1:1 `name` is missing in the file; add it; -",
            "2:11 `strategy` must be one of sequential, parallel, priority_based, resource_aware, adaptive, not the text `fast`; -",
            "5:3 there is no key `comand` here; did you mean `command`?",
            "6:12 `timeout` must be seconds as a number without a unit, such as 5 or 0.5, not the text `5s`; -",
            "7:13 `priority` must be a whole number from -1000 to 1000, not 5000; -",
            "9:19 no task is named `d`; known are a, b, c",
            "11:21 `attempts` must be a whole number from 0 to 1000, not -1; -",
            "11:25 there is no key `on` here; known are attempts, backoff_s, factor, max_backoff_s, not_on",
            "12:9 two tasks are named `c`; rename one of them; -",
        ],
    );
}

#[test]
fn usual_slips_are_answered_with_the_right_form() {
    for (line, expected) in [
        (
            "command: echo hi",
            "4:12 `command` must be a list such as [echo, hi]; no shell reads a command, so write one as [sh, -c, '…'] where you need it, not the text `echo hi`; -",
        ),
        (
            "command: []",
            "4:12 `command` must be a list such as [echo, hi]; no shell reads a command, so write one as [sh, -c, '…'] where you need it, not a list of 0; -",
        ),
        (
            "timeout: '5'",
            "4:12 `timeout` must be seconds as a number without a unit, such as 5 or 0.5, not the text `5`; take the quotes off",
        ),
        (
            "on_failure: stop",
            "4:15 `on_failure` must be one of fail, continue, skip_downstream, not the text `stop`; -",
        ),
        (
            "required_capabilities: [7]",
            "4:27 `required_capabilities[0]` must be a text of 1 to 512 characters, not 7; put it in quotes",
        ),
        ("depends_on: b", "4:15 `depends_on` must be a list of 0 to 100000 items, not the text `b`; -"),
        (
            "config: {timeout: 3}",
            "4:12 `config.timeout` has a name with a meaning of its own; write `timeout` beside `config`, or choose another name",
        ),
        (
            "config: {retry_attempts: 3}",
            "4:12 `config.retry_attempts` has a name with a meaning of its own; write `retry: {attempts: …}` beside `config`, or choose another name",
        ),
        ("config: {k: 1, k: 2}", "4:18 `k` is given twice; remove one of them; -"),
    ] {
        tells(&task(line), &[expected]);
    }
    tells("", &["the file is empty; a pipeline needs at least `name` and `tasks`; -"]);
    tells("# later\n", &["the file is empty; a pipeline needs at least `name` and `tasks`; -"]);
    tells("name: d\ntasks: []\n", &["2:8 `tasks` must be a list of 1 to 100000 items, not a list of 0; -"]);
    tells("name: d\ntasks: [{command: [x]}]\n", &["2:9 `name` is missing in tasks[0]; add it; -"]);
    tells(
        "name: d\ndefaults: {replicas: 2}\ntasks: [{name: a}]\n",
        &[
            "2:12 there is no key `replicas` here; known are command, config, cpu_requirement, cwd, env, execution_time, gpu_requirement, memory_requirement, on_failure, priority, required_capabilities, resource_weight, retry, timeout",
        ],
    );
    assert!(told("name: [\n", &[])[0].contains("this is no YAML"), "{:?}", told("name: [\n", &[]));
}

#[test]
fn a_circle_is_named() {
    let text =
        "name: d\ntasks:\n- name: a\n  depends_on: [c]\n- name: b\n  depends_on: [a]\n- name: c\n  inputs: {x: b.y}\n";
    tells(text, &["4:15 the tasks wait for each other in a circle: a → c → b → a; remove one of these dependencies"]);
}

#[test]
fn circles_are_told_beside_all_other_mistakes() {
    let text = "naem: d\ntasks:\n- {name: a, depends_on: [b], comand: [x]}\n- {name: b, depends_on: [a, z]}\n\
                - {name: c, depends_on: [c]}\n- {name: d, timeout: 5s}\n";
    tells(
        text,
        &[
            "1:1 there is no key `naem` here; did you mean `name`?",
            "1:1 `name` is missing in the file; add it; -",
            "3:25 the tasks wait for each other in a circle: a → b → a; remove one of these dependencies",
            "3:30 there is no key `comand` here; did you mean `command`?",
            "4:29 no task is named `z`; known are a, b, c, d",
            "5:25 the tasks wait for each other in a circle: c → c; remove one of these dependencies",
            "6:22 `timeout` must be seconds as a number without a unit, such as 5 or 0.5, not the text `5s`; -",
        ],
    );
}

#[test]
fn what_no_program_can_be_given_is_refused() {
    const NAME: &str = "a name has at least one character, and no `=` in it";
    for (line, expected) in [
        (
            r#"command: ["a\0b"]"#,
            "4:13 `command[0]` holds the character NUL, which no program can be given; remove it".to_owned(),
        ),
        (
            r#"command: [x, "\0"]"#,
            "4:16 `command[1]` holds the character NUL, which no program can be given; remove it".to_owned(),
        ),
        (r#"command: ["", x]"#, "4:13 `command[0]` must be the program to run, not an empty text; -".to_owned()),
        (r#"cwd: "\0""#, "4:8 `cwd` holds the character NUL, which no program can be given; remove it".to_owned()),
        (r#"env: {A: "\0"}"#, "4:12 `A` holds the character NUL, which no program can be given; remove it".to_owned()),
        (r#"env: {"": x}"#, format!("4:9 `` in `env` names no variable; {NAME}")),
        ("env: {A=B: x}", format!("4:9 `A=B` in `env` names no variable; {NAME}")),
        (r#"env: {"A\0": x}"#, "4:9 `A\0` in `env` names no variable; remove it".to_owned()),
        (
            r#"matrix: {k: ["\0"]}"#,
            "4:16 `k[0]` holds the character NUL, which no program can be given; remove it".to_owned(),
        ),
    ] {
        tells(&task(line), &[&expected]);
    }
    let filled = "name: d\nparams: {p: ''}\ntasks:\n- {name: a, command: ['${{ params.p }}', x]}\n";
    tells(filled, &["4:23 `command[0]` must be the program to run, not an empty text; -"]);
}

#[test]
fn a_file_in_another_encoding_is_shown_where_it_is() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("p.yaml");
    std::fs::write(&path, b"name: d\n# caf\xe9\n").expect("a file");
    let error = load(&path, &[]).expect_err("Latin-1");
    let [fault] = error.faults() else { panic!("one mistake: {error}") };
    assert_eq!((fault.place, fault.message.as_str()), (Some((2, 6)), "this is no UTF-8"));
}

#[test]
fn expressions_stand_for_what_there_is() {
    let text = "name: d\nparams: {rate: 1, data: }\ntasks:\n- name: a\n  foreach: [{k: v}]\n  command:\n  - x\n\
                \x20 - --rate=${{ params.rat }}\n  - ${{ item.l }}\n  - ${{ matrix.k }}\n  - \"${{ item }}!\"\n  - ${{ open\n\
                - name: b\n  timeout: ${{ params.rate + 1 }}\n";
    tells(
        text,
        &[
            "2:19 the parameter `data` has no value; give it with `--set data=…`",
            "8:16 `params.rat` stands for nothing here; did you mean `params.rate`?",
            "9:9 `item.l` stands for nothing here; did you mean `item.k`?",
            "10:9 `matrix.k` stands for nothing here; known are params.data, params.rate, item.k, index",
            "11:10 `item` is no text or number, so it must be the whole value; -",
            "12:5 `${{` has no `}}` behind it; write `$${{` for the text `${{`",
            "14:16 `params.rate + 1` stands for nothing here; did you mean `params.rate`?",
        ],
    );
    for (name, help) in [
        ("params.foo", "declare it with its default: `params: {foo: …}`"),
        ("prams.foo", "names are `params.NAME` of what `params` declares, `matrix.KEY`, `item` and `index`"),
        ("matrix.x", "names are `params.NAME` of what `params` declares, `matrix.KEY`, `item` and `index`"),
    ] {
        let place = format!("4:20 `{name}` stands for nothing here; {help}");
        tells(&task(&format!("command: [x, '${{{{{name}}}}}']")), &[&place]);
    }
    let typed = "name: d\nparams: {n: 1, yes: true}\ntasks:\n- {name: a, timeout: '${{ params.n }}'}\n";
    assert_eq!(
        told(typed, &["n=many", "yes=no", "m=1"]),
        [
            "--set m: the file has no such parameter; known are n, yes",
            "--set n: `many` is no number, and `n` is one; -",
            "--set yes: `no` is neither `true` nor `false`; -",
        ]
    );
    tells(
        "name: d\nparams: {n: 2000}\ntasks:\n- {name: a, priority: '${{ params.n }}'}\n",
        &["4:23 `priority` must be a whole number from -1000 to 1000, not 2000; -"],
    );
}

#[test]
fn copies_are_counted_before_they_are_made() {
    let rows = "name: d\ntasks:\n- {name: a, foreach: {range: [0, 9000000000000000000]}}\n";
    tells(
        rows,
        &[
            "3:30 these are 9000000000000000000 tasks, and of the 100000 of a file 100000 are left; give fewer values, or split the pipeline",
        ],
    );
    let axis = format!("[{}]", vec!["1"; 1000].join(","));
    let wide = format!(
        "name: d\ntasks:\n- name: a\n  matrix: {{{}}}\n",
        ["a", "b", "c", "d", "e", "f", "g"].map(|key| format!("{key}: {axis}")).join(", ")
    );
    let [told] = &told(&wide, &[])[..] else { panic!("{:?}", told(&wide, &[])) };
    assert!(told.contains("more than can be counted tasks"), "{told}");
    let edges = "name: d\ntasks:\n- {name: a, replicas: 2000}\n- {name: b, replicas: 2000, depends_on: [a]}\n";
    tells(
        edges,
        &[
            "4:42 the tasks of this file have more than 2000000 dependencies; let one task join the many, and depend on that",
        ],
    );
    let join = "name: d\ntasks:\n- {name: a, replicas: 10000}\n- {name: b, depends_on: [a]}\n";
    assert!(told_one(join).contains("more than 524288; join them in two steps"), "{}", told_one(join));
    tells(
        "name: d\ntasks:\n- {name: a, replicas: 99999}\n",
        &[
            "3:23 `replicas` must be a whole number from 1 to 10000; -",
            "3:23 `replicas` must be a whole number from 1 to 10000, not 99999; -",
        ],
    );
}

fn told_one(text: &str) -> String {
    let [one] = &told(text, &[])[..] else { panic!("{:?}", told(text, &[])) };
    one.clone()
}

#[test]
fn names_are_unique_and_choices_choose_something() {
    for (tasks, expected) in [
        ("- {name: a-1}\n- {name: a, replicas: 3}", "4:10 two tasks are named `a-1`; rename one of them; -"),
        ("- {name: 'a', matrix: {k: ['x y', x_y]}}", "3:10 two tasks are named `a-kx_y`; rename one of them; -"),
        (
            "- {name: a, matrix: {k: [1]}, foreach: [1]}",
            "3:40 `replicas`, `matrix` and `foreach` exclude each other; a `matrix` with one more key gives every combination",
        ),
        (
            "- {name: a, matrix: {k: [1], exclude: [{k: 1}]}}",
            "3:21 the matrix has no combination; give each key at least one value; -",
        ),
        (
            "- {name: a, matrix: {key: [1], exclude: [{kay: 1}]}}",
            "3:43 the matrix has no key `kay`; did you mean `key`?",
        ),
        (
            "- {name: a, matrix: {k: [1], l: [1], include: [{k: 1}]}}",
            "3:48 `l` is missing; a combination has a value for every key; -",
        ),
        (
            "- {name: a, foreach: {range: [1, 2, 0]}}",
            "3:30 a range is [start, stop] or [start, stop, step], in whole numbers, with a step that is not 0; -",
        ),
        ("- {name: a, foreach: {range: [2, 1]}}", "3:30 the range from 2 to 1 has no numbers; -"),
        (
            "- {name: a, matrix: {k: [1, 2]}}\n- {name: b, depends_on: ['a[k=3]']}",
            "4:26 no copy of `a` has k=3; known are a-k1, a-k2",
        ),
        (
            "- {name: a, replicas: 2}\n- {name: b, replicas: 3, depends_on: ['a[same]']}",
            "4:39 `a` has other copies than this task, so none is the same; give both the same `replicas`, `matrix` or `foreach`",
        ),
        (
            "- {name: a, matrix: {k: [1, 2]}}\n- {name: b, matrix: {k: [1, 3]}, depends_on: ['a[same]']}",
            "4:47 `a` has other copies than this task, so none is the same; give both the same `replicas`, `matrix` or `foreach`",
        ),
        (
            "- {name: a}\n- {name: b, depends_on: ['a[k=1]']}",
            "4:26 `a` is one task, so there is nothing to choose in `[…]`; -",
        ),
        (
            "- {name: a, replicas: 2}\n- {name: b, depends_on: ['a[2]']}",
            "4:26 write `[same]` or `[key=value]` behind a name; -",
        ),
        (
            "- {name: train}\n- {name: b, inputs: {m: trian.outputs.model}}",
            "4:25 no task is named `trian`; did you mean `train`?",
        ),
    ] {
        tells(&format!("name: d\ntasks:\n{tasks}\n"), &[expected]);
    }
}

#[test]
fn a_task_that_no_frame_holds_is_named() {
    let text = format!("name: d\ntasks:\n- name: big\n  config: {{x: {}}}\n", "y".repeat(1 << 20));
    assert!(told_one(&text).contains("`big` takes 1048"), "{}", &told_one(&text)[..200]);
}

/// Else every copy compares the name with those of all copies: some minutes.
#[test]
fn a_wrong_name_in_many_copies_is_looked_up_once() {
    tells(
        "name: d\ntasks:\n- {name: a, replicas: 10000, depends_on: [b-99999]}\n",
        &["3:43 no task is named `b-99999`; did you mean `a-9999`?"],
    );
}

#[test]
fn what_comes_to_too_much_is_refused_before_it_is_there() {
    let long = "x".repeat(1_000_000);
    let many = |value: &str, count: usize| vec![value; count].join(", ");
    let filled =
        format!("name: d\nparams: {{p: {long}}}\ntasks:\n- name: a\n  command: [{}]\n", many("'${{ params.p }}'", 300));
    assert!(told(&filled, &[])[0].contains("come to more than 268435456 bytes"), "{:?}", told(&filled, &[]));
    let matrix = task(&format!("matrix: {{k: [{long}], j: [{}]}}", many("1", 1_000)));
    assert!(told(&matrix, &[])[0].contains("too long for so many combinations"), "{:?}", told(&matrix, &[]));
    let copied = task(&format!("replicas: 1000\n  config: {{k: {long}}}"));
    assert!(told(&copied, &[])[0].contains("come to more than 268435456 bytes"), "{:?}", told(&copied, &[]));
    let named = format!("name: d\ntasks:\n- name: {long}\n  replicas: 10000\n");
    assert!(told(&named, &[])[0].contains("`name` must be a text of 1 to 512 characters"), "{:?}", told(&named, &[]));
}
