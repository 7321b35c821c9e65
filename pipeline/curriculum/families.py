"""What makes a pair hard, by families that a recipe names: columns of the signals and their declared weights.

Weights are declared, not fitted; a negative one says that a high value is easy. A family uses what the run has
measured: columns that are not there are left out, with their names in the summary, and the others keep their
proportions. Every value enters by its rank, so the weights are shares whatever the units.

- ``developmental``, the default: short before long, simple before nested, common, concrete and familiar words before
  rare, abstract and late ones, a single thing before a scene. Frequency, concreteness and the length of utterances are
  among what predicts when a word is learnt (Braginsky et al. 2019, doi:10.1162/opmi_a_00026); age of acquisition is
  what adults say of it (Kuperman et al. 2012); clutter stands for how hard it is to tell what is meant.
- ``caption``: the words alone. ``image``: the picture alone (clutter after Rosenholtz, Li and Nakano 2007).
- ``pair``: how badly picture and caption fit, by the alignment head, whose ``rank`` is the share of other captions that
  fit less well, and by ``margin.margin``, a small model's score of the true caption less that of the best other one.
- ``reference``: the loss of a reference model (bootstrapped curricula, Hacohen and Weinshall 2019, arXiv 1904.03626).
- ``learnability``: what a learner has yet to learn and a reference model has learnt comes first: ``learner.loss -
  reference.loss``, high before low (Evans et al. 2024, arXiv 2406.17711).
"""

from collections.abc import Collection, Mapping

from pipeline.errors import ConfigError

FAMILIES: Mapping[str, Mapping[str, float]] = {
    "developmental": {
        "caption.tokens": 0.25,
        "caption.parse_depth": 0.10,
        "lexicon.zipf_min": -0.20,
        "lexicon.concreteness_mean": -0.15,
        "lexicon.familiar_share": -0.10,
        "lexicon.age_of_acquisition_mean": 0.05,
        "image.clutter": 0.05,
        "image.edge_density": 0.05,
        "image.entropy": 0.05,
    },
    "caption": {
        "caption.tokens": 0.25,
        "caption.parse_depth": 0.20,
        "caption.nouns": 0.10,
        "lexicon.zipf_mean": -0.20,
        "lexicon.age_of_acquisition_mean": 0.10,
        "lexicon.concreteness_mean": -0.15,
    },
    "image": {"image.clutter": 0.6, "image.regions": 0.4},
    "pair": {"alignment.score": -0.5, "alignment.rank": -0.25, "margin.margin": -0.25},
    "reference": {"reference.loss": 1.0},
    "learnability": {"derived.learnability": -1.0},
}
# Columns that are the difference of two others.
DERIVED: Mapping[str, tuple[str, str]] = {"derived.learnability": ("learner.loss", "reference.loss")}


def present_weights(family: str, available: Collection[str]) -> tuple[dict[str, float], list[str]]:
    """Return the weights of a family's columns that are available, and the names of those that are not.

    Args:
        family: a key of `FAMILIES`.
        available: the columns that hold at least one value.

    Raises:
        ConfigError: none is, with the way out.
    """
    declared = FAMILIES[family]
    weights = {column: weight for column, weight in declared.items() if column in available}
    if not weights:
        wanted = [part for column in declared for part in DERIVED.get(column, (column,))]
        raise ConfigError(
            f"curriculum.difficulty: {family} needs {' and '.join(wanted)}, and this run has none of it; name the "
            "files in curriculum.own_signals, measure it, or choose another family"
        )
    return weights, [column for column in declared if column not in available]
