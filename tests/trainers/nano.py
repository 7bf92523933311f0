"""A trainer in nanoGPT's manner: one file of PyTorch that knows nothing of proxyscale.

python nano.py --data tokens.npy --spec spec.json --out folder
"""

import argparse
import json
import math

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

args = argparse.ArgumentParser()
for flag in ("data", "spec", "out"):
    args.add_argument(f"--{flag}")
args = args.parse_args()
with open(args.spec) as file:
    spec = json.load(file)
m, t, data = spec["model"], spec["training"], spec["data"]
torch.manual_seed(1000 + spec["seed"])
width, heads = m["width"], m["heads"]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=m["bias"])
        self.out = nn.Linear(width, width, bias=m["bias"])
        self.up = nn.Linear(width, m["mlp_ratio"] * width, bias=m["bias"])
        self.down = nn.Linear(m["mlp_ratio"] * width, width, bias=m["bias"])

    def forward(self, x):
        q, k, v = self.qkv(self.attention_norm(x)).chunk(3, -1)
        q, k, v = (y.view(*y.shape[:2], heads, -1).transpose(1, 2) for y in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.mlp_norm(x))))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(m["vocabulary"], width)
        self.positions = nn.Embedding(m["context"], width)
        self.blocks = nn.ModuleList(Block() for _ in range(m["layers"]))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, m["vocabulary"], bias=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                deep = math.sqrt(2 * m["layers"]) if ".out." in name or ".down." in name else 1
                nn.init.normal_(p, 0, 0.02 / deep)

    def forward(self, x):
        x = self.embedding(x) + self.positions.weight[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


model, steps = Model(), data["steps"]
hidden = [p for n, p in model.named_parameters() if p.dim() > 1 and n.startswith("blocks.")]
rest = [p for p in model.parameters() if all(p is not q for q in hidden)]
groups = [{"params": hidden, "peak": t["hidden_learning_rate"]}]
groups += [{"params": rest, "peak": t["learning_rate"]}]
adam = torch.optim.AdamW(groups, betas=t["betas"], eps=t["eps"], weight_decay=t["weight_decay"])
tokens, warm, curve = np.load(args.data, mmap_mode="r"), round(t["warmup"] * steps), []
for step in range(steps):
    x = torch.from_numpy(tokens[step * data["batch"] : (step + 1) * data["batch"]].astype(np.int64))
    loss = F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
    way = (step - warm) / max(1, steps - warm)
    low = t["final_learning_rate"]
    rate = (step + 1) / warm if step < warm else low + (1 - low) * (1 + math.cos(math.pi * way)) / 2
    for group in groups:
        group["lr"] = rate * group["peak"]
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), t["clip"])
    adam.step()
    adam.zero_grad()
    curve.append(f"{step + 1},{(step + 1) * t['batch_tokens']},{loss.item()}\n")
with open(f"{args.out}/versions.json", "w") as file:
    json.dump({"nano": "1"}, file)
save_file(model.state_dict(), f"{args.out}/model.safetensors")
with open(f"{args.out}/curve.csv", "w") as file:
    file.write("step,tokens,loss\n" + "".join(curve))
