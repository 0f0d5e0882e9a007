#!/usr/bin/env python3
"""Writes the cases H1_timesformer, H1b_timesformer_joint and H1c_timesformer_space beside this file.

TimeSformer (Bertasius, Wang, Torresani 2021) stated again in plain PyTorch, from the paper's section 3 and the
behaviour of the published model: random weights under Hugging Face's names, one batch of clips, and every
intermediate, computed in float64 and stored in float32. The toolkit's input is a strip, the frames of a clip beneath
one another, and its tokens come frame after frame; the outputs are stored in that order. Attention is stored among all
tokens, as the toolkit's observers see it: zero where a token cannot look; along time the class token is by itself; in
space its row is the mean over the frames.

    python3 tests/goldens/make_timesformer.py

needs PyTorch (1.13 was used) and NumPy. The same bytes come out at every call.
"""
import json
import pathlib
import struct

import numpy as np
import torch
from torch.nn.functional import conv2d, gelu, layer_norm, linear

HERE = pathlib.Path(__file__).parent
FRAMES, SIDE, PATCH, WIDTH, HIDDEN, HEADS, DEPTH, CLASSES, EPS = 3, 12, 4, 24, 40, 2, 2, 5, 1e-6
GRID = SIDE // PATCH
PLACES = GRID * GRID


def make_weights(kind):
    generator = torch.Generator().manual_seed(71)
    weights = {}

    def tensor(name, *shape, mean=0.0, spread=0.25):
        weights[name] = mean + spread * torch.randn(shape, generator=generator)

    def dense(name, outputs, inputs):
        tensor(name + ".weight", outputs, inputs)
        tensor(name + ".bias", outputs)

    def norm(name):
        tensor(name + ".weight", WIDTH, mean=1.0)
        tensor(name + ".bias", WIDTH)

    root = "timesformer.embeddings."
    tensor(root + "cls_token", 1, 1, WIDTH)
    tensor(root + "position_embeddings", 1, 1 + PLACES, WIDTH)
    if kind != "space_only":
        tensor(root + "time_embeddings", 1, FRAMES, WIDTH)
    tensor(root + "patch_embeddings.projection.weight", WIDTH, 3, PATCH, PATCH)
    tensor(root + "patch_embeddings.projection.bias", WIDTH)
    for i in range(DEPTH):
        layer = f"timesformer.encoder.layer.{i}."
        parts = [("attention", "layernorm_before")]
        if kind == "divided_space_time":
            parts.append(("temporal_attention", "temporal_layernorm"))
            dense(layer + "temporal_dense", WIDTH, WIDTH)
        for part, before in parts:
            norm(layer + before)
            dense(layer + part + ".attention.qkv", 3 * WIDTH, WIDTH)
            dense(layer + part + ".output.dense", WIDTH, WIDTH)
        norm(layer + "layernorm_after")
        dense(layer + "intermediate.dense", HIDDEN, WIDTH)
        dense(layer + "output.dense", WIDTH, HIDDEN)
    norm("timesformer.layernorm")
    dense("classifier", CLASSES, WIDTH)
    return weights


