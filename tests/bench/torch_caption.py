"""ViT-GPT2 in plain PyTorch, tuned: what vitkit's captions are measured against.

    torch_caption.py FOLDER --write                       a checkpoint with random weights, in Hugging Face's form
    torch_caption.py FOLDER --against CAPTION_BENCH       the same caption from both, in turns

The network is ViT-B/16 at 224 and GPT-2 small with cross-attention; a picture's caption is 20 words by 4 beams, its end
forbidden, so that both do the same steps. PyTorch has its own key/value cache in memory that is taken once, the
picture's keys and values are shared by the beams, and the first step is one row. The fastest of several ways to run it
is compared: weights as torch.nn.Linear has them, weights transposed, a script, a frozen script; the encoder is traced
and optimised. (oneDNN's products with packed weights, through torch.utils.mkldnn, were slower for four rows.)
"""
import argparse
import json
import os
import struct
import subprocess
import time
from typing import List

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

DIM, HEADS, DEPTH, VOCAB, POSITIONS, WORDS, BEAMS, END = 768, 12, 12, 50257, 1024, 20, 4, 50256


def tensor_names():
    """Names and shapes as the library stores them: Conv1D is [in, out]."""
    yield 'encoder.embeddings.cls_token', (1, 1, DIM)
    yield 'encoder.embeddings.position_embeddings', (1, 197, DIM)
    yield 'encoder.embeddings.patch_embeddings.projection.weight', (DIM, 3, 16, 16)
    yield 'encoder.embeddings.patch_embeddings.projection.bias', (DIM,)
    for i in range(DEPTH):
        layer = f'encoder.encoder.layer.{i}.'
        for part in ('query', 'key', 'value'):
            yield layer + f'attention.attention.{part}.weight', (DIM, DIM)
            yield layer + f'attention.attention.{part}.bias', (DIM,)
        for part, out, inputs in (('attention.output', DIM, DIM), ('intermediate', 4 * DIM, DIM), ('output', DIM, 4 * DIM)):
            yield layer + part + '.dense.weight', (out, inputs)
            yield layer + part + '.dense.bias', (out,)
        for part in ('layernorm_before', 'layernorm_after'):
            yield layer + part + '.weight', (DIM,)
            yield layer + part + '.bias', (DIM,)
    yield 'encoder.layernorm.weight', (DIM,)
    yield 'encoder.layernorm.bias', (DIM,)
    yield 'decoder.transformer.wte.weight', (VOCAB, DIM)
    yield 'decoder.transformer.wpe.weight', (POSITIONS, DIM)
    for i in range(DEPTH):
        layer = f'decoder.transformer.h.{i}.'
        for part, inputs, out in (('attn.c_attn', DIM, 3 * DIM), ('attn.c_proj', DIM, DIM),
                                  ('crossattention.c_attn', DIM, 2 * DIM), ('crossattention.q_attn', DIM, DIM),
                                  ('crossattention.c_proj', DIM, DIM), ('mlp.c_fc', DIM, 4 * DIM),
                                  ('mlp.c_proj', 4 * DIM, DIM)):
            yield layer + part + '.weight', (inputs, out)
            yield layer + part + '.bias', (out,)
        for part in ('ln_1', 'ln_2', 'ln_cross_attn'):
            yield layer + part + '.weight', (DIM,)
            yield layer + part + '.bias', (DIM,)
    yield 'decoder.transformer.ln_f.weight', (DIM,)
    yield 'decoder.transformer.ln_f.bias', (DIM,)


def random_tensor(name, shape, generator):
    if len(shape) == 1:
        near = 1.0 if name.endswith('weight') else 0.0
        return near + 0.1 * torch.randn(shape, generator=generator)
    fan_in = np.prod(shape[1:]) if 'encoder' in name.split('.')[0] else shape[0]
    # Words that are near their own answers would say themselves again and again.
    scales = {'wte': 0.05, 'wpe': 0.5, 'token': 0.2, 'position_embeddings': 0.2}
    scale = next((scale for part, scale in scales.items() if part in name), fan_in ** -0.5)
    return scale * torch.randn(shape, generator=generator)


