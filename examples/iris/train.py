"""Trains a softmax regression by gradient descent on the cross-entropy."""

import json
import math
import os
import time

EPOCHS = 500
LEARNING_RATE = 0.5
WEIGHT_DECAY = 1e-3
PROGRESS_EVERY = 50  # epochs


def standardise(rows):
    """Mean and standard deviation of each feature: gradient descent wants them on one scale."""
    columns = list(zip(*(features for features, _ in rows)))
    means = [sum(column) / len(column) for column in columns]
    deviations = [
        math.sqrt(sum((value - mean) ** 2 for value in column) / len(column))
        for column, mean in zip(columns, means)
    ]
    return means, deviations


def prepare(rows, means, deviations):
    """Rows on the common scale, each with a constant input for the bias."""
    return [
        ([1.0] + [(x - m) / d for x, m, d in zip(features, means, deviations)], species)
        for features, species in rows
    ]


def softmax(scores):
    largest = max(scores)
    powers = [math.exp(score - largest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def epoch(weights, samples, rate=LEARNING_RATE, decay=WEIGHT_DECAY):
    """Moves the weights one step against the gradient; returns the mean loss before the step."""
    gradient = [[0.0] * len(row) for row in weights]
    loss = 0.0
    for inputs, species in samples:
        shares = softmax([sum(w * x for w, x in zip(row, inputs)) for row in weights])
        loss -= math.log(shares[species])
        for label, share in enumerate(shares):
            error = share - (label == species)
            for index, value in enumerate(inputs):
                gradient[label][index] += error * value
    for row, slopes in zip(weights, gradient):
        for index, slope in enumerate(slopes):
            row[index] -= rate * (slope / len(samples) + decay * row[index])
    return loss / len(samples)


def report(done, loss):
    """Tells the agent how far this is."""
    with open(os.environ["EVERLOG_PROGRESS"], "a", encoding="utf-8") as file:
        file.write(f"{done / EPOCHS:.2f} loss {loss:.4f}\n")


def main():
    with open(os.environ["EVERLOG_INPUTS"], encoding="utf-8") as file:
        data = json.load(file)["load"]
    started = time.monotonic()
    means, deviations = standardise(data["train"])
    samples = prepare(data["train"], means, deviations)
    weights = [[0.0] * (len(means) + 1) for _ in range(data["classes"])]
    for done in range(1, EPOCHS + 1):
        loss = epoch(weights, samples)
        if done % PROGRESS_EVERY == 0:
            report(done, loss)
    model = {
        "weights": weights,
        "means": means,
        "deviations": deviations,
        "loss": loss,
        "epochs": EPOCHS,
        "training_time": time.monotonic() - started,
    }
    with open(os.environ["EVERLOG_RESULT"], "w", encoding="utf-8") as file:
        json.dump(model, file)


if __name__ == "__main__":
    main()
