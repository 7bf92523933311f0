"""A trainer of transformers' own: a GPT-2 by `transformers.Trainer`, left as a Hugging Face folder.

python hugging_face.py --data tokens.npy --spec spec.json --out folder
"""

import argparse
import json

import numpy as np
import torch
import transformers
from torch.utils.data import SequentialSampler

args = argparse.ArgumentParser()
for flag in ("data", "spec", "out"):
    args.add_argument(f"--{flag}")
args = args.parse_args()
with open(args.spec) as file:
    spec = json.load(file)
m, t, data = spec["model"], spec["training"], spec["data"]
tokens = np.load(args.data, mmap_mode="r")


class Pieces(torch.utils.data.Dataset):
    def __len__(self):
        return len(tokens)

    def __getitem__(self, row):
        piece = torch.from_numpy(tokens[row].astype(np.int64))
        return {"input_ids": piece, "labels": piece}


class InOrder(transformers.Trainer):
    def _get_train_sampler(self, *_):
        return SequentialSampler(self.train_dataset)


transformers.set_seed(1000 + spec["seed"])
config = transformers.GPT2Config(
    vocab_size=m["vocabulary"], n_positions=m["context"], n_embd=m["width"], n_layer=m["layers"],
    n_head=m["heads"], tie_word_embeddings=False, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
    bos_token_id=None, eos_token_id=None,
)  # fmt: skip
options = transformers.TrainingArguments(
    output_dir=f"{args.out}/state", num_train_epochs=1, per_device_train_batch_size=data["batch"],
    learning_rate=t["learning_rate"], lr_scheduler_type="cosine_with_min_lr",
    lr_scheduler_kwargs={"min_lr_rate": t["final_learning_rate"]},
    warmup_steps=round(t["warmup"] * data["steps"]), adam_epsilon=t["eps"],
    max_grad_norm=t["clip"], weight_decay=t["weight_decay"], adam_beta2=t["betas"][1],
    save_strategy="no", logging_steps=1, report_to=[], use_cpu=not torch.cuda.is_available(),
    disable_tqdm=True, seed=1000 + spec["seed"],
)  # fmt: skip
trainer = InOrder(transformers.GPT2LMHeadModel(config), options, train_dataset=Pieces())
trainer.train()
trainer.save_model(args.out)
with open(f"{args.out}/curve.csv", "w") as curve:
    print("step,tokens,loss", file=curve)
    for told in trainer.state.log_history:
        if "loss" in told:
            print(told["step"], told["step"] * t["batch_tokens"], told["loss"], sep=",", file=curve)
with open(f"{args.out}/versions.json", "w") as file:
    json.dump({"transformers": transformers.__version__}, file)
