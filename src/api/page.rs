//! Lists, which come in parts: no frame holds them all.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AgentInfo, ErrorRecord, PipelineInfo, TaskInfo};

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Page<T> {
    /// The entries. There may be fewer than asked for: as many as fit a frame.
    pub items: Vec<T>,
    /// How many entries match in all.
    pub total: u64,
    /// The most entries that were asked for, or else how many there are here.
    pub limit: u64,
    /// How many matching entries come before these.
    pub offset: u64,
}

/// What is listed under a name of its own.
pub(crate) trait Listed: DeserializeOwned + JsonSchema {
    /// The name.
    const LIST: &'static str;
}

macro_rules! listed {
    ($($record:ty: $list:literal),+) => {
        $(impl Listed for $record {
            const LIST: &'static str = $list;
        })+
    };
}

listed!(PipelineInfo: "pipelines", TaskInfo: "tasks", AgentInfo: "agents", ErrorRecord: "errors");

/// A page as it comes: its entries stand under their own name.
pub(crate) struct Listing<T>(pub(super) Page<T>);

impl<'de, T: Listed> Deserialize<'de> for Listing<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let items = fields.remove(T::LIST).ok_or_else(|| D::Error::missing_field(T::LIST))?;
        fields.insert("items".to_owned(), items);
        Page::deserialize(Value::Object(fields)).map(Self).map_err(D::Error::custom)
    }
}

impl<T: Listed> JsonSchema for Listing<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}List", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Page::<T>::json_schema(generator);
        let items = schema.pointer_mut("/properties/items").map(Value::take).unwrap_or_default();
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.remove("items");
            properties.insert(T::LIST.to_owned(), items);
        }
        schema.insert("required".to_owned(), [T::LIST, "total", "limit", "offset"].into());
        schema
    }
}
