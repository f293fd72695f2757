//! The parameters of a file: declared there with their defaults, overridden on the command line.

use std::borrow::Cow;
use std::str::FromStr;

use super::expression::Params;
use crate::yaml::{Data, Key, Mistake, Mistakes, Node};

/// `NAME=VALUE`, as it is given with `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    name: String,
    value: String,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
        Ok(Self { name: name.trim().to_owned(), value: value.to_owned() })
    }
}

/// Every declared parameter with its value.
pub(super) fn values<'t>(document: &Node<'t>, settings: &[Setting], mistakes: &mut Mistakes) -> Params<'t> {
    let declared = document.get("params").map_or(&[][..], Node::entries);
    for Setting { name, .. } in settings {
        if !declared.iter().any(|(key, _)| key.name == *name) {
            let known = declared.iter().map(|(key, _)| &*key.name);
            mistakes.add(Mistake::new(format!("--set {name}: the file has no such parameter")).known(name, known));
        }
    }
    let mut params = Params::default();
    for (key, declaration) in declared {
        // The last one counts, as everywhere on a command line.
        let given = settings.iter().rev().find(|setting| setting.name == key.name);
        let default = default(declaration);
        // One mistake is enough: what uses the parameter goes on with its default.
        let stand_in = || default.cloned().unwrap_or(Node { data: Data::Text(Cow::Borrowed("")), span: key.span });
        let value = mistakes.note(value(key, default, given)).unwrap_or_else(stand_in);
        params.by_name.insert(key.name.clone().into_owned(), value);
    }
    params
}

fn default<'n, 't>(declaration: &'n Node<'t>) -> Option<&'n Node<'t>> {
    match &declaration.data {
        Data::Map(_) => declaration.get("default"),
        Data::Null => None,
        Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::List(_) => Some(declaration),
    }
}

fn value<'t>(key: &Key<'t>, default: Option<&Node<'t>>, given: Option<&Setting>) -> Result<Node<'t>, Mistake> {
    let name = &key.name;
    let Some(Setting { value, .. }) = given else {
        let missing = || Mistake::at(key.span, format!("the parameter `{name}` has no value"));
        return default.cloned().ok_or_else(|| missing().help(format!("give it with `--set {name}=…`")));
    };
    let given = Node::plain(Cow::Owned(value.clone()), key.span);
    match (default.map(|default| &default.data), &given.data) {
        (Some(Data::Text(_)), _) => Ok(Node { data: Data::Text(Cow::Owned(value.clone())), span: key.span }),
        (Some(Data::Number(_)), Data::Number(_)) | (Some(Data::Bool(_)), Data::Bool(_)) | (None, _) => Ok(given),
        (Some(Data::Number(_)), _) => {
            Err(Mistake::new(format!("--set {name}: `{value}` is no number, and `{name}` is one")))
        }
        (Some(_), _) => Err(Mistake::new(format!("--set {name}: `{value}` is neither `true` nor `false`"))),
    }
}
