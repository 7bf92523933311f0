"""What the report calls the statistics, in words that a person reads."""

from __future__ import annotations

# Those that may be drawn against compute, in the order of the choice.
MAIN = {
    "r2": "R²",
    "decision_accuracy": "decision accuracy",
    "decision_accuracy_decided": "decision accuracy, decided pairs",
    "spearman": "Spearman's ρ",
    "kendall": "Kendall's τ-b",
    "pearson": "Pearson's r",
    "pearson_corrected": "Pearson's r ÷ its ceiling",
    "r2_log": "R² of log losses",
}
_PLAIN = {
    "r2_leave_one_out": "R², one distribution left out",
    "r2_log_leave_one_out": "R² of log losses, one distribution left out",
    "pearson_leave_one_out": "Pearson's r, one distribution left out",
    "proxy_ties": "share of pairs that the proxy ties",
    "reference_ties": "share of pairs that the reference ties",
    "regret": "regret here",
    "regret_top_3": "regret here of the best of three picks",
    "regret_next": "expected regret next time",
    "regret_next_excluded": "smallest expected regret that is excluded",
    "regret_compute": "regret here, as compute",
    "regret_next_compute": "expected regret next time, as compute",
    "regret_next_compute_excluded": "smallest expected regret that is excluded, as compute",
    "pick": "the reference's loss of the proxy's pick",
    "reference_pick": "the reference's loss of its own pick",
    "reference_sd": "standard deviation over distributions, reference",
    "seed_correlation": "correlation of seeds' deviations at both scales",
    "lds": "LDS",
    "lds_ratio": "LDS ÷ its ceiling",
    "lds_over_models": "LDS, interval over models",
    "retraining_agreement": "Spearman's ρ of two retrainings",
    "scores_spearman": "Spearman's ρ of scores",
    "scores_spearman_corrected": "Spearman's ρ of scores without noise",
    "accuracy": "accuracy",
    "best_metric": "decision accuracy of the metric that is foretold best (named)",
}
_OF_NOISE = {
    "seeds": "runs of a distribution",
    "seed_sd": "standard deviation of one seed",
    "noise_ceiling": "noise ceiling of R²",
    "seed_equality": "p of equal seed noise (high: largest ratio)",
    "signal_to_noise": "signal to noise",
    "checkpoint_sd": "standard deviation of the last checkpoints about their trend",
    "checkpoint_signal_to_noise": "signal to the noise of checkpoints",
}
_OF_MIXTURES = {
    f"{whose}mixture_{form}_{what}": f"regression of {told} on mixture weights: {word}{of}"
    for whose, of in (("", ""), ("reference_", ", reference"))
    for form, told in (("linear", "losses"), ("log_linear", "log losses"))
    for what, word in (("spearman", "Spearman's ρ"), ("regret", "regret here"))
}
NAMES = {
    **MAIN,
    **_PLAIN,
    **{name: f"{told}, proxy" for name, told in _OF_NOISE.items()},
    **{f"reference_{name}": f"{told}, reference" for name, told in _OF_NOISE.items()},
    **_OF_MIXTURES,
}


def methods(confidence: float, count: int) -> str:
    """How the intervals are made, and what their number means."""
    return (
        f"Intervals at {confidence:.0%}: of correlations Fisher's z with a jackknife over "
        "distributions, of rank correlations an inverted test (Blaker's, by simulation; beyond 50 "
        "distributions a formula), of decision accuracy a binomial bound with as many independent "
        "pairs as a normal copula has, of regret here Hsu's over seeds, of "
        "differences Welch's t, of LDS a bootstrap over subsets. They are not corrected for their "
        f"number: of the {count:,} numbers below about one in {round(1 / (1 - confidence))} "
        "intervals misses."
    )
