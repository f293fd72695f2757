//! Words of the protocol, of which a newer coordinator may have more.

use schemars::{Schema, json_schema};

/// An enum of words: read leniently, written as they came.
macro_rules! words {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[doc = $doc])* $variant,)+
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// The word on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().to_owned()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let words = [$(($word, concat!($($doc),*))),+];
                $crate::api::words::one_of(concat!($($about),*), &words)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Pads, so that it lines up in tables.
                f.pad(self.as_str())
            }
        }
    };
}

pub(super) use words;

/// The schema of a word: those that this version knows, each with its meaning.
pub(super) fn one_of(about: &str, words: &[(&str, &str)]) -> Schema {
    let meanings = words.iter().map(|(word, meaning)| format!("\n- `{word}`: {}", meaning.trim()));
    let description = about.trim().to_owned() + "\n" + &meanings.collect::<String>();
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    json_schema!({"type": "string", "description": description, "enum": words})
}
