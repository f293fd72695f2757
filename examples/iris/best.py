"""Takes the candidate with the smallest loss, and measures it on the hold-out."""

import json
import os

from validate import measure, predict


def main():
    with open(os.environ["EVERLOG_INPUTS"], encoding="utf-8") as file:
        inputs = json.load(file)
    data, candidates = inputs["data"], inputs["candidates"]
    name = min(candidates, key=lambda name: candidates[name]["validation_loss"])
    with open(candidates[name]["outputs"]["model"], encoding="utf-8") as file:
        model = json.load(file)
    confusion = [[0] * data["classes"] for _ in range(data["classes"])]
    for features, species in data["holdout"]:
        confusion[species][predict(model, features)] += 1
    losses = {name: result["validation_loss"] for name, result in candidates.items()}
    print(json.dumps({"best": name, "accuracy": measure(confusion)["accuracy"], "validation_losses": losses}))


if __name__ == "__main__":
    main()
