//! `model/*`: everything from what was reported, nothing made up.

use crate::harness::{MODEL_METRICS, Server, micros, record};
use serde_json::{Value, json};

#[test]
fn what_was_reported_is_what_is_read() {
    let server = Server::start();
    let mut peer = server.peer();
    let reported = peer.request("model/metrics", json!({"model_id": "iris", "accuracy": 0.95, "loss": 0.1}));
    assert_eq!(reported["status"], "recorded");
    peer.request("model/metrics", json!({"model_id": "iris", "metrics": {"f1_score": 0.9, "own_figure": [1]}}));
    let iris = peer.request("model/metrics", json!({"model_id": "iris"}));
    record(&iris, MODEL_METRICS);
    assert_eq!((&iris["accuracy"], &iris["loss"], &iris["f1_score"]), (&json!(0.95), &json!(0.1), &json!(0.9)));
    for unknown in ["precision", "recall", "training_time", "memory_usage", "cpu_usage"] {
        assert_eq!(iris[unknown], Value::Null, "{unknown} was never reported");
    }
    peer.request("model/metrics", json!({"model_id": "other", "accuracy": 0.5}));
    let all = peer.request("model/metrics", json!({}));
    assert_eq!(all["models"], json!(["iris", "other"]));
    let metrics = all["metrics"].as_array().unwrap();
    assert!(metrics.len() == 2 && metrics[0] == iris, "{all}");
    metrics.iter().for_each(|metrics| record(metrics, MODEL_METRICS));
}

#[test]
fn figures_are_numbers() {
    let server = Server::start();
    let mut peer = server.peer();
    for (params, place) in [
        (json!({"model_id": "m", "accuracy": "high"}), "accuracy"),
        (json!({"model_id": "m", "metrics": {"loss": [1]}}), "loss"),
        (json!({"model_id": "m", "metrics": 7}), "metrics"),
        (json!({"accuracy": 0.5}), "model_id"),
        (json!({"model_id": "", "accuracy": 0.5}), "model_id"),
        (json!({"model_id": 7, "accuracy": 0.5}), "model_id"),
    ] {
        assert!(peer.refused(-32_602, "model/metrics", params.clone()).message.contains(place), "{params}");
    }
    assert_eq!(peer.request("model/metrics", json!({}))["models"], json!([]));
}

#[test]
fn performance_is_a_series_and_its_summary() {
    let server = Server::start();
    let mut peer = server.peer();
    for accuracy in [0.5, 0.75, 1.0] {
        peer.request("model/metrics", json!({"model_id": "m", "accuracy": accuracy}));
    }
    for timeframe in ["1h", "1d", "7d", "30d"] {
        let answer = peer.request("model/performance", json!({"model_id": "m", "timeframe": timeframe}));
        assert_eq!((&answer["model_id"], &answer["timeframe"]), (&json!("m"), &json!(timeframe)));
        let series = answer["performance"]["series"].as_array().unwrap();
        assert_eq!(series.iter().filter_map(|point| point["accuracy"].as_f64()).collect::<Vec<_>>(), [0.5, 0.75, 1.0]);
        assert!(series.iter().all(|point| micros(&point["timestamp"]) > 0));
        let accuracy = &answer["performance"]["summary"]["accuracy"];
        assert_eq!((&accuracy["mean"], &accuracy["min"], &accuracy["max"]), (&json!(0.75), &json!(0.5), &json!(1.0)));
    }
    assert!(peer.request("model/performance", json!({"model_id": "m"}))["performance"].is_object());
    let all = peer.request("model/performance", json!({}));
    assert_eq!(all["models"]["m"]["model_id"], "m", "{all}");
    let refused = peer.refused(-32_602, "model/performance", json!({"model_id": "m", "timeframe": "1w"}));
    assert!(refused.message.contains("7d"), "{refused:?}");
}

#[test]
fn memory_is_current_peak_and_series() {
    let server = Server::start();
    let mut peer = server.peer();
    for mb in [100, 300, 200] {
        peer.request("model/metrics", json!({"model_id": "m", "memory_usage": mb}));
    }
    let memory = peer.request("model/memory", json!({"model_id": "m"}));
    assert_eq!(memory["model_id"], "m");
    let usage = &memory["memory_usage"];
    assert_eq!((&usage["current"], &usage["peak"]), (&json!(200.0), &json!(300.0)));
    assert_eq!(usage["series"].as_array().map(Vec::len), Some(3));

    peer.request("model/metrics", json!({"model_id": "quiet", "accuracy": 1}));
    let usage = peer.request("model/memory", json!({"model_id": "quiet"}))["memory_usage"].clone();
    assert_eq!(usage, json!({"current": null, "peak": null, "series": []}), "nothing is made up");
}

#[test]
fn health_is_a_word_with_its_reasons() {
    let server = Server::start();
    let mut peer = server.peer();
    for (accuracy, word) in [(0.95, "healthy"), (0.7, "degraded"), (0.3, "unhealthy")] {
        peer.request("model/metrics", json!({"model_id": word, "accuracy": accuracy}));
        let health = peer.request("model/health", json!({"model_id": word}));
        assert_eq!(health["health"], word);
        assert_eq!(health["reasons"].as_array().map(Vec::is_empty), Some(word == "healthy"), "{health}");
        micros(&health["timestamp"]);
    }
}

#[test]
fn unknown_models_are_not_found() {
    let server = Server::start();
    let mut peer = server.peer();
    for method in ["model/metrics", "model/performance", "model/memory", "model/health"] {
        assert_eq!(peer.refused(-40_031, method, json!({"model_id": "nobody"})).data["model_id"], "nobody");
        peer.request(method, json!({}));
        peer.request(method, json!({"model_id": ""}));
    }
}
