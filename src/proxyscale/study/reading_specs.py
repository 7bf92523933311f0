"""What the jobs that read losses depend on, whoever trained the models."""

from __future__ import annotations

from proxyscale import registry
from proxyscale.study.config import Reading
from proxyscale.study.study import Study, Words


def statistics(study: Study[Reading]) -> Words:
    """What is compared, and how sure the intervals are."""
    return {
        "reference": study.config.reference,
        "groups": study.config.groups,
        "objective": study.config.objective_words(),
        "confidence": study.config.confidence,
    }


def proposal(study: Study[Reading]) -> Words:
    """What is combined, the limits of a mixture, and the scale that is to train it."""
    section = study.config.propose
    return {
        "objective": study.config.objective_words(),
        "target": section.scale or study.config.reference,
        "limits": section.model_dump(exclude_none=True, exclude={"scale"}),
        "weights": study.words("statistics").get("weights", {}),
    }


def next_steps(study: Study[Reading]) -> Words:
    """What is decided for, and the model beyond."""
    beyond = study.config.forecast
    return {
        "objective": study.config.objective_words(),
        "target": study.config.reference,
        "costs": {},
        "more": 0,
        "seeds": {},
        "forecast": beyond.model_dump() if beyond else None,
    }


def figure(study: Study[Reading], name: str) -> Words:
    """A figure: its style, and of one that reads statistics what they are of."""
    words: Words = {"figure": name, "style": study.config.figures.style.get(name, {})}
    if "statistics" in registry.figure[name].reads:
        words |= {"reference": study.config.reference, "proxy": study.config.figures.proxy}
        words |= {"groups": study.config.groups}
    return words


def report(study: Study[Reading], shown: Words) -> Words:
    """What the report shows, first of all the figure `shown`, and the config as it was written."""
    config = study.config.model_dump(mode="json", exclude_unset=True)
    return {
        "study": study.config.study,
        "config": config,
        # canonical JSON sorts keys; the order of the tasks is that of panels
        "order": {key: list(config[key]) for key in ("tasks",) if key in config},
        "trust": study.config.trust_words(),
        "confidence": study.config.confidence,
        "reference": study.config.reference,
        "groups": study.words("statistics")["groups"],
        "proxy": shown["proxy"],
        "style": shown["style"],
        "texts": study.config.report.texts,
    }
