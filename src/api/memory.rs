//! `memory/*`: values under keys, shared by all clients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::malformed;
use super::methods::{MEMORY_DELETE, MEMORY_GET, MEMORY_LIST, MEMORY_SET};
use super::params::{MemoryKey, MemoryPrefix, MemoryValue};
use crate::client::{Client, ClientError};

/// Keys with a common beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct MemoryKeys {
    /// The keys, sorted; of very many, as many as fit a frame.
    pub keys: Vec<String>,
    /// How many there are in all.
    pub total: u64,
    /// What they begin with.
    pub prefix: String,
}

/// Shared memory.
impl Client {
    /// The value under a key. Null is a value; `None` means that there is none.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn memory_get(&self, key: &str) -> Result<Option<Value>, ClientError> {
        let entry = self.ask(&MEMORY_GET, &MemoryKey { key }).await?;
        Ok(entry.exists.then_some(entry.value))
    }

    /// Stores a value under a key, over what was there.
    ///
    /// # Errors
    /// As [all calls](crate::api), and [`ClientError::Malformed`] if the value has no form in JSON.
    pub async fn memory_set(&self, key: &str, value: impl Serialize) -> Result<(), ClientError> {
        let value = serde_json::to_value(value).map_err(|error| malformed(MEMORY_SET.name, &error))?;
        self.tell(&MEMORY_SET, &MemoryValue { key, value }).await
    }

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn memory_delete(&self, key: &str) -> Result<bool, ClientError> {
        Ok(self.ask(&MEMORY_DELETE, &MemoryKey { key }).await?.status == "deleted")
    }

    /// Lists keys that begin with `prefix`; `limit` is how many at most, `None` for as many as fit a frame.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn memory_keys(&self, prefix: &str, limit: Option<u64>) -> Result<MemoryKeys, ClientError> {
        self.ask(&MEMORY_LIST, &MemoryPrefix { prefix, limit }).await
    }
}
