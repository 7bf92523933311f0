"""A study of models that are there already, as rules and commands see it."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import pyarrow as pa

from proxyscale import registry
from proxyscale.base.errors import UserError, UserErrors
from proxyscale.base.paths import expand
from proxyscale.base.progress import aligned
from proxyscale.data.records import pinned
from proxyscale.figures import registered  # noqa: F401 (it registers)
from proxyscale.registry import Facts
from proxyscale.study import (
    builtin_functions,  # noqa: F401 (it registers)
    input_checks,
    models_specs,
)
from proxyscale.study.cross_checks import task_mistakes
from proxyscale.study.job_graph import Planned
from proxyscale.study.models_config import OwnModels
from proxyscale.study.models_table import OwnModel, listed
from proxyscale.study.option_checks import named, style_mistakes
from proxyscale.study.study import READ, Calibrate, Study, plugin_files

FEWEST = 3  # recipes: a correlation over fewer says nothing
HIDDEN = "only a training study has this key: models that are there know nothing of it"


@dataclass(frozen=True)
class ModelsStudy(Study[OwnModels]):
    """A checked config of models and what follows from it."""

    form = OwnModels
    specs: ClassVar[ModuleType] = models_specs

    @functools.cached_property
    def models(self) -> list[OwnModel]:
        """Every model, in the order of the table or of the config."""
        return listed(self.config.models)

    def mistakes(self) -> Iterator[UserError]:
        found = [*self._tasks(), *self._section()]
        yield from found
        if found:
            return
        try:
            scales = list(dict.fromkeys(model.scale for model in self.models))
        except UserErrors as error:
            yield from error.errors
            return
        except UserError as error:
            yield error
            return
        yield from named("reference", self.config.reference, scales, "scale")
        yield from named("figures.proxy", self.config.figures.proxy, scales, "scale")
        if len(scales) < 2:
            yield UserError("a comparison needs two scales or more", where="models")
        if len(recipes := {model.recipe for model in self.models}) < FEWEST:
            message = f"{len(recipes)} recipes: a comparison of scales needs {FEWEST} or more"
            yield UserError(message, where="models")
        yield from style_mistakes(self.config.figures.style, self.figures)

    def _tasks(self) -> Iterator[UserError]:
        tasks = self.config.tasks
        for name, task in tasks.items():
            if task.sources is not None:
                hint = "records: {files: …} or {hub: …}"
                message = "models that are there have no sources"
                yield UserError(message, where=f"tasks.{name}.sources", hint=hint)
            for key in ("target_examples", "overlap_window", "drop_context", "whole_prompts"):
                if key in task.model_fields_set:
                    yield UserError(HIDDEN, where=f"tasks.{name}.{key}")
        if not any(task.sources for task in tasks.values()):
            yield from task_mistakes(tasks, ())

    def _section(self) -> Iterator[UserError]:
        section = self.config.models
        given = {"recipes", "scales", "seeds", "steps"} & section.model_fields_set
        if section.table is not None:
            for key in sorted(given):
                yield UserError("has no meaning beside a table", where=f"models.{key}")
            if not os.path.exists(expand(section.table)):
                yield UserError(f"no such file: {section.table}", where="models.table")
        elif not (section.recipes and section.scales):
            yield UserError("give a table, or recipes and scales", where="models")
        own = section.tokenizer
        if own is not None and (own.hub is None) == (own.folder is None):
            yield UserError("give one of hub and folder", where="models.tokenizer")
        elif own is not None and own.hub is not None:
            try:
                pinned(own.revision, own.hub)
            except UserError as error:
                where = "models.tokenizer.revision"
                yield UserError(error.message, where=where, value=own.revision, hint=error.hint)

    def check_inputs(self) -> None:
        """UserErrors with records that cannot be read, and folders that are not there."""
        found = list(input_checks.of_tasks(self))
        for model in self.models:
            if model.folder and not os.path.isdir(expand(model.folder)):
                where = f"models: {model.scale} / {model.recipe}"
                found.append(UserError(f"no such folder: {model.folder}", where=where))
        if found:
            raise UserErrors(found)

    def stamp(self, model: OwnModel) -> str:
        """The files of a model and of a tokenizer that lie here, told by a stamp."""
        own = self.config.models.tokenizer
        told = [model.folder, own.folder if own else None]
        return " ".join(self.local_files.stamp(expand(folder)) for folder in told if folder)

    def record_stamp(self, task: str) -> str:
        """The local files that a task's records are read from, told by a stamp."""
        return " ".join(map(self.local_files.stamp, self.config.tasks[task].record_files))

    @property
    def tasks(self) -> list[str]:
        return list(self.config.tasks)

    @property
    def tables(self) -> list[str]:
        return ["models"]

    @property
    def reading(self) -> str:
        return self.paths.reading

    @property
    def loss_rows(self) -> int:
        return len(self.models) * sum(task.examples for task in self.config.tasks.values())

    @property
    def facts(self) -> Facts:
        section, tasks = self.config.models, self.config.tasks.values()
        told = all(model.tokens is not None for model in self.models)
        recipes = {model.recipe for model in self.models}
        return Facts(
            "language",
            READ | {"asked"},
            compute=told or section.tokens_per_parameter is not None,
            examples=len(recipes) >= FEWEST,
            answers=any(task.kind != "text" for task in tasks),
            tasks=len(tasks),
        )

    def findings(self, statistics: pa.Table) -> list[str]:
        from proxyscale.study import findings  # scipy takes half a second to import

        return findings.sentences(self.config, statistics)

    @property
    def rules(self) -> list[str]:
        return ["models", "reporting", "report", "figures"]

    def plugins(self, rule: str, name: str) -> list[str]:
        if rule in ("items", "questions"):
            called = registry.task, self.config.tasks[name].kind
            return plugin_files(self.config.plugins, *called)
        return super().plugins(rule, name)

    def plan(self, planned: Sequence[Planned], cores: int, calibrate: Calibrate) -> str:
        """Models of every scale, and how many are measured; nothing is trained."""
        logs = {self.paths.log(f"measure/{m.scale}/{m.recipe}/{m.name}"): m for m in self.models}
        jobs = [one.job for one in planned if one.job.rule == "measure"]
        waiting = [logs[job.log].scale for job in jobs if job.pending and job.log in logs]
        rows = [["scale", "models", "to measure", "recipes", "first of them"]]
        for scale in dict.fromkeys(model.scale for model in self.models):
            mine = [model for model in self.models if model.scale == scale]
            recipes, first = len({model.recipe for model in mine}), mine[0]
            place = first.folder or "@".join(filter(None, (first.hub, first.revision)))
            rows.append([scale, f"{len(mine):,}", f"{waiting.count(scale):,}", str(recipes), place])
        examples = sum(task.examples for task in self.config.tasks.values())
        told = f"{len(self.models):,} models, each measured on {len(self.tasks)} test sets of "
        return "\n".join([*aligned(rows), f"{told}{examples:,} examples at most; none is trained"])