def write_checkpoint(folder):
    os.makedirs(folder, exist_ok=True)
    encoder = {'model_type': 'vit', 'image_size': 224, 'layer_norm_eps': 1e-12}
    decoder = {'model_type': 'gpt2', 'add_cross_attention': True}
    config = {'model_type': 'vision-encoder-decoder', 'encoder': encoder, 'decoder': decoder,
              'decoder_start_token_id': END, 'eos_token_id': END, 'pad_token_id': END}
    with open(os.path.join(folder, 'config.json'), 'w') as file:
        json.dump(config, file)
    header, at = {}, 0
    for name, shape in tensor_names():
        size = 4 * int(np.prod(shape))
        header[name] = {'dtype': 'F32', 'shape': list(shape), 'data_offsets': [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 64)
    generator = torch.Generator().manual_seed(1)
    with open(os.path.join(folder, 'model.safetensors'), 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for name, shape in tensor_names():
            file.write(random_tensor(name, shape, generator).numpy().tobytes())
    torch.randn((1, 3, 224, 224), generator=generator).numpy().tofile(os.path.join(folder, 'picture.f32'))


def read_checkpoint(folder):
    data = np.memmap(os.path.join(folder, 'model.safetensors'), dtype=np.uint8, mode='r')
    length = struct.unpack('<Q', data[:8].tobytes())[0]
    header = json.loads(data[8:8 + length].tobytes())
    weights = {}
    for name, entry in header.items():
        begin, end = entry['data_offsets']
        raw = np.array(data[8 + length + begin:8 + length + end]).view(np.float32)
        weights[name] = torch.from_numpy(raw).reshape(entry['shape'])
    return weights


class Product(nn.Module):
    """y = x W + b with W [in, out] in memory as it is multiplied."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.contiguous(), False), nn.Parameter(bias, False)

    def forward(self, x):
        return torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight).reshape(x.shape[:-1] + (-1,))


def product(weight_in_out, bias, transposed):
    if transposed:
        return Product(weight_in_out, bias)
    linear = nn.Linear(*weight_in_out.shape)
    linear.weight, linear.bias = nn.Parameter(weight_in_out.t().contiguous(), False), nn.Parameter(bias, False)
    return linear


def norm(weights, name, eps):
    layer = nn.LayerNorm(DIM, eps)
    layer.weight, layer.bias = nn.Parameter(weights[name + '.weight'], False), nn.Parameter(weights[name + '.bias'], False)
    return layer


def heads_of(x):
    return x.view(x.shape[0], x.shape[1], HEADS, DIM // HEADS).transpose(1, 2)


class EncoderLayer(nn.Module):
    def __init__(self, w, name):
        super().__init__()
        a = name + 'attention.attention.'
        qkv = [a + part for part in ('query', 'key', 'value')]
        self.qkv = product(torch.cat([w[p + '.weight'] for p in qkv]).t(), torch.cat([w[p + '.bias'] for p in qkv]), False)
        self.out = product(w[name + 'attention.output.dense.weight'].t(), w[name + 'attention.output.dense.bias'], False)
        self.fc1 = product(w[name + 'intermediate.dense.weight'].t(), w[name + 'intermediate.dense.bias'], False)
        self.fc2 = product(w[name + 'output.dense.weight'].t(), w[name + 'output.dense.bias'], False)
        self.norm1, self.norm2 = norm(w, name + 'layernorm_before', 1e-12), norm(w, name + 'layernorm_after', 1e-12)

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        scores = torch.matmul(heads_of(q) * 0.125, heads_of(k).transpose(-2, -1))
        mixed = torch.matmul(scores.softmax(-1), heads_of(v)).transpose(1, 2).reshape(x.shape)
        x = x + self.out(mixed)
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Encoder(nn.Module):
    def __init__(self, w):
        super().__init__()
        e = 'encoder.embeddings.'
        self.patch = nn.Conv2d(3, DIM, 16, 16)
        self.patch.weight = nn.Parameter(w[e + 'patch_embeddings.projection.weight'], False)
        self.patch.bias = nn.Parameter(w[e + 'patch_embeddings.projection.bias'], False)
        self.cls = nn.Parameter(w[e + 'cls_token'], False)
        self.positions = nn.Parameter(w[e + 'position_embeddings'], False)
        self.layers = nn.Sequential(*[EncoderLayer(w, f'encoder.encoder.layer.{i}.') for i in range(DEPTH)])
        self.norm = norm(w, 'encoder.layernorm', 1e-12)

    def forward(self, picture):
        x = self.patch(picture).flatten(2).transpose(1, 2)
        return self.norm(self.layers(torch.cat([self.cls, x], 1) + self.positions))


class DecoderLayer(nn.Module):
    def __init__(self, w, name, transposed):
        super().__init__()

        def conv1d(part):
            return product(w[name + part + '.weight'], w[name + part + '.bias'], transposed)

        self.qkv, self.out = conv1d('attn.c_attn'), conv1d('attn.c_proj')
        self.q, self.kv, self.cross_out = (conv1d('crossattention.' + part) for part in ('q_attn', 'c_attn', 'c_proj'))
        self.fc1, self.fc2 = conv1d('mlp.c_fc'), conv1d('mlp.c_proj')
        self.norm1, self.norm2 = norm(w, name + 'ln_1', 1e-5), norm(w, name + 'ln_2', 1e-5)
        self.norm_cross = norm(w, name + 'ln_cross_attn', 1e-5)

    def forward(self, x, keys, values, length: int, picture_keys, picture_values):
        """x [R, C]; keys and values [R, H, words, D], written at `length`; the picture's [H, D, M] and [H, M, D]."""
        rows = x.shape[0]
        q, k, v = self.qkv(self.norm1(x)).view(rows, 3, 12, 1, 64).unbind(1)
        keys[:, :, length:length + 1] = k
        values[:, :, length:length + 1] = v
        scores = torch.matmul(q * 0.125, keys[:, :, :length + 1].transpose(-2, -1))
        x = x + self.out(torch.matmul(scores.softmax(-1), values[:, :, :length + 1]).reshape(rows, 768))
        q = self.q(self.norm_cross(x)).view(rows, 12, 64).transpose(0, 1)
        mixed = torch.bmm(torch.bmm(q * 0.125, picture_keys).softmax(-1), picture_values)
        x = x + self.cross_out(mixed.transpose(0, 1).reshape(rows, 768))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x)), approximate='tanh'))


