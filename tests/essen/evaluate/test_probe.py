import numpy as np
import pytest

from essen.evaluate.probe import choose_probe, fit_probe


def points(number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, number)
    return rng.normal(size=(3, 6))[labels] + rng.normal(size=(number, 6)), labels


def test_it_is_the_logistic_regression_of_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    vectors, labels = points(90)
    probe = fit_probe(vectors, labels, 3, 0.01)
    scaled = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    reference = linear_model.LogisticRegression(C=1 / (0.01 * 90), tol=1e-10, max_iter=5000).fit(scaled, labels)
    expected = reference.predict_log_proba(scaled)
    logits = probe.logits(vectors)
    found = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_strength_is_chosen_by_a_held_out_share_and_it_learns() -> None:
    vectors, labels = points(300)
    groups = [str(k) for k in range(300)]
    probe = choose_probe(vectors[:200], labels[:200], groups[:200], 3, (1e-4, 1e-2, 1e6), np.random.default_rng(0))
    hits = (probe.logits(vectors[200:]).argmax(axis=1) == labels[200:]).mean()
    assert hits > 0.6
    assert np.abs(probe.weights).max() > 0.05  # 1e6 would have left nothing


def test_a_class_without_a_vector_is_possible() -> None:
    vectors, labels = points(60)
    assert fit_probe(vectors, labels, 5, 0.1).logits(vectors).argmax(axis=1).max() < 3
