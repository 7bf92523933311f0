"""Mistakes that only the machine shows, and all of them at the doors that a user comes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.dry_runs import ended
from support.mistakes import BAD, REMOVE, spoil
from support.paths import ROOT, ROTARY
from tokenizers import Tokenizer, models

from proxyscale.base import artifacts
from proxyscale.base.digest import code_digest
from proxyscale.base.errors import UserError
from proxyscale.cli.main import main
from proxyscale.data.tokenizer import build_tokenizer
from proxyscale.data.tokens import load_tokenizer
from proxyscale.registry import architecture, selection
from proxyscale.study.input_checks import check_inputs
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.validation import read_yaml

TEXT = '{"text": "some text of one record"}\n'
PLUGINS = {
    "broken.py": "def f(:\n",
    "raises.py": "import os\n\nos.nowhere\n",
    "lacks.py": "import no_such_package\n",
    "twice.py": (
        "from proxyscale.registry import selection\n\n\n"
        "@selection\ndef random(candidates):\n    return candidates.ids\n"
    ),
}


@pytest.fixture
def study(minimal: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A valid study in a folder of its own, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").mkdir()
    for name in ("b/one.jsonl", "b/two.jsonl", "x.jsonl"):
        (tmp_path / name).write_text(TEXT * 200)
    Path("x.jsonl").write_text('{"text": "a", "q": "what", "a": "that"}\n' * 200)
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer.add_tokens(["c", "b"])
    tokenizer.save("t.json")
    Path("garbage.json").write_text("[1")
    Path("other.json").write_text('{"model": 3}')
    for name, text in PLUGINS.items():
        Path(name).write_text(text)
    return minimal


# (path, value, what the message must hold)
ABSENT = [
    ("sources/b/files", "b/*.txt", ["sources.b.files: no file matches b/*.txt", "check the path"]),
    ("sources/b/files", "b", ["no file matches b", "hint: name its files: folder/**/*.txt"]),
    ("sources/b/files", [], ["sources.b.files: names no file"]),
    ("sources/b/files", "$NO_SUCH_PLACE/x", ["hint: the variable $NO_SUCH_PLACE is not set"]),
    ("sources/b/files", "image.png", ["sources.b.format: image.png: unknown format 'png'", "csv"]),
    ("sources/b/format", "jsnl", ["sources.b.format", "did you mean 'jsonl'?"]),
    ("tasks/p/records", {"files": "y.jsonl"}, ["tasks.p.records.files: no file matches y.jsonl"]),
    (
        "tasks/p/records",
        {"holdout": {"files": "x.jsonl"}, "target": {"files": "z"}},
        ["1 mistake", "tasks.p.records.target.files: no file matches z"],
    ),
    ("tokenizer", {"file": "no.json"}, ["tokenizer.file: no file matches no.json"]),
    ("tokenizer", {"file": "/"}, ["tokenizer.file: no file matches /"]),
    ("tokenizer", {"file": "garbage.json"}, ["tokenizer.file: not JSON"]),
    ("tokenizer", {"file": "other.json"}, ["tokenizer.file: not a tokenizer.json"]),
    (
        "tokenizer",
        {"file": "t.json", "pad_vocabulary_to": 3},
        ["tokenizer.pad_vocabulary_to: the tokenizer has 4 entries already"],
    ),
    (
        "distributions/b/size",
        2000,
        ["distributions.b.size: 2000 examples are 32,000 tokens, and b cannot have more than"],
    ),
    ("plugins", ["broken.py"], ["broken.py, line 1: invalid syntax"]),
    ("plugins", ["raises.py"], ["plugins: raises.py, line 3: AttributeError"]),
    ("plugins", ["lacks.py"], ["lacks.py, line 1: ModuleNotFoundError", "no_such_package"]),
    ("plugins", ["twice.py"], ["two selections are named 'random'", "hint: rename"]),
]
Refusal = tuple[str, Any, list[str]]


def refused(study: dict[str, Any], path: str, value: Any) -> Path:
    """The study with a mistake in it, as a file."""
    spoil(study, path, value)
    Path("config.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return Path("config.yaml")


def test_a_study_whose_files_are_there_is_accepted(study: dict[str, Any]) -> None:
    check_inputs(LanguageStudy.load(study))


def named(mistake: tuple[str, Any, list[str]]) -> str:
    """A mistake's name, the same in every process."""
    path, value, _ = mistake
    return f"{path} left out" if value is REMOVE else f"{path}={value!s:.40}"