class Decoder(nn.Module):
    def __init__(self, w, transposed):
        super().__init__()
        self.words = nn.Parameter(w['decoder.transformer.wte.weight'], False)
        self.places = nn.Parameter(w['decoder.transformer.wpe.weight'], False)
        self.layers = nn.ModuleList(DecoderLayer(w, f'decoder.transformer.h.{i}.', transposed) for i in range(DEPTH))
        self.norm = norm(w, 'decoder.transformer.ln_f', 1e-5)
        self.head = product(self.words.t(), torch.zeros(VOCAB), transposed)

    def forward(self, ids, keys, values, length: int, picture_keys, picture_values):
        """keys and values [layers, R, H, words, D]"""
        x = self.words[ids] + self.places[length]
        for i, layer in enumerate(self.layers):
            x = layer(x, keys[i], values[i], length, picture_keys[i], picture_values[i])
        return self.head(self.norm(x))

    @torch.jit.export
    def picture(self, tokens):
        """The picture's keys [layers, H, D, M] and values [layers, H, M, D] of every layer."""
        keys: List[torch.Tensor] = []
        values: List[torch.Tensor] = []
        for layer in self.layers:
            k, v = layer.kv(tokens[0]).view(-1, 2, 12, 64).unbind(1)
            keys.append(k.permute(1, 2, 0).contiguous())
            values.append(v.transpose(0, 1).contiguous())
        return torch.stack(keys), torch.stack(values)


