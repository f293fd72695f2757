"""Trains one candidate of the grid and scores it on flowers that it has not seen."""

import json
import math
import os
import sys

from train import epoch, prepare, softmax, standardise

VALIDATION_SHARE = 0.3  # of the training set; the hold-out is for the winner alone


def main():
    rate, decay, epochs, path = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with open(os.environ["EVERLOG_INPUTS"], encoding="utf-8") as file:
        data = json.load(file)["data"]
    cut = round(len(data["train"]) * (1 - VALIDATION_SHARE))
    train, validation = data["train"][:cut], data["train"][cut:]
    means, deviations = standardise(train)
    samples = prepare(train, means, deviations)
    weights = [[0.0] * (len(means) + 1) for _ in range(data["classes"])]
    for _ in range(epochs):
        epoch(weights, samples, rate, decay)
    loss = 0.0
    for inputs, species in prepare(validation, means, deviations):
        shares = softmax([sum(w * x for w, x in zip(row, inputs)) for row in weights])
        loss -= math.log(shares[species]) / len(validation)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"weights": weights, "means": means, "deviations": deviations}, file)
    print(json.dumps({"rate": rate, "decay": decay, "validation_loss": round(loss, 6)}))


if __name__ == "__main__":
    main()
