from __future__ import annotations

import pytest
import torch
from support.paths import ROTARY
from torch import Tensor, nn

from proxyscale.attribution.gradients import GradientComputer, model_output, output_gradient
from proxyscale.base.errors import UserError
from proxyscale.registry import architecture, load_plugins
from proxyscale.training import language_model, matmul
from proxyscale.training.model import LanguageModel

SPEC = {
    "vocabulary": 50,
    "context": 12,
    "width": 16,
    "layers": 2,
    "heads": 2,
    "mlp_ratio": 4,
    "bias": False,
    "tied": False,
    "parametrization": "mup",
    "base_width": 8,
}
VARIANTS = [
    {},
    {"bias": True, "parametrization": "standard"},
    {"tied": True, "parametrization": "standard"},
]


def model(**changes) -> language_model.LanguageModel:
    built = language_model.build({**SPEC, **changes}, seed=0).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in built.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data.add_(0.2 * noise)
    return built


def batch(examples: int, pieces: int, length: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    shape = (examples, pieces, length)
    tokens, true = (torch.randint(50, shape, generator=generator) for _ in range(2))
    scored = torch.rand(shape, generator=generator) < 0.5
    scored[:, 0, -1] = True
    return tokens, true, scored


def loop(logits_of, tokens, true, scored, of=None) -> list[dict[str, torch.Tensor]]:
    """Autograd's gradients for one example after another; `of` is whose logits they are."""
    found, net = [], of or logits_of
    net.requires_grad_(True)
    for row in range(len(tokens)):
        logits = logits_of(tokens[row]).view(1, -1, 50)
        output = model_output(logits, true[row].view(1, -1), scored[row].view(1, -1))
        gradients = torch.autograd.grad(output.sum(), list(net.parameters()))
        names = [name for name, _ in net.named_parameters()]
        found.append(dict(zip(names, gradients, strict=True)))
    return found


def summed(computer, *parts) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for name, rows, gradient in computer(*parts):
        shape = len(parts[0]), *gradient.shape[1:]
        found.setdefault(name, gradient.new_zeros(shape))[rows] += gradient
    return found


@pytest.mark.parametrize("changes", VARIANTS)
@pytest.mark.parametrize(("pieces", "length"), [(1, 12), (3, 12), (1, 7)])
def test_gradients_equal_a_loops(changes, pieces, length):
    net = model(**changes)
    parts = batch(4, pieces, length)
    expected = loop(net, *parts)
    found = summed(GradientComputer(net), *parts)
    assert set(found) == set(expected[0])
    for name, gradient in found.items():
        wanted = torch.stack([row[name] for row in expected])
        torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-12, msg=name)
        assert wanted.abs().max() > 1e-6, name


@pytest.mark.parametrize("changes", VARIANTS)
def test_every_parameter_of_gpt_has_a_rule(changes):
    computer = GradientComputer(model(**changes).float())
    list(computer(*batch(4, 2, 12)))
    assert computer.unruled == set()


class Odd(LanguageModel):
    """Uses its modules in ways that no rule takes for granted, and has parameters of its own."""

    def __init__(self, spec) -> None:
        super().__init__(spec)
        self.embedding = nn.Embedding(50, 16)
        self.places = nn.Embedding(12, 16)
        self.twice, self.late, self.doubled = (nn.Linear(16, 16) for _ in range(3))
        self.within = nn.Linear(16, 16)
        self.wide = nn.LayerNorm((2, 16))
        self.gain = nn.Parameter(torch.rand(16))

    @property
    def readout(self) -> nn.Parameter:
        return self.embedding.weight

    def hidden(self, tokens: Tensor, at: Tensor | None = None) -> Tensor:
        stream = self.embedding(tokens)
        stream.mul_(1.5)
        stream = stream + self.places(torch.arange(tokens.shape[1]))
        stream = self.twice(torch.tanh(self.twice(stream))) * self.gain
        stream = stream + self.late(stream.transpose(0, 1)).transpose(0, 1)
        stream = stream + self.doubled(stream).mul_(2)
        stream = self.wide(torch.stack([stream, torch.tanh(stream)], 2)).sum(2)
        return torch.tanh(self.within(stream) @ self.within.weight)


def foreign(kind: type[LanguageModel], **options) -> LanguageModel:
    torch.manual_seed(0)
    net = kind({**SPEC, "parametrization": "standard"}, **options).double()
    for parameter in net.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return net


