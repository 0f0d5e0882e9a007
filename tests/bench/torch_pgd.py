"""PGD on a small ViT in plain PyTorch, beside vitkit's: the same attack on the same pictures.

    python3 tests/bench/torch_pgd.py CHECKPOINT PICTURES --vitkit build/release/apps/vitkit

CHECKPOINT is a timm folder of a ViT with a class token (config.json, model.safetensors), PICTURES a folder per class of
pictures that need no resizing. Both attack with linf steps of 2.5 eps / steps from the picture itself and keep the worst
point, so that their accuracies can be compared. PyTorch runs in the fastest of several ways (eager and traced, several
batch sizes, the patches as a convolution or a product), tried on the first pictures; weights need no gradient. The two
programs run in turns, and each one's best time counts. Processor time is given as well, which a busy machine disturbs
less; vitkit's has its start and the pictures' decoding in it.
"""
import argparse
import json
import os
import resource
import struct
import subprocess
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional


def read_checkpoint(folder):
    data = np.memmap(os.path.join(folder, 'model.safetensors'), dtype=np.uint8, mode='r')
    length = struct.unpack('<Q', data[:8].tobytes())[0]
    header = json.loads(data[8:8 + length].tobytes())
    weights = {}
    for name, entry in header.items():
        if name == '__metadata__':
            continue
        begin, end = entry['data_offsets']
        raw = np.array(data[8 + length + begin:8 + length + end]).view(np.float32)
        weights[name] = torch.from_numpy(raw).reshape(entry['shape'])
    return weights


class Block(nn.Module):
    def __init__(self, dim, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, 1e-6), nn.LayerNorm(dim, 1e-6)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.attn.qkv(self.norm1(x)).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weights = ((q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1)).softmax(-1)
        x = x + self.attn.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, width))
        return x + self.mlp.fc2(functional.gelu(self.mlp.fc1(self.norm2(x))))


class Vit(nn.Module):
    """timm's vision transformer with a class token; pixels of 0 to 1 in."""

    def __init__(self, folder, as_product):
        super().__init__()
        config, weights = json.load(open(os.path.join(folder, 'config.json'))), read_checkpoint(folder)
        args = config['model_args']
        dim, self.patch = args['embed_dim'], args['patch_size']
        self.as_product = as_product
        pixels = config['pretrained_cfg']
        mean, std = torch.tensor(pixels['mean']), torch.tensor(pixels['std'])
        self.register_buffer('factor', (1 / std).view(1, 3, 1, 1))
        self.register_buffer('offset', (-mean / std).view(1, 3, 1, 1))
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, dim, self.patch, self.patch)
        self.cls_token, self.pos_embed = nn.Parameter(weights['cls_token']), nn.Parameter(weights['pos_embed'])
        self.blocks = nn.Sequential(
            *[Block(dim, args['num_heads'], int(dim * args['mlp_ratio'])) for _ in range(args['depth'])])
        self.norm, self.head = nn.LayerNorm(dim, 1e-6), nn.Linear(dim, config['num_classes'])
        missing = self.load_state_dict(weights, strict=False)
        assert missing.missing_keys == ['factor', 'offset'] and not missing.unexpected_keys, missing
        self.eval().requires_grad_(False)

    def forward(self, pixels):
        x = pixels * self.factor + self.offset
        if self.as_product:
            b, c, h, w = x.shape
            p = self.patch
            x = x.view(b, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5).reshape(b, -1, c * p * p)
            x = functional.linear(x, self.patch_embed.proj.weight.flatten(1), self.patch_embed.proj.bias)
        else:
            x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


def pgd(model, clean, labels, eps, steps):
    """How many pictures hold; the cross-entropy of the worst points."""
    alpha, x = 2.5 * eps / steps, clean.clone()
    fooled = torch.zeros(len(labels), dtype=torch.bool)
    for step in range(steps + 1):
        last = step == steps
        x.requires_grad_(not last)
        with torch.set_grad_enabled(not last):
            logits = model(x)
            loss = functional.cross_entropy(logits, labels, reduction='sum')
        fooled |= logits.detach().argmax(1) != labels
        if last:
            break
        gradient = torch.autograd.grad(loss, x)[0]
        with torch.no_grad():
            x = torch.clamp(clean + torch.clamp(x + alpha * gradient.sign() - clean, -eps, eps), 0, 1)
    return int((~fooled).sum())


