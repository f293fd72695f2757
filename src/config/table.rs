//! What the one table of the configuration is made of. From a row of it follow the field, its default, the name in the
//! environment, the range, the shipped file, the JSON Schema and the documentation, so that none of them can drift.

use super::Config;
use serde_json::{Value, json};

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// The section it stands in.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// Its meaning and unit, in sentences.
    pub about: &'static str,
    /// What may be given.
    pub allowed: Allowed,
    /// When a change of it takes effect.
    pub effect: Effect,
    /// A name of the protocol in the environment (§6), beside [`Key::variable`].
    pub alias: Option<&'static str>,
    /// Its value.
    pub get: fn(&Config) -> Value,
    /// Reads a text into it; whether the text is such a value.
    pub(super) read: fn(&mut Config, &str) -> bool,
    /// Takes it over from another configuration.
    pub(super) take: fn(&mut Config, &Config),
}

/// What may be given for a key.
#[derive(Debug)]
pub(crate) enum Allowed {
    /// Any text.
    Text,
    /// true or false.
    Flag,
    /// One of some words.
    Words(fn() -> Vec<String>),
    /// A whole number within bounds, both included.
    Whole(u64, u64),
    /// A number within bounds, both included.
    Number(f64, f64),
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// When the configuration is read again.
    Reload,
    /// At the next start.
    Restart,
    /// Read and checked only: what it is for does not exist yet.
    None,
}

impl Effect {
    /// The same in words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Reload => "changes at run time",
            Self::Restart => "changes at the next start",
            Self::None => "has no effect yet",
        }
    }
}

impl Key {
    /// `section.name`.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// Its name in the environment, `EVERLOG__SECTION__NAME`.
    pub(crate) fn variable(&self) -> String {
        format!("{PREFIX}{}__{}", self.section, self.name).to_uppercase()
    }

    /// Its names in the environment; the first counts most.
    pub(crate) fn variables(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.variable()).chain(self.alias.map(str::to_owned))
    }

    /// Reads a text into `config`; whether the text is such a value.
    #[must_use]
    pub(super) fn set(&self, config: &mut Config, text: &str) -> bool {
        self.allowed.covers(text) && (self.read)(config, text)
    }

    /// Its value as people write it.
    pub(crate) fn shown(&self, config: &Config) -> String {
        match (self.get)(config) {
            Value::String(text) => text,
            value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                value.to_string()
            }
        }
    }
}

/// How every variable begins that is named after a key.
pub(super) const PREFIX: &str = "EVERLOG__";

/// An upper bound from here on is against slips alone, and not worth telling.
const FAR: f64 = 1e9;

impl Allowed {
    fn covers(&self, text: &str) -> bool {
        match self {
            Self::Text => !text.is_empty(),
            Self::Flag => matches!(text, "true" | "false"),
            Self::Words(words) => words().iter().any(|word| word == text),
            Self::Whole(least, most) => text.parse().is_ok_and(|number: u64| (*least..=*most).contains(&number)),
            // NaN is in no range.
            Self::Number(least, most) => text.parse().is_ok_and(|number: f64| (*least..=*most).contains(&number)),
        }
    }

    /// The same in words.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Words(words) => format!("one of {}", words().join(", ")),
            Self::Whole(least, most) if *most as f64 >= FAR => format!("a whole number, {least} or more"),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Number(least, most) if *most >= FAR => format!("a number, {least} or more"),
            Self::Number(least, most) => format!("a number from {least} to {most}"),
        }
    }

    /// The same for a JSON Schema.
    pub(super) fn schema(&self) -> Value {
        match self {
            Self::Text => json!({"type": "string", "minLength": 1}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Words(words) => json!({"type": "string", "enum": words()}),
            Self::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            Self::Number(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
        }
    }
}

/// A value that a text can be read into.
pub(super) trait Scalar: Sized {
    fn read(text: &str) -> Option<Self>;
    fn json(&self) -> Value;
}

macro_rules! scalars {
    (parsed $($parsed:ty),+; words $($word:ty),+) => {
        $(impl Scalar for $parsed {
            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn json(&self) -> Value {
                json!(self)
            }
        })+
        $(impl Scalar for $word {
            fn read(text: &str) -> Option<Self> {
                serde_json::from_value(json!(text)).ok()
            }

            fn json(&self) -> Value {
                json!(self)
            }
        })+
    };
}

scalars! {
    parsed String, bool, u16, u32, u64, usize, f64;
    words everlog_replay::spec::Strategy, super::LogFormat, super::LogLevel
}

/// Makes the configuration out of its table: the structs with their defaults, and [`Key`]s that know the rest.
macro_rules! configuration {
    ($(
        #[doc = $of:literal]
        $section:ident: $Section:ident {$(
            $(#[doc = $about:literal])+
            $name:ident: $kind:ty = $default:expr, $allowed:expr, $effect:ident $(, $alias:literal)?;
        )+}
    )+) => {
        /// The whole configuration.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct Config {
            $(#[doc = $of] pub $section: $Section,)+
        }

        $(
            #[doc = $of]
            #[derive(Clone, Debug, PartialEq)]
            pub(crate) struct $Section {
                $($(#[doc = $about])+ pub $name: $kind,)+
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { $($name: $default,)+ }
                }
            }
        )+

        /// The sections, each with what it is for.
        pub(crate) const SECTIONS: &[(&str, &str)] = &[$((stringify!($section), $of),)+];

        /// Every key, section by section.
        pub(crate) const KEYS: &[Key] = &[$($(
            Key {
                section: stringify!($section),
                name: stringify!($name),
                about: concat!($($about),+),
                allowed: $allowed,
                effect: Effect::$effect,
                alias: configuration!(@alias $($alias)?),
                get: |config| Scalar::json(&config.$section.$name),
                read: |config, text| Scalar::read(text).map(|value| config.$section.$name = value).is_some(),
                take: |config, other| config.$section.$name.clone_from(&other.$section.$name),
            },
        )+)+];
    };
    (@alias) => { None };
    (@alias $alias:literal) => { Some($alias) };
}

pub(super) use configuration;