FOREIGN = {
    "rotary": lambda: foreign(architecture["rotary-glu"], heads=2),
    "rotary, tied": lambda: foreign(architecture["rotary-glu"], heads=2, tied=True),
    "odd": lambda: foreign(Odd),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_gradients_of_another_architecture_equal_a_loops(name):
    load_plugins([ROTARY])
    net = FOREIGN[name]()
    computer = GradientComputer(net, "autograd")
    for parts in (batch(4, 2, 12), batch(1, 3, 7, seed=1)):
        found = summed(computer, *parts)
        expected = loop(net, *parts)
        net.requires_grad_(False)
        assert set(found) == set(expected[0])
        for key, gradient in found.items():
            wanted = torch.stack([row[key] for row in expected])
            torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-12, msg=key)
            assert wanted.abs().max() > 1e-6, key


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", ["llama", "gpt2", "mpt", "phi"])
def test_gradients_of_models_of_transformers_equal_autograds(name, tied):
    pytest.importorskip("transformers")
    config = {"tie_word_embeddings": tied} | ({"num_key_value_heads": 1} if name == "llama" else {})
    shape = {**SPEC, "width": 32, "parametrization": "standard"}
    parts, found = batch(4, 2, 12), {}
    for kind in (torch.float64, torch.float32):
        net = language_model.build({**shape, "architecture": name, "config": config}, 0).to(kind)
        generator = torch.Generator().manual_seed(1)
        for parameter in net.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.data.add_(0.2 * noise.to(kind))
        computer = GradientComputer(net)
        found[kind] = summed(computer, *parts)
        expected = loop(lambda tokens, net=net: net.net(tokens).logits, *parts, of=net)
        assert set(found[kind]) == set(expected[0])
        for key, gradient in found[kind].items():
            wanted = torch.stack([row[key] for row in expected])
            worst = 1e-10 if kind == torch.float64 else 1e-4
            assert (gradient - wanted).norm() <= worst * wanted.norm(), key
            assert wanted.abs().max() > 1e-6, key


def test_what_no_rule_covers_is_an_error_left_to_autograd_or_left_out(capsys):
    load_plugins([ROTARY])
    parts = batch(4, 2, 12)
    computer = GradientComputer(FOREIGN["rotary"](), "autograd")
    everything = summed(computer, *parts)
    scales = {n for n, _ in computer.model.named_parameters() if "scale" in n}
    assert computer.unruled == scales
    listed = ", ".join(sorted(scales))
    assert capsys.readouterr().err == (
        f"no rule of gradients covers {listed}: autograd makes their gradients, one example after "
        "another\n"
    )
    rest = summed(GradientComputer(FOREIGN["rotary"](), "leave-out"), *parts)
    assert set(rest) == set(everything) - scales
    assert f"covers {listed}: they are left out of the features" in capsys.readouterr().err
    with pytest.raises(UserError, match=f"no rule of gradients covers {listed}"):
        list(GradientComputer(FOREIGN["rotary"]())(*parts))


def test_a_rule_that_does_not_fit_is_not_trusted():
    load_plugins([ROTARY])
    computer = GradientComputer(FOREIGN["odd"](), "autograd")
    list(computer(*batch(4, 2, 12)))
    ruled = {n for n, _ in computer.model.named_parameters()} - computer.unruled
    assert ruled == {"embedding.weight", "twice.weight", "twice.bias", "within.bias"}


def test_model_output_is_the_mean_log_odds():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 11, generator=generator, dtype=torch.float64)
    true = torch.randint(11, (3, 5), generator=generator)
    scored = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1]], dtype=torch.bool)
    p = torch.softmax(logits, 2).gather(2, true[:, :, None])[:, :, 0]
    odds = torch.log(p / (1 - p))
    expected = torch.stack([odds[row][scored[row]].mean() for row in range(3)])
    torch.testing.assert_close(model_output(logits, true, scored), expected)


def test_output_gradient_equals_autograds():
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(3, 5, 11, generator=generator, dtype=torch.float64)
    true = torch.randint(11, (3, 5), generator=generator)
    scored = torch.rand(3, 5, generator=generator) < 0.5
    scored[:, 0] = True
    leaf = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model_output(leaf, true, scored).sum(), leaf)
    torch.testing.assert_close(output_gradient(logits, true, scored), expected)


def test_a_certain_token_has_a_finite_gradient():
    logits = torch.tensor([[[80.0, 0.0, 0.0]]])
    gradient = output_gradient(logits, torch.tensor([[0]]), torch.tensor([[True]]))
    torch.testing.assert_close(gradient, torch.tensor([[[1.0, -0.5, -0.5]]]))


def test_padding_and_company_change_nothing():
    computer = GradientComputer(model())
    tokens, true, scored = batch(5, 1, 9)
    scored[:, :, 5:] = False
    scored[:, :, 4] = True
    together = summed(computer, tokens, true, scored)
    for row in range(5):
        alone = summed(computer, *(part[row : row + 1, :, :5] for part in (tokens, true, scored)))
        for name, gradient in alone.items():
            torch.testing.assert_close(gradient[0], together[name][row], rtol=1e-9, atol=1e-13)


def test_products_of_one_example_at_a_time_equal_those_of_a_batch(monkeypatch):
    net = model().float()
    parts = batch(4, 1, 12)
    together = summed(GradientComputer(net), *parts)
    monkeypatch.setattr(matmul, "SMALLEST", 0)
    alone = summed(GradientComputer(net), *parts)
    expected = loop(net.double(), *parts)
    assert set(alone) == set(together)
    for name, gradient in alone.items():
        wanted = torch.stack([row[name] for row in expected])
        for found in (gradient, together[name]):
            torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("smallest", [0, matmul.SMALLEST])
def test_matrices_lie_along_their_longer_side(monkeypatch, smallest):
    monkeypatch.setattr(matmul, "SMALLEST", smallest)
    for _, _, gradient in GradientComputer(model().float())(*batch(3, 1, 12)):
        if gradient.dim() == 3 and gradient.shape[1] > gradient.shape[2]:
            gradient = gradient.transpose(1, 2)
        assert gradient.is_contiguous()
