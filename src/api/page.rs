//! Lists, which come in parts: no frame holds them all.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::read;
use crate::client::{Client, ClientError};

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

impl Client {
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        items: &str,
        method: &str,
        filter: Value,
    ) -> Result<Page<T>, ClientError> {
        let mut answer = self.call(method, filter).await?;
        if let Some(listed) = answer.get_mut(items).map(Value::take) {
            answer["items"] = listed;
        }
        read(method, answer)
    }

    /// All entries of a list, page by page.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        items: &str,
        method: &str,
        mut filter: Value,
    ) -> Result<Vec<T>, ClientError> {
        let mut all = Vec::new();
        loop {
            filter["offset"] = json!(all.len());
            let page: Page<T> = self.page(items, method, filter.clone()).await?;
            // An empty page ends it too: entries may have left the list meanwhile.
            let is_last = page.items.is_empty() || all.len() + page.items.len() >= page.total as usize;
            all.extend(page.items);
            if is_last {
                return Ok(all);
            }
        }
    }
}
