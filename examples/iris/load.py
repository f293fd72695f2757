"""Loads the Iris data, checks every row, and splits it into a training set and a hold-out."""

import csv
import json
import random
import sys

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
CLASSES = 3
LARGEST_CM = 30.0  # no part of an iris is longer
TRAINING_SHARE = 0.7
SEED = 1936


def read(path):
    """Returns the rows as (features, class); stops at the first one that cannot be right."""
    rows = []
    with open(path, newline="", encoding="utf-8") as file:
        for record in csv.DictReader(file):
            line = len(rows) + 2
            try:
                features = [float(record[name]) for name in FEATURES]
                species = int(record["species"])
            except (KeyError, TypeError, ValueError) as error:
                sys.exit(f"{path}, line {line}: {error!r} in {record}; correct the row")
            if not all(0.0 < value < LARGEST_CM for value in features):
                sys.exit(f"{path}, line {line}: a length is not between 0 and {LARGEST_CM} cm: {features}")
            if species not in range(CLASSES):
                sys.exit(f"{path}, line {line}: class {species} is not one of 0 to {CLASSES - 1}")
            rows.append((features, species))
    return rows


def split(rows):
    """Splits each class in the same proportion, so that the hold-out looks like the whole."""
    shuffle = random.Random(SEED).shuffle
    train, holdout = [], []
    for species in range(CLASSES):
        members = [row for row in rows if row[1] == species]
        shuffle(members)
        cut = round(len(members) * TRAINING_SHARE)
        train += members[:cut]
        holdout += members[cut:]
    shuffle(train)
    shuffle(holdout)
    return train, holdout


def main():
    rows = read(sys.argv[1])
    train, holdout = split(rows)
    print(f"{len(rows)} rows: {len(train)} to train on, {len(holdout)} held out", file=sys.stderr)
    print(json.dumps({"features": FEATURES, "classes": CLASSES, "train": train, "holdout": holdout}))


if __name__ == "__main__":
    main()
