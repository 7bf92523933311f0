"""What a user can add: one decorated function, ours or in a file named under `plugins:`.

An architecture is a class instead of a function. Keyword-only arguments are its options, the first
line of the docstring is its help.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

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
        name = WORDS.sub("-", function.__name__).lower()
        file = Path(inspect.getfile(function)).resolve()
        if name in self.functions and self.files[name] != file:
            raise UserError(f"two {self.kind}s are named {name!r}", hint="rename the plugin's")
        self.functions[name], self.files[name] = function, file
        return function

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


corpus = Registry("corpus")
task = Registry("task")
selection = Registry("selection")
architecture = Registry("architecture")  # of language models: classes, see `training.model`
DEFAULT_ARCHITECTURE = "gpt"  # the package's own, which torch-free code knows by its name alone


def load_plugins(paths: Iterable[str | Path]) -> None:
    """Import the user's files, whose decorated functions register themselves."""
    for path in map(Path, paths):
        name = f"proxyscale_plugin_{path.stem}"
        if name in sys.modules and sys.modules[name].__file__ == str(path.resolve()):
            continue
        if not path.is_file():
            raise UserError(f"no such plugin file: {path}", where="plugins", value=str(path))
        spec = importlib.util.spec_from_file_location(name, path.resolve())
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except SyntaxError as error:
            raise UserError(f"{path}, line {error.lineno}: {error.msg}", where="plugins") from None
        except UserError:
            raise
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in frames if frame.filename == str(path.resolve())]
            told = f"{path}, line {lines[-1] if lines else 1}: {type(error).__name__}: {error}"
            raise UserError(told, where="plugins", value=str(path)) from None