class Restated:
    """Tokens of a clip are kept as a class token [B, C] and patches [B, T, N, C]."""

    def __init__(self, weights, kind):
        self.w = {name: value.double() for name, value in weights.items()}
        self.kind = kind
        self.seen = {}

    def dense(self, name, x):
        return linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def norm(self, name, x):
        return layer_norm(x, (WIDTH,), self.w[name + ".weight"], self.w[name + ".bias"], EPS)

    def attend(self, name, x):
        """x [S, n, C] -> what attention adds, and its probabilities [S, H, n, n]."""
        sequences, length, _ = x.shape
        qkv = self.dense(name + ".attention.qkv", x).view(sequences, length, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        probs = torch.softmax(q @ k.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5, dim=-1)
        mixed = (probs @ v).transpose(1, 2).reshape(sequences, length, WIDTH)
        return self.dense(name + ".output.dense", mixed), probs

    def mlp(self, layer, x):
        hidden = gelu(self.dense(layer + "intermediate.dense", self.norm(layer + "layernorm_after", x)))
        return x + self.dense(layer + "output.dense", hidden)

    def embed(self, clips):
        batch = clips.shape[0]
        root = "timesformer.embeddings."
        pictures = clips.reshape(batch * FRAMES, 3, SIDE, SIDE)
        projection = root + "patch_embeddings.projection."
        patches = conv2d(pictures, self.w[projection + "weight"], self.w[projection + "bias"], stride=PATCH)
        patches = patches.flatten(2).transpose(1, 2).reshape(batch, FRAMES, PLACES, WIDTH)
        table = self.w[root + "position_embeddings"][0]
        patches = patches + table[1:]
        if self.kind != "space_only":
            patches = patches + self.w[root + "time_embeddings"][0][:, None, :]
        return (self.w[root + "cls_token"][0, 0] + table[0]).expand(batch, WIDTH), patches

    @staticmethod
    def flat(cls, patches):
        return torch.cat([cls[:, None], patches.flatten(1, 2)], dim=1)

    @staticmethod
    def among_all(probs, of_frames):
        """[B, parts, H, n, n] -> [B, H, 1 + T N, 1 + T N]."""
        batch = probs.shape[0]
        wide = torch.zeros(batch, HEADS, 1 + FRAMES * PLACES, 1 + FRAMES * PLACES, dtype=probs.dtype)
        if not of_frames:
            wide[:, :, 0, 0] = 1
            for n in range(PLACES):
                rows = 1 + n + PLACES * torch.arange(FRAMES)
                wide[:, :, rows[:, None], rows] = probs[:, n]
            return wide
        for t in range(FRAMES):
            rows = 1 + t * PLACES + torch.arange(PLACES)
            wide[:, :, rows[:, None], rows] = probs[:, t, :, 1:, 1:]
            wide[:, :, rows, 0] = probs[:, t, :, 1:, 0]
            wide[:, :, 0, rows] = probs[:, t, :, 0, 1:] / FRAMES
            wide[:, :, 0, 0] += probs[:, t, :, 0, 0] / FRAMES
        return wide

    def divided(self, i, cls, patches):
        layer = f"timesformer.encoder.layer.{i}."
        batch = cls.shape[0]
        places = patches.transpose(1, 2).reshape(batch * PLACES, FRAMES, WIDTH)
        found, probs = self.attend(layer + "temporal_attention", self.norm(layer + "temporal_layernorm", places))
        self.seen[f"temporal_attentions.{i}"] = self.among_all(probs.unflatten(0, (batch, PLACES)), False)
        found = self.dense(layer + "temporal_dense", found)
        patches = patches + found.reshape(batch, PLACES, FRAMES, WIDTH).transpose(1, 2)
        frames = torch.cat([cls[:, None, None].expand(batch, FRAMES, 1, WIDTH), patches], dim=2).flatten(0, 1)
        found, probs = self.attend(layer + "attention", self.norm(layer + "layernorm_before", frames))
        self.seen[f"attentions.{i}"] = self.among_all(probs.unflatten(0, (batch, FRAMES)), True)
        found = found.unflatten(0, (batch, FRAMES))
        cls, patches = cls + found[:, :, 0].mean(1), patches + found[:, :, 1:]
        return self.mlp(layer, cls), self.mlp(layer, patches)

    def plain(self, i, x):
        layer = f"timesformer.encoder.layer.{i}."
        found, probs = self.attend(layer + "attention", self.norm(layer + "layernorm_before", x))
        return self.mlp(layer, x + found), probs

    def run(self, clips):
        """clips [B, T, 3, SIDE, SIDE]."""
        batch = clips.shape[0]
        cls, patches = self.embed(clips)
        self.seen["embeddings"] = self.flat(cls, patches)
        if self.kind == "divided_space_time":
            for i in range(DEPTH):
                cls, patches = self.divided(i, cls, patches)
                self.seen[f"hidden.{i}"] = self.flat(cls, patches)
            x = self.flat(cls, patches)
        elif self.kind == "joint_space_time":
            x = self.flat(cls, patches)
            for i in range(DEPTH):
                x, self.seen[f"attentions.{i}"] = self.plain(i, x)
                self.seen[f"hidden.{i}"] = x
        else:
            x = torch.cat([cls[:, None, None].expand(batch, FRAMES, 1, WIDTH), patches], dim=2).flatten(0, 1)
            for i in range(DEPTH):
                x, probs = self.plain(i, x)
                self.seen[f"attentions.{i}"] = self.among_all(probs.unflatten(0, (batch, FRAMES)), True)
                self.seen[f"hidden.{i}"] = x
            x = x.unflatten(0, (batch, FRAMES)).mean(1)
        self.seen["features"] = self.norm("timesformer.layernorm", x)
        self.seen["logits"] = self.dense("classifier", self.seen["features"][:, 0])
        return self.seen


def write_safetensors(path, tensors):
    header, blob = {}, b""
    for name, value in sorted(tensors.items()):
        data = np.ascontiguousarray(value.numpy(), dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)


def write_case(name, kind):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    weights = make_weights(kind)
    clips = torch.randn((2, FRAMES, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(72))
    with torch.no_grad():
        seen = Restated(weights, kind).run(clips.double())
    strip = clips.transpose(1, 2).reshape(2, 3, FRAMES * SIDE, SIDE)
    write_safetensors(folder / "model.safetensors", weights)
    write_safetensors(folder / "golden.safetensors", {"input": strip, **{k: v.float() for k, v in seen.items()}})
    config = {
        "architectures": ["TimesformerForVideoClassification"], "model_type": "timesformer", "attention_type": kind,
        "image_size": SIDE, "patch_size": PATCH, "num_channels": 3, "num_frames": FRAMES, "hidden_size": WIDTH,
        "num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "intermediate_size": HIDDEN, "hidden_act": "gelu",
        "layer_norm_eps": EPS, "qkv_bias": True, "id2label": {str(i): f"LABEL_{i}" for i in range(CLASSES)}}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    # Twenty times what float32 rounds off on the way, as the other cases have it: 5e-7 of the largest value.
    atol = {k: float(f"{1e-5 * max(1.0, v.abs().max().item()):.2g}") for k, v in seen.items()}
    case = {
        "case": name, "source": "tests/goldens/make_timesformer.py (PyTorch, float64)",
        "tensors": {k: list(v.shape) for k, v in seen.items()}, "atol": atol,
        "notes": "input: strips, frames beneath one another; tokens frame after frame, class token first"}
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    write_case("H1_timesformer", "divided_space_time")
    write_case("H1b_timesformer_joint", "joint_space_time")
    write_case("H1c_timesformer_space", "space_only")
