//! A page of Markdown, as somebody follows it.

/// A piece of the page, in its order. The texts and what is typed are the whole page again.
pub(super) enum Part {
    /// A line that is only read.
    Text(String),
    /// A block that is saved as a file; its lines have come as texts.
    Saved { name: String, text: String },
    /// A command with the answer below it.
    Typed { command: String, answer: Vec<String> },
}

/// `extras` is the mark of consoles that need something besides, and are typed as well.
pub(super) fn parts(page: &str, extras: Option<&str>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        parts.push(Part::Text(line.to_owned()));
        let Some(kind) = line.strip_prefix("```") else { continue };
        let mut block = lines.by_ref().take_while(|line| *line != "```");
        match kind.split_once(' ') {
            None if kind == "console" => console(&mut block, &mut parts),
            Some(("console", mark)) if Some(mark) == extras => console(&mut block, &mut parts),
            Some((_, name)) if name.contains('.') => saved(name, &mut block, &mut parts),
            _ => parts.extend(block.map(|line| Part::Text(line.to_owned()))),
        }
        parts.push(Part::Text("```".to_owned()));
    }
    parts
}

fn saved<'a>(name: &str, block: impl Iterator<Item = &'a str>, parts: &mut Vec<Part>) {
    let mut text = String::new();
    for line in block {
        text.extend([line, "\n"]);
        parts.push(Part::Text(line.to_owned()));
    }
    parts.push(Part::Saved { name: name.to_owned(), text });
}

fn console<'a>(block: &mut impl Iterator<Item = &'a str>, parts: &mut Vec<Part>) {
    while let Some(line) = block.next() {
        if let Some(typed) = line.strip_prefix("$ ") {
            let mut command = typed.to_owned();
            if typed.ends_with("<<'END'") {
                for line in block.by_ref() {
                    command.extend(["\n", line]);
                    if line == "END" {
                        break;
                    }
                }
            }
            parts.push(Part::Typed { command, answer: Vec::new() });
        } else if let Some(Part::Typed { answer, .. }) = parts.last_mut() {
            answer.push(line.to_owned());
        } else {
            panic!("a console begins with `$ `, not with {line:?}");
        }
    }
}