class Captioner:
    def __init__(self, encoder, decoder):
        self.encoder, self.decoder = encoder, decoder
        shape = (DEPTH, BEAMS, HEADS, WORDS + 1, DIM // HEADS)
        self.keys, self.values = torch.zeros(shape), torch.zeros(shape)

    def __call__(self, picture):
        picture_keys, picture_values = self.decoder.picture(self.encoder(picture))
        keys, values = self.keys, self.values
        ids = torch.full((BEAMS, WORDS + 1), END)
        logits = self.decoder(ids[:1, 0], keys[:, :1], values[:, :1], 0, picture_keys, picture_values)
        sums = torch.zeros(1)
        for length in range(1, WORDS + 1):
            scores = logits.log_softmax(-1)
            scores[:, END] = -float('inf')
            best, chosen = (scores + sums[:, None]).view(-1).topk(2 * BEAMS)
            sums, chosen = best[:BEAMS], chosen[:BEAMS]
            parents, words = chosen // VOCAB, chosen % VOCAB
            ids = ids[parents] if length > 1 else ids
            ids[:, length] = words
            if length == WORDS:
                break
            keys[:, :, :, :length] = keys[:, parents, :, :length]
            values[:, :, :, :length] = values[:, parents, :, :length]
            logits = self.decoder(words, keys, values, length, picture_keys, picture_values)
        return ids[0].tolist(), (sums[0] / WORDS).item()


def candidates(weights):
    """Ways to run it: (name, captioner), one after the other, because each holds the weights anew."""
    encoder = torch.jit.optimize_for_inference(torch.jit.trace(Encoder(weights).eval(), torch.zeros(1, 3, 224, 224)))
    yield 'linear', Captioner(encoder, Decoder(weights, False).eval())
    yield 'transposed', Captioner(encoder, Decoder(weights, True).eval())
    scripted = torch.jit.script(Decoder(weights, False).eval())
    yield 'script', Captioner(encoder, scripted)
    yield 'frozen script', Captioner(encoder, torch.jit.freeze(scripted, preserved_attrs=['picture']))


def timed(run):
    begin = time.perf_counter()
    result = run()
    return 1e3 * (time.perf_counter() - begin), result


def fastest(weights, picture):
    best = None
    for name, captioner in candidates(weights):
        for _ in range(2):
            captioner(picture)  # scripts are compiled, memory is touched
        milliseconds = min(timed(lambda: captioner(picture))[0] for _ in range(2))
        print(f'torch {name}: {milliseconds:.1f} ms', flush=True)
        if best is None or milliseconds < best[0]:
            best = milliseconds, name, captioner
    return best[1:]


def compare(folder, bench, rounds, threads):
    torch.set_num_threads(threads)
    picture = torch.from_numpy(np.fromfile(os.path.join(folder, 'picture.f32'), dtype=np.float32)).view(1, 3, 224, 224)
    with torch.no_grad():
        name, captioner = fastest(read_checkpoint(folder), picture)
        ours = subprocess.Popen([bench, folder, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def ask():
            ours.stdin.write('caption\n')
            ours.stdin.flush()
            return json.loads(ours.stdout.readline())

        theirs, answer = captioner(picture), ask()
        assert answer['ids'] == theirs[0], (answer['ids'], theirs[0])
        assert abs(answer['score'] - theirs[1]) < 1e-4, (answer['score'], theirs[1])
        print('the same caption from both:', theirs[0])
        times = []
        for _ in range(rounds):
            times.append((timed(lambda: captioner(picture))[0], ask()['ms']))
        ours.stdin.close()
        print(ours.stdout.read(), end='')
    torch_ms, vitkit_ms = (np.array(column) for column in zip(*times))
    print(f'torch ({name}): median {np.median(torch_ms):.1f} ms, least {torch_ms.min():.1f}')
    print(f'vitkit: median {np.median(vitkit_ms):.1f} ms, least {vitkit_ms.min():.1f}')
    print(f'ratio per round: median {np.median(torch_ms / vitkit_ms):.2f}, least {(torch_ms / vitkit_ms).min():.2f}; '
          f'of the least times {torch_ms.min() / vitkit_ms.min():.2f}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder')
    parser.add_argument('--write', action='store_true')
    parser.add_argument('--against')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--threads', type=int, default=2)
    arguments = parser.parse_args()
    if arguments.write:
        write_checkpoint(arguments.folder)
    if arguments.against:
        compare(arguments.folder, arguments.against, arguments.rounds, arguments.threads)


if __name__ == '__main__':
    main()
