//! Files that a task promises to make: a success without them is none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// `outputs` of a task's config: files or directories by name; relative paths start at the working directory.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Outputs(BTreeMap<String, PathBuf>);

/// The key of a result under which the paths stand.
const OUTPUTS: &str = "outputs";

/// The key of a result that is no object and has to share with the outputs.
const VALUE: &str = "value";

impl Outputs {
    /// The result with the absolute path of every output; a sentence if one is not there.
    pub(super) fn add_to(&self, result: Value, cwd: Option<&Path>) -> Result<Value, String> {
        if self.0.is_empty() {
            return Ok(result);
        }
        let mut paths = Map::new();
        for (name, path) in &self.0 {
            let path = cwd.map_or_else(|| path.clone(), |cwd| cwd.join(path));
            let path = std::path::absolute(&path).unwrap_or(path);
            if !path.exists() {
                return Err(format!(
                    "the command succeeded without making its output `{name}`: {} is not there; write it, or correct `outputs`",
                    path.display()
                ));
            }
            paths.insert(name.clone(), json!(path.to_string_lossy()));
        }
        let mut fields = match result {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Map::from_iter([(VALUE.to_owned(), other)])
            }
        };
        fields.insert(OUTPUTS.to_owned(), Value::Object(paths));
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stands_in_the_result_and_what_is_missing_fails_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let cwd = directory.path();
        std::fs::write(cwd.join("m.pkl"), "model").expect("written");
        let promised = |outputs: Value| serde_json::from_value::<Outputs>(outputs).expect("outputs");
        let paths = json!({"model": cwd.join("m.pkl"), "all": cwd});
        let both = promised(json!({"model": "m.pkl", "all": cwd}));
        for (result, expected) in [
            (Value::Null, json!({"outputs": paths})),
            (json!({"loss": 1, "outputs": "mine"}), json!({"loss": 1, "outputs": paths})),
            (json!([1]), json!({"value": [1], "outputs": paths})),
        ] {
            assert_eq!(both.add_to(result, Some(cwd)), Ok(expected));
        }
        assert_eq!(promised(json!({})).add_to(json!(7), None), Ok(json!(7)));
        let missing = promised(json!({"model": "n.pkl"})).add_to(Value::Null, Some(cwd)).expect_err("not there");
        assert!(missing.contains("`model`") && missing.contains("n.pkl is not there"), "{missing}");
    }
}
