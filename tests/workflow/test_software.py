"""The software that pyproject.toml, the lock and the environments list is one, and is enough."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from glob import glob
from pathlib import Path

import pytest
import yaml
from support.paths import ROOT
from support.tiny_run import SPEC, command, write_data

from proxyscale.base.extras import extra_of, missing
from proxyscale.base.shipped import workflow_folder
from proxyscale.training import parametrization  # noqa: F401 (it hides torchvision)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKED = dict(
    line.split("==")
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if not line.startswith("#")
)
RUNS = "recipe,scale,loss\n" + "".join(
    f"{recipe},{scale},{loss}\n"
    for scale, losses in (("1M", (3.1, 3.0, 2.9, 2.8)), ("1B", (2.1, 2.0, 1.9, 1.95)))
    for recipe, loss in zip("abcd", losses, strict=True)
)


def name_of(requirement: str) -> str:
    return re.split(r"[<>=~! ;\[]", requirement, maxsplit=1)[0]


def listed() -> list[str]:
    """What `envs/proxyscale.yaml` has pip install."""
    told = yaml.safe_load((ROOT / "envs" / "proxyscale.yaml").read_text())["dependencies"]
    return next(one for one in told if isinstance(one, dict))["pip"]


def test_the_lock_has_a_version_of_all_that_is_asked_for():
    asked = [name_of(one) for extra in EXTRAS.values() for one in extra]
    asked += map(name_of, PROJECT["dependencies"])
    assert {name.lower() for name in asked} <= LOCKED.keys()
    assert LOCKED["torch"] in ("2.13.0",)


def test_the_environment_of_rules_is_what_pyproject_lists_as_locked():
    wanted = [name_of(one) for one in (*PROJECT["dependencies"], *EXTRAS["models"])]
    assert listed() == [f"{name}=={LOCKED[name.lower()]}" for name in wanted]


def test_the_environment_of_rules_has_the_python_that_was_tested_with():
    told = yaml.safe_load((ROOT / "envs" / "proxyscale.yaml").read_text())["dependencies"]
    assert told[0] == f"python={sys.version_info.major}.{sys.version_info.minor}"


def metadata() -> list[str]:
    """What the metadata of an installation of this checkout require."""
    extras = [f'{one}; extra == "{name}"' for name, own in EXTRAS.items() for one in own]
    return [*PROJECT["dependencies"], *extras]


def test_what_is_missing_names_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("proxyscale.base.extras.requires", lambda _: metadata())
    extras = {"torch": "models", "sklearn.linear_model": "models", "snakemake.api": "workflow"}
    assert {module: extra_of(module) for module in extras} == extras
    told = str(missing(ModuleNotFoundError("…", name="torch")))
    assert "torch is not installed: it comes with the extra `models`" in told
    assert "pip install '.[models]'" in told
    other = ModuleNotFoundError("…", name="of_my_plugin")
    assert missing(other) is other


def without(*modules: str) -> str:
    """A program that calls the people's door as if some packages were not installed."""
    return f"""
import sys
class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from proxyscale.base import extras
extras.requires = lambda _: {metadata()!r}
from proxyscale.cli.main import people
sys.exit(people(sys.argv[1:]))
"""


MODELS = ("torch", "mup", "tokenizers", "datasets", "sklearn", "safetensors", "huggingface_hub")


def call(program: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_tables_are_read_without_torch_and_snakemake(tmp_path: Path):
    (tmp_path / "runs.csv").write_text(RUNS)
    bare = without(*MODELS, "snakemake", "transformers")
    done = call(bare, "compare", "runs.csv", "--reference", "1B", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "compared" / "report.html").is_file()
    assert call(bare, "explain", "training.tokens", folder=tmp_path).returncode == 0
    words = ("export", "--run", ".", "--tokenizer", "t.json", "--out", "out")
    lacks = call(bare, *words, folder=tmp_path)
    assert lacks.returncode == 2
    told = "proxyscale export: safetensors is not installed: it comes with the extra `models`"
    assert told in lacks.stderr
    assert "Traceback" not in lacks.stderr


def test_a_torchvision_of_another_build_is_not_found():
    assert importlib.util.find_spec("torchvision") is None


# --- With a registry


def environment(folder: Path, *packages: str) -> Path:
    """The interpreter of a new environment with these packages; skips where none can be had."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", *packages]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if "No matching distribution" in done.stderr or "Could not fetch" in done.stderr:
        pytest.skip(f"no registry here has them: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    checked = subprocess.run([python, "-m", "pip", "check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    return python


def wheel(folder: Path) -> Path:
    """The wheel, built from a copy of the checkout without a word of warning."""
    source = folder / "checkout"
    ignore = shutil.ignore_patterns("*.egg-info", "__pycache__")
    for name in ("src", "rules", "profiles", "envs", "workflow"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE", "Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, source)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "-v", "-w", str(folder), str(source)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    warned = [
        x for x in (done.stdout + done.stderr).splitlines() if re.search("warn|deprec", x, re.I)
    ]
    assert [line for line in warned if "Location" not in line] == []
    (made,) = folder.glob("proxyscale-*.whl")
    return made


def shipped() -> set[str]:
    """What of the checkout a wheel is to hold, by its path from the root."""
    names = ["Snakefile", "config.yaml"]
    for pattern in ("rules/**/*.smk", "profiles/*/*", "envs/*", "workflow/*/*.*"):
        names += glob(pattern, root_dir=ROOT, recursive=True)
    return {name for name in names if Path(name).suffix not in (".png", ".html", ".md")}


def test_the_workflow_is_data_of_the_package() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = ROOT / "src/proxyscale"
    files = [f for p in told["package-data"]["proxyscale"] for f in glob(p, root_dir=package)]
    assert {name.removeprefix("shipped/") for name in files} == shipped()
    assert workflow_folder() == ROOT


@pytest.mark.slow
def test_a_wheel_begins_a_study_and_plans_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel(tmp_path)) as packed:
        packed.extractall(tmp_path / "installed")
    assert shipped() <= {name.removeprefix("proxyscale/shipped/") for name in packed.namelist()}
    texts = [f"{n} of a few words " * 400 for n in range(200)]
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    own = tmp_path / "mine"

    def said(*words: str, folder: Path = own) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    said("proxyscale", "init", "mine", "--files", "raw=raw.jsonl", folder=tmp_path)
    installed = tmp_path / "installed/proxyscale/shipped/Snakefile"
    assert str(installed) in (own / "Snakefile").read_text()
    assert re.search(r"^train +6$", said("snakemake", "--dry-run"), re.MULTILINE)
    assert "to do: " in said("proxyscale", "plan")


@pytest.mark.slow
def test_a_wheel_in_an_empty_environment_compares(tmp_path: Path):
    python = environment(tmp_path / "env", str(wheel(tmp_path)))
    (tmp_path / "runs.csv").write_text(RUNS)
    door = python.with_name("proxyscale")
    words = [door, "compare", "runs.csv", "--reference", "1B"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "compared" / "report.html").is_file()


@pytest.mark.slow
def test_what_the_environment_of_rules_lists_is_enough_to_train(tmp_path: Path):
    python = environment(tmp_path / "env", *listed())
    words = command(write_data(tmp_path), tmp_path / "run" / "manifest.json", SPEC)
    done = subprocess.run(
        [python, *words[1:]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["parameters"] > 0