def run(model, pictures, labels, batch, options):
    began, used, held = time.perf_counter(), time.process_time(), 0
    for at in range(0, len(labels), batch):
        held += pgd(model, pictures[at:at + batch], labels[at:at + batch], options.eps, options.steps)
    return time.perf_counter() - began, time.process_time() - used, held / len(labels)


def fastest_way(pictures, labels, options):
    ways = []
    for as_product in (False, True):
        for traced in (False, True):
            for batch in (10, 25, 50, 100):
                name = f"{'traced' if traced else 'eager'}, {'product' if as_product else 'convolution'}, batch {batch}"
                if options.way not in name:
                    continue
                model = Vit(options.checkpoint, as_product)
                if traced:
                    model = torch.jit.trace(model, pictures[:batch])
                few = slice(0, max(50, batch))
                run(model, pictures[:10], labels[:10], 10, options)
                seconds = min(run(model, pictures[few], labels[few], batch, options)[1] for _ in range(2))
                ways.append((seconds, name, model, batch))
                print(f'  {name}: {len(labels[few]) / seconds:.1f} pictures per second of processor time', flush=True)
    return min(ways, key=lambda way: way[0])


def read_pictures(folder, count):
    """The pictures that vitkit takes with --limit: spread evenly over the classes in order."""
    paths = [(os.path.join(folder, name, file), k) for k, name in enumerate(sorted(os.listdir(folder)))
             for file in sorted(os.listdir(os.path.join(folder, name)))]
    chosen = [paths[i * len(paths) // count] for i in range(count)]
    pixels = np.stack([np.asarray(Image.open(path).convert('RGB')) for path, _ in chosen])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).contiguous(), torch.tensor([k for _, k in chosen])


def run_vitkit(options, batch):
    command = [options.vitkit, 'robustness', '--model', options.checkpoint, '--data', options.pictures, '--attack', 'pgd',
               '--eps', str(options.eps), '--steps', str(options.steps), '--limit', str(options.count), '--format', 'json',
               '--no-random-start', '--batch-size', str(batch), '--threads', str(options.threads), '--quiet']
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = json.loads(lines[1])
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return record['seconds'], used, record['accuracy']


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint')
    parser.add_argument('pictures')
    parser.add_argument('--vitkit', required=True)
    parser.add_argument('--count', type=int, default=500)
    parser.add_argument('--eps', type=float, default=2 / 255)
    parser.add_argument('--steps', type=int, default=20)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--way', default='', help="only ways of PyTorch with this in their name: 'eager, convolution'")
    parser.add_argument('--vitkit-batch', type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pictures, labels = read_pictures(options.pictures, options.count)
    _, name, model, batch = fastest_way(pictures, labels, options)
    print(f'PyTorch {torch.__version__}: {name}')
    ours, theirs = [], []
    for _ in range(options.rounds):
        theirs.append(run(model, pictures, labels, batch, options))
        ours.append(run_vitkit(options, options.vitkit_batch))
        print(f'  PyTorch {theirs[-1][0]:.2f} s ({theirs[-1][1]:.2f} s of processor time), '
              f'vitkit {ours[-1][0]:.2f} s ({ours[-1][1]:.2f} s)', flush=True)
    print(f'PGD-{options.steps}, {options.count} pictures, {options.threads} threads; accuracy: PyTorch {theirs[0][2]:.4f}, '
          f'vitkit {ours[0][2]:.4f}')
    for what, at in (('wall clock', 0), ('processor time', 1)):
        them, us = min(one[at] for one in theirs), min(one[at] for one in ours)
        print(f'{what}: PyTorch {them:.2f} s, vitkit {us:.2f} s: {them / us:.2f} times as fast')


if __name__ == '__main__':
    main()
