"""What a user can add: one decorated function, ours or in a file named under `plugins:`.

An architecture is a class instead of a function. Keyword-only arguments are its options, the first
line of the docstring is its help.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

from proxyscale.base.errors import UserError

Function = TypeVar("Function", bound=Callable[..., Any])
WORDS = re.compile(r"_|(?<=[a-z0-9])(?=[A-Z])")  # between two words of a name


class Registry:
    """Named functions of one kind, looked up by the word that the config uses."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.functions: dict[str, Callable[..., Any]] = {}
        self.files: dict[str, Path] = {}

    def __call__(self, function: Function) -> Function:
        """Register under its name, `two_words` or a class's `TwoWords` written as `two-words`."""
        name, file = self.name(function), Path(inspect.getfile(function)).resolve()
        if name in self.functions and self.files[name] != file:
            raise UserError(f"two {self.kind}s are named {name!r}", hint="rename the plugin's")
        self.functions[name], self.files[name] = function, file
        return function

    @staticmethod
    def name(function: Callable[..., Any]) -> str:
        """The word that the config uses."""
        return WORDS.sub("-", function.__name__).lower()

    def __getitem__(self, name: str) -> Any:
        try:
            return self.functions[name]
        except KeyError:
            message = f"no {self.kind} is named {name!r}"
            raise UserError(message, value=name, allowed=sorted(self.functions)) from None

    def file(self, name: str) -> Path:
        """The file that defines a function."""
        self[name]
        return self.files[name]

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The keyword-only arguments of a function, by name."""
        parameters = inspect.signature(self[name]).parameters.values()
        return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}

    def help(self, name: str) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self[name]) or "").split("\n", 1)[0]


class Needs(NamedTuple):
    """What a selection method looks at besides the candidates, and how its scores are sampled."""

    reads: tuple[str, ...] = ()  # of READS
    noise: str = "none"  # added to the scores, unless a distribution says otherwise
    in_parts: bool = False  # whether processes share its work: by `candidates.map_texts`

    @property
    def keys(self) -> list[str]:
        """The keys of a distribution that say where these come from."""
        return [key for key in KEYS if any(key in READS[kind] for kind in self.reads)]

    @property
    def models(self) -> bool:
        """Whether trained models are asked."""
        return "scale" in self.keys


# What a selection method may read, and the keys of a distribution that say where it comes from.
KEYS = ("task", "scored_on", "scale")
READS: dict[str, tuple[str, ...]] = {
    "target": ("task",),  # the task's target examples
    "scores": KEYS,  # of the candidates for the task, by models trained on `scored_on`
    "losses": ("scored_on", "scale"),  # of the candidates under such models
}


class Selections(Registry):
    """Selection methods: `@selection`, or `@selection(needs=("scores",), noise="gumbel")`."""

    def __init__(self) -> None:
        super().__init__("selection")
        self.declared: dict[str, Needs] = {}

    @overload
    def __call__(self, function: Function) -> Function: ...

    @overload
    def __call__(
        self,
        function: None = None,
        *,
        needs: Iterable[str] = (),
        noise: str = "none",
        in_parts: bool = False,
    ) -> Callable[[Function], Function]: ...

    def __call__(
        self,
        function: Any = None,
        *,
        needs: Iterable[str] = (),
        noise: str = "none",
        in_parts: bool = False,
    ) -> Any:
        """Register under the function's name, with what it needs. UserError for another need."""
        for need in needs:
            if need not in READS:
                raise UserError("no selection can need this", value=need, allowed=list(READS))

        def register(function: Function) -> Function:
            super(Selections, self).__call__(function)
            self.declared[self.name(function)] = Needs(tuple(needs), noise, in_parts)
            return function

        return register if function is None else register(function)

    def needs(self, name: str) -> Needs:
        """What a method declares; nothing for one that is not known."""
        return self.declared.get(name, Needs())


class Facts(NamedTuple):
    """What a study has that figures can show."""

    family: str  # of its models: language, resnet
    reads: frozenset[str]  # kinds of files that there are, as `figure` names them
    compute: bool = True  # of every scale is known
    examples: bool = True  # losses are by example, of distributions enough for a correlation
    answers: bool = False  # a task has right and wrong ones
    tasks: int = 1
    compared_tasks: int = 0  # for which scores of all scales are held side by side
    models: int = 1  # whose scores are averaged, at most
    counterfactuals: bool = False  # distributions that leave out what matters to single images