@pytest.mark.parametrize("mistake", BAD + ABSENT, ids=named)
def test_plan_tells_a_mistake_without_a_traceback(
    study: dict[str, Any], mistake: Refusal, capsys: pytest.CaptureFixture[str]
) -> None:
    path, value, told = mistake
    file = refused(study, path, value)
    assert main(["plan", "--configfile", str(file)]) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert all(words in said.err for words in told), said.err
    assert not said.out


def refusal(*arguments: str) -> str:
    """What Snakemake says of the study here, which it refuses."""
    code, said = ended(Path.cwd(), "-s", str(ROOT / "Snakefile"), *arguments)
    assert code == 2, said
    assert "Traceback" not in said
    return said


def check_snakemake(study: dict[str, Any], mistake: Refusal) -> None:
    path, value, told = mistake
    said = refusal("--configfile", str(refused(study, path, value)))
    assert all(words in said for words in told), said


FEW = [BAD[0], ABSENT[0], *(m for m in ABSENT if m[1] in (["broken.py"], ["raises.py"]))]


@pytest.mark.parametrize("mistake", FEW, ids=named)
def test_snakemake_tells_a_mistake_without_a_traceback(study: Any, mistake: Refusal) -> None:
    check_snakemake(study, mistake)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", BAD + ABSENT, ids=named)
def test_snakemake_tells_every_mistake_without_a_traceback(study: Any, mistake: Refusal) -> None:
    check_snakemake(study, mistake)


def unreadable(path: Path) -> None:
    path.write_bytes(b"study: caf\xe9\n")


