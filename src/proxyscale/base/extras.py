"""What is installed with proxyscale and what only with its extras."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires

from proxyscale.base.errors import UserError

DISTRIBUTIONS = {"sklearn": "scikit-learn", "huggingface_hub": "datasets"}  # by what is imported


def extra_of(module: str) -> str | None:
    """The first extra of proxyscale that brings a module, or what it is imported from."""
    top = module.partition(".")[0]
    try:
        known = requires("proxyscale") or []
    except PackageNotFoundError:
        return None
    for requirement in known:
        told = re.match(r"([\w.-]+).*;.*extra == ['\"]([\w-]+)['\"]", requirement)
        if told and told[1] == DISTRIBUTIONS.get(top, top):
            return told[2]
    return None


def missing(error: ModuleNotFoundError) -> Exception:
    """The user's mistake, where a module is missing that an extra brings; else the error itself."""
    extra = extra_of(error.name or "")
    if extra is None:
        return error
    hint = f"install the wheel or the checkout with it: pip install '.[{extra}]'"
    return UserError(f"{error.name} is not installed: it comes with the extra `{extra}`", hint=hint)
