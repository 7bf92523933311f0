"""The classifier of target against raw text, as GPT-3 and DsDm use it to choose data."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize


def fitted(raw: csr_array, target: csr_array, c: float = 1.0) -> LogisticRegression:
    """A logistic regression of target against raw, the two sides weighted equally.

    `raw` and `target` are n-gram counts [texts, buckets]. `c`: inverse L2 strength.
    """
    labels = np.repeat([0, 1], [raw.shape[0], target.shape[0]])
    model = LogisticRegression(C=c, class_weight="balanced", max_iter=1000)
    return model.fit(_features(vstack([raw, target], format="csr")), labels)


def probability(model: LogisticRegression, counts: csr_array) -> np.ndarray:
    """P(target | x) f64 [texts] of texts with these counts [texts, buckets]."""
    return np.asarray(model.predict_proba(_features(counts))[:, 1])


def _features(counts: csr_array) -> csr_array:
    """log(1 + count), each text scaled to length one, so that a long one is not a likelier one."""
    return normalize(np.log1p(counts.astype(np.float64)))
