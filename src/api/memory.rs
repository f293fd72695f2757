//! `memory/*`: values under keys, shared by all clients.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::malformed;
use crate::client::{Client, ClientError};

/// Keys with a common beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
        #[derive(Deserialize)]
        struct Entry {
            value: Value,
            exists: bool,
        }
        let entry: Entry = self.ask("memory/get", json!({"key": key})).await?;
        Ok(entry.exists.then_some(entry.value))
    }

    /// Stores a value under a key, over what was there.
    ///
    /// # Errors
    /// As [all calls](crate::api), and [`ClientError::Malformed`] if the value has no form in JSON.
    pub async fn memory_set(&self, key: &str, value: impl Serialize) -> Result<(), ClientError> {
        let method = "memory/set";
        let value = serde_json::to_value(value).map_err(|error| malformed(method, &error))?;
        self.call(method, json!({"key": key, "value": value})).await.map(drop)
    }

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn memory_delete(&self, key: &str) -> Result<bool, ClientError> {
        let status: String = self.ask_for("status", "memory/delete", json!({"key": key})).await?;
        Ok(status == "deleted")
    }

    /// Lists keys that begin with `prefix`; `limit` is how many at most, `None` for as many as fit a frame.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn memory_keys(&self, prefix: &str, limit: Option<u64>) -> Result<MemoryKeys, ClientError> {
        self.ask("memory/list", json!({"prefix": prefix, "limit": limit})).await
    }
}