SPOILT: list[tuple[Callable[[Path], Any], str]] = [
    (Path.unlink, "no such file"),
    (lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
    (unreadable, "cannot be read"),
    (lambda path: path.write_text("- a\n"), "a study is a mapping"),
    (lambda path: path.write_text("a: [\n"), "not YAML"),
    (lambda path: path.write_text("study: a\nstudy: b\n"), "stands twice, again in line 2"),
    (lambda path: path.write_text("{[1, 2]: 3}\n"), "is no word; quote it"),
    (lambda path: path.write_text("1: x\n"), "is no word; quote it"),
    (lambda path: path.write_text(f"a: {'[' * 3000}{']' * 3000}\n"), "not YAML"),
    (lambda path: path.write_text(""), "a mapping"),
]


@pytest.mark.parametrize(("harm", "told"), SPOILT)
def test_a_study_that_cannot_be_read(
    study: Any, harm: Any, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("config.yaml").write_text("study: a\n")
    harm(Path("config.yaml"))
    assert main(["plan"]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("harm", "told"), [SPOILT[1], SPOILT[2], SPOILT[5]])
def test_snakemake_on_a_study_that_cannot_be_read(study: Any, harm: Any, told: str) -> None:
    Path("config.yaml").write_text("study: a\n")
    harm(Path("config.yaml"))
    assert told in refusal()


def test_two_studies_do_not_share_a_folder(study: dict[str, Any]) -> None:
    Path("out").mkdir()
    artifacts.write_json("out/study.json", {"study": "another"})
    Path("config.yaml").write_text(yaml.safe_dump(study))
    assert "results: out holds the study 'another', not 'tiny'" in refusal()


def test_yaml_merge_keys_are_understood(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}\n")
    assert read_yaml(tmp_path / "c.yaml")["b"] == {"x": 1, "y": 2}


def test_the_vocabulary_of_a_local_tokenizer_is_known_beforehand(study: dict[str, Any]) -> None:
    study["tokenizer"] = {"file": "t.json"}
    loaded = LanguageStudy.load(study)
    build_tokenizer(Path("made.json"), {}, {"file": "t.json"})
    vocabulary = load_tokenizer(Path("made.json")).get_vocab_size()
    assert {scale.model["vocabulary"] for scale in loaded.scales.values()} == {vocabulary} == {4}
    assert loaded.tokenizer_sources() == []


def test_variables_and_the_home_folder_are_filled_in(
    study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "b")
    monkeypatch.setenv("HOME", str(Path.cwd()))
    study["sources"]["b"]["files"] = ["$PLACE/one.jsonl", "~/b/two.jsonl"]
    loaded = LanguageStudy.load(study)
    check_inputs(loaded)
    before = loaded.source_stamp("b")
    Path("b/one.jsonl").write_text(TEXT)
    assert LanguageStudy.load(study).source_stamp("b") != before
    assert "$PLACE" in loaded.spec("corpus", "b")  # a folder's place changes no result


def test_a_function_of_a_plugin_ties_its_jobs_to_the_file(study: dict[str, Any]) -> None:
    Path("mine.py").write_text(
        "from proxyscale.registry import selection\n\n\n"
        "@selection\ndef mine_only(candidates):\n    return candidates.ids\n"
    )
    study["plugins"] = ["mine.py"]
    study["distributions"]["c"] = {"method": "mine-only"}
    try:
        loaded = LanguageStudy.load(study)
        assert loaded.plugins("select", "c") == ["mine.py"]
        assert loaded.plugins("select", "mix") == []
    finally:
        del selection.functions["mine-only"]


FOREIGN = {"architecture": "rotary-glu", "parametrization": "standard", "options": {"heads": 2}}


def test_an_architecture_of_a_plugin_ties_its_jobs_to_the_file(study: dict[str, Any]) -> None:
    plain = LanguageStudy.load(study)
    text = ROTARY.read_text().replace("RotaryGlu", "MyOwn")
    Path("mine.py").write_text(text)
    study["plugins"] = ["mine.py"]
    own = FOREIGN | {"architecture": "my-own"}
    study["scales"]["small"] |= own
    try:
        loaded = LanguageStudy.load(study)
        for rule in ("train", "evaluate", "features"):
            assert loaded.plugins(rule, "small") == ["mine.py"]
            assert loaded.plugins(rule, "large") == []
            assert loaded.code(rule, "large") == plain.code(rule, "large")
        before = {rule: loaded.code(rule, "small") for rule in ("train", "evaluate", "features")}
        assert before != {rule: plain.code(rule, "small") for rule in before}
        code_digest.cache_clear()
        Path("mine.py").write_text(text.replace("100.0 **", "101.0 **"))
        for rule, digest in before.items():
            assert loaded.code(rule, "small") != digest
        told = json.loads(loaded.spec("train", "small", "mix", 0, 0))["model"]
        assert told == {
            **own,
            **{"width": 8, "layers": 1, "context": 16, "vocabulary": 300, "base_width": 32},
        }
        assert loaded.spec("train", "large", "mix", 0, 0) == plain.spec(
            "train", "large", "mix", 0, 0
        )
        block = 4 * 64 + 8 + 2 * (8 * 16 + 16) + 16 * 8 + 8 + 16
        assert loaded.scales["small"].parameters == 2 * 300 * 8 + block + 8
        per_parameter = loaded.config.training.tokens_per_parameter
        assert abs(loaded.scales["small"].tokens - per_parameter * (4800 + block + 8)) <= 32
    finally:
        del architecture.functions["my-own"]


LLAMA = {"architecture": "llama", "parametrization": "standard", "options": None}
# (keys of the scale, what the message must hold)
THERE = [
    ({"architecture": "lama"}, ["scales.small.architecture", "mean 'llama'", "allowed: gpt"]),
    ({"config": {"headz": 2}}, ["scales.small.config.headz", "has no 'headz'"]),
    ({"config": {"hidden_size": 2}}, ["scales.small.config.hidden_size", "say width of the scale"]),
    ({"config": {"num_attention_heads": 3}}, ["scales.small: transformers makes no llama of it"]),
    ({"architecture": "opt", "parametrization": None}, ["opt has no parametrization 'mup'"]),
    ({"options": {"a": 1}}, ["scales.small.options: options is a key of plugins, not of llama"]),
    ({"heads": 2}, ["scales.small.heads: heads is a key of gpt", "its own are its `config`"]),
    ({"engine": "llm-foundry"}, ["trains gpt alone, not llama"]),
]


@pytest.mark.parametrize(("keys", "told"), THERE)
def test_what_an_architecture_of_transformers_is_not_is_told(
    study: dict[str, Any], keys: dict[str, Any], told: list[str]
) -> None:
    pytest.importorskip("transformers")
    study["scales"]["small"] |= LLAMA | keys
    with pytest.raises(UserError) as caught:
        LanguageStudy.load(study)
    for words in told:
        assert words in str(caught.value)


def test_architectures_stand_side_by_side(study: dict[str, Any]) -> None:
    """What a study says of one architecture is not said of another that a scale names."""
    pytest.importorskip("transformers")
    study["model"] = {"architecture": "llama", "config": {"num_key_value_heads": 1}}
    study["scales"]["small"] |= {"config": {"intermediate_size": 24}}
    study["scales"]["other"] = {"width": 8, "layers": 1, "architecture": "qwen2"}
    study["scales"]["other"] |= {"parametrization": "standard"}
    study["scales"]["plain"] = {"width": 8, "layers": 1, "architecture": "gpt"}
    loaded = LanguageStudy.load(study)
    models = {name: scale.model for name, scale in loaded.scales.items()}
    assert models["small"]["config"] == {"num_key_value_heads": 1, "intermediate_size": 24}
    assert models["other"]["config"] == {}
    assert "config" not in models["plain"]
    assert "mlp_ratio" in models["plain"]
    assert "mlp_ratio" not in models["small"]
    told = loaded.spec("train", "small", "mix", 0, 0)
    assert '"architecture":"llama"' in told.replace(" ", "")
    assert not loaded.plugins("train", "small")
    width, vocabulary = 8, models["small"]["vocabulary"]
    block = 4 * width * width + 3 * width * 24 + 2 * width
    layers = models["small"]["layers"]
    assert loaded.scales["small"].parameters == 2 * vocabulary * width + layers * block + width


def test_the_default_architecture_is_left_unsaid(study: dict[str, Any]) -> None:
    unsaid = LanguageStudy.load(study)
    study["model"] = {"architecture": "gpt", "options": {}}
    assert LanguageStudy.load(study).spec("train", "small", "mix", 0, 0) == unsaid.spec(
        "train", "small", "mix", 0, 0
    )
    assert "architecture" not in unsaid.spec("train", "small", "mix", 0, 0)


# (keys of the scale, what the message must hold)
ODD = [
    ({"architecture": "rotary-gul"}, ["scales.small.architecture", "mean 'rotary-glu'"]),
    ({"options": {"headz": 2}}, ["scales.small.options.headz", "did you mean 'heads'?"]),
    ({"options": {"heads": "two"}}, ["scales.small.options.heads: is 'two'"]),
    ({"options": {"heads": 3}}, ["scales.small: rotary-glu: 3 heads", "a width of 8"]),
    ({"parametrization": None}, ["scales.small.parametrization", "'mup'", "standard"]),
    ({"mlp_ratio": 2}, ["scales.small.mlp_ratio", "a key of gpt, not of rotary-glu"]),
    ({"engine": "llm-foundry"}, ["scales.small.engine", "trains gpt alone, not rotary-glu"]),
    ({"architecture": "gpt"}, ["scales.small.options: options is a key of plugins, not of gpt"]),
    ({"config": {"heads": 2}}, ["scales.small.config: config is a key of transformers'"]),
]


@pytest.mark.parametrize(("keys", "told"), ODD)
def test_what_an_architecture_is_not_is_told(
    study: dict[str, Any], keys: dict[str, Any], told: list[str]
) -> None:
    study["plugins"] = [str(ROTARY)]
    study["scales"]["small"] |= FOREIGN | keys
    with pytest.raises(UserError) as caught:
        LanguageStudy.load(study)
    for words in told:
        assert words in str(caught.value)
