"""Validates the model on the hold-out and reports what it is worth."""

import json
import os
import sys
from statistics import fmean

ACCURACY_MIN = 0.85  # a model below this is not one: always guessing one class gives 0.33


def predict(model, features):
    inputs = [1.0] + [
        (x - m) / d for x, m, d in zip(features, model["means"], model["deviations"])
    ]
    scores = [sum(w * x for w, x in zip(row, inputs)) for row in model["weights"]]
    return scores.index(max(scores))


def ratio(part, whole):
    return part / whole if whole else 0.0


def measure(confusion):
    """Accuracy, and the mean over the classes (macro average) of precision, recall and F1."""
    classes = range(len(confusion))
    precisions, recalls, f1_scores = [], [], []
    for label in classes:
        hits = confusion[label][label]
        precision = ratio(hits, sum(confusion[other][label] for other in classes))
        recall = ratio(hits, sum(confusion[label]))
        precisions.append(precision)
        recalls.append(recall)
        f1_scores.append(ratio(2 * precision * recall, precision + recall))
    return {
        "accuracy": ratio(sum(confusion[c][c] for c in classes), sum(map(sum, confusion))),
        "precision": fmean(precisions),
        "recall": fmean(recalls),
        "f1_score": fmean(f1_scores),
    }


def main():
    with open(os.environ["EVERLOG_INPUTS"], encoding="utf-8") as file:
        inputs = json.load(file)
    data, model = inputs["load"], inputs["train"]
    # confusion[actual][predicted]
    confusion = [[0] * data["classes"] for _ in range(data["classes"])]
    for features, species in data["holdout"]:
        confusion[species][predict(model, features)] += 1
    measured = measure(confusion)
    report = {
        "model_id": "iris",
        **measured,
        "loss": model["loss"],
        "training_time": model["training_time"],
    }
    with open(os.environ["EVERLOG_MODEL_METRICS"], "w", encoding="utf-8") as file:
        json.dump(report, file)
    if measured["accuracy"] < ACCURACY_MIN:
        sys.exit(f"accuracy {measured['accuracy']:.3f} is below {ACCURACY_MIN}: the model is of no use")
    print(json.dumps({**measured, "confusion": confusion, "holdout": len(data["holdout"])}))


if __name__ == "__main__":
    main()
