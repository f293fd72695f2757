//! The schema as it is shipped, and as another validator reads it.

use super::*;

/// `EVERLOG_BLESS=1 cargo test --lib schema` writes the file anew.
#[test]
fn the_shipped_schema_is_the_one_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/pipeline.json");
    let made = format!("{:#}\n", schema().as_value());
    if std::env::var_os("EVERLOG_BLESS").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("the schema"), made);
}

#[test]
fn the_schema_is_one_and_every_key_is_described() {
    let schema = schema().to_value();
    jsonschema::meta::validate(&schema).expect("a JSON Schema");
    let task = &schema["$defs"]["Task"]["properties"];
    for properties in
        [&schema["properties"], task, &schema["$defs"]["Settings"]["properties"], &task["retry"]["properties"]]
    {
        for (name, property) in properties.as_object().expect("properties") {
            assert!(property["description"].is_string(), "{name} has no description");
        }
    }
}

#[test]
fn the_examples_are_valid_and_name_the_schema() {
    let validator = jsonschema::validator_for(&schema().to_value()).expect("a schema");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["examples/iris/pipeline.yaml", "examples/iris/grid.yaml", "examples/fanout.yaml"] {
        let path = root.join(file);
        let text = std::fs::read_to_string(&path).expect("an example");
        let (named, _) = text.split_once('\n').expect("lines");
        let named = named.strip_prefix("# yaml-language-server: $schema=").expect("the schema's place");
        assert!(path.parent().expect("a directory").join(named).ends_with("docs/schema/pipeline.json"), "{named}");
        assert!(path.parent().expect("a directory").join(named).is_file(), "{file}: {named}");
        let document: Value = serde_saphyr::from_str(&text).expect("YAML");
        validator.validate(&document).unwrap_or_else(|error| panic!("{file}: {error}"));
        check(&path, &[]).unwrap_or_else(|error| panic!("{error:?}"));
    }
}
