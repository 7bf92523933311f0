"""The classifier of target against raw text, as GPT-3 and DsDm use it to choose data."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize


def target_probability(raw: csr_array, target: csr_array, c: float = 1.0) -> np.ndarray:
    """P(target | x) f64 [raw texts] of a logistic regression, the two sides weighted equally.

    `raw` and `target` are n-gram counts [texts, buckets]; features are log(1 + count), each text
    scaled to length one, so that a long text is not a likelier one. `c`: inverse L2 strength.
    """
    features = normalize(np.log1p(vstack([raw, target], format="csr").astype(np.float64)))
    labels = np.repeat([0, 1], [raw.shape[0], target.shape[0]])
    model = LogisticRegression(C=c, class_weight="balanced", max_iter=1000)
    model.fit(features, labels)
    return model.predict_proba(features[: raw.shape[0]])[:, 1]