@dataclass(frozen=True)
class FigureEntry:
    """A registered figure: the function that draws it, and what is known before it is drawn."""

    function: Callable[..., Any]
    options: Mapping[str, Any]  # that the function is called with
    caption: str
    reads: tuple[str, ...]
    family: str
    exists: Callable[[Facts], bool]

    @property
    def file(self) -> Path:
        """The file that draws it."""
        return Path(self.function.__code__.co_filename).resolve()

    @property
    def module(self) -> str:
        """The module that draws it, below the package."""
        return self.function.__module__.removeprefix("proxyscale.")


class Figures:
    """Figures by name, each registered once, by the module that draws it."""

    def __init__(self) -> None:
        self.entries: dict[str, FigureEntry] = {}

    def __call__(
        self,
        name: str,
        *,
        caption: str,
        reads: Iterable[str] = ("statistics", "losses", "runs"),
        family: str = "language",
        exists: Callable[[Facts], bool] = lambda facts: True,
        **options: Any,
    ) -> Callable[[Function], Function]:
        """Register `function(data, **options)`, which gives a figure and the rows of its CSV.

        `data` is a `figures.figure_data.FigureData`. `reads` are kinds of files: `statistics`,
        `losses`, `runs`, `asked` (the test examples), `curves`, `agreement`, `influence`,
        `gains`, `proposal`; of image studies `images` and `scores`, too. A study of that family has
        the figure if it has all of them, and `exists` says so of its `Facts`. UserError for a name
        that is taken.
        """

        def register(function: Function) -> Function:
            entry = FigureEntry(function, options, caption, tuple(reads), family, exists)
            known = self.entries.get(name)
            if known is not None and known.file != entry.file:
                raise UserError(f"two figures are named {name!r}", hint="rename the plugin's")
            self.entries[name] = entry
            return function

        return register

    def __getitem__(self, name: str) -> FigureEntry:
        if name not in self.entries:
            allowed = sorted(self.entries)
            raise UserError(f"no figure is named {name!r}", value=name, allowed=allowed)
        return self.entries[name]

    def file(self, name: str) -> Path:
        """The file that draws a figure."""
        return self[name].file

    def of(self, facts: Facts) -> list[str]:
        """The figures that a study has, by their numbers; those that have none come last."""
        return sorted((n for n, e in self.entries.items() if _shows(e, facts)), key=_number)


def _shows(entry: FigureEntry, facts: Facts) -> bool:
    known = entry.family == facts.family and facts.reads.issuperset(entry.reads)
    return known and entry.exists(facts)


def _number(name: str) -> tuple[float, str]:
    found = re.search(r"\d+$", name)
    return float(found.group()) if found else math.inf, name


corpus = Registry("corpus")
task = Registry("task")
selection = Selections()
engine = Registry("engine")  # programs that train a run, see `training.engines`
ENGINES = ("native", "llm-foundry")  # the package's own, known without importing them
COMMANDED = "own_engine"  # the module of those that are a command of the config
architecture = Registry("architecture")  # of language models: classes, see `training.model`
DEFAULT_ARCHITECTURE = "gpt"  # the package's own, which torch-free code knows by its name alone
figure = Figures()


def load_plugins(paths: Iterable[str | Path]) -> None:
    """Import the user's files, whose decorated functions register themselves."""
    for path in map(Path, paths):
        if not path.is_file():
            raise UserError(f"no such plugin file: {path}", where="plugins", value=str(path))
        if path.suffix != ".py":
            raise UserError(f"no Python file: {path}", where="plugins", hint="its name ends in .py")
        place = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
        name = f"proxyscale_plugin_{place}_{path.stem}"
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, path.resolve())
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except SyntaxError as error:
            del sys.modules[name]
            told = f"{error.filename or path}, line {error.lineno}: {error.msg}"
            raise UserError(told, where="plugins") from None
        except UserError:
            del sys.modules[name]
            raise
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            frames = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in frames if frame.filename == str(path.resolve())]
            told = f"{path}, line {lines[-1] if lines else 1}: {type(error).__name__}: {error}"
            raise UserError(told, where="plugins", value=str(path)) from None
