#!/usr/bin/python3
"""Backbones and detectors beside ONNX Runtime, on the same weights, in turn, in one run.

  tests/bench/compare_onnx.py [--vitkit build/release/apps/vitkit] [--models detr_r50,rtdetr_r18,rtdetr_r50]
                              [--batches 1] [--threads 2] [--rounds 5] [--peers ../shared/peers]

Models: swin_t, davit_t, xcit_s12 (224 x 224) of torch_backbones.py; detr_r50, rtdetr_r18, rtdetr_r50 (640 x 640) of
torch_detectors.py. They are exported to ONNX, and written as timm's and Hugging Face's checkpoints for vitkit, which first has
to give the same answers (vitkit verify). Needs Debian's python3-torch and python3-onnx, node, and the folder of peer benchmarks
(ort_bench.mjs) with its cache. Each row: medians over the rounds, and ONNX Runtime's time over vitkit's.
"""
import argparse
import json
import os
import statistics
import struct
import subprocess
import sys

import torch

import torch_backbones
import torch_detectors


def random_pictures(count, size, seed):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


class Backbone:
    size, outputs = 224, ['output']

    def __init__(self, name):
        self.name = name
        self.config = {'architecture': torch_backbones.ARCHITECTURES[name][0], 'num_classes': 1000,
                       'pretrained_cfg': {'input_size': [3, 224, 224], 'num_classes': 1000}}

    def build(self):
        return torch_backbones.build(self.name)

    def pictures(self, model):
        return random_pictures(2, self.size, 2)


class Detector:
    size, outputs = 640, ['logits', 'pred_boxes']

    def __init__(self, name):
        self.config = torch_detectors.CONFIGS[name]

    def build(self):
        return torch_detectors.randomise(torch_detectors.build(self.config, (self.size, self.size)))

    def pictures(self, model):
        """Random ones for which rounding does not decide which queries are chosen, and in which order."""
        choices = [random_pictures(1, self.size, seed) for seed in range(24)]
        return max(choices, key=model.smallest_gap) if hasattr(model, 'smallest_gap') else choices[0]


PEERS = {**{name: Backbone for name in torch_backbones.ARCHITECTURES},
         **{name: Detector for name in torch_detectors.CONFIGS}}


def write_safetensors(path, tensors):
    header, data, begin = {}, [], 0
    for name, tensor in tensors.items():
        raw = tensor.detach().contiguous().numpy().tobytes()
        kind = {torch.float32: 'F32', torch.int64: 'I64'}[tensor.dtype]
        header[name] = {'dtype': kind, 'shape': list(tensor.shape), 'data_offsets': [begin, begin + len(raw)]}
        data.append(raw)
        begin += len(raw)
    text = json.dumps(header).encode()
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(data))


def write_checkpoint(peer, folder):
    """A checkpoint's directory and a golden file of pictures and answers."""
    os.makedirs(folder, exist_ok=True)
    model = peer.build()
    write_safetensors(os.path.join(folder, 'model.safetensors'), model.state_dict())
    with open(os.path.join(folder, 'config.json'), 'w') as file:
        json.dump(peer.config, file)
    with torch.no_grad():
        images = peer.pictures(model)
        outputs = model(images)
    outputs = dict(zip(peer.outputs, outputs if isinstance(outputs, tuple) else [outputs]))
    write_safetensors(os.path.join(folder, 'golden.safetensors'), {'input': images, **outputs})


def onnx_file(name, peer, batch, cache):
    path = os.path.join(cache, f'{name}_b{batch}.onnx')
    if not os.path.exists(path):
        torch.onnx.export(peer.build(), torch.randn(batch, 3, peer.size, peer.size), path, opset_version=16,
                          input_names=['x'], output_names=peer.outputs, do_constant_folding=True)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--vitkit', default='build/release/apps/vitkit')
    parser.add_argument('--models', default='detr_r50,rtdetr_r18,rtdetr_r50')
    parser.add_argument('--batches', default='1')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--peers', default='../shared/peers')
    options = parser.parse_args()
    sys.path.insert(0, options.peers)
    import compare
    compare.node_ready()
    for name in options.models.split(','):
        if name not in PEERS:
            parser.error(f"no model '{name}': {', '.join(PEERS)}")
        peer, folder = PEERS[name](name), os.path.join(compare.cache, name)
        if not os.path.exists(os.path.join(folder, 'golden.safetensors')):
            write_checkpoint(peer, folder)
        subprocess.run([options.vitkit, 'verify', '--model', folder], check=True)
        for batch in map(int, options.batches.split(',')):
            runs, times = (20 if batch == 1 else 8) // (1 if peer.size < 640 else 2), {'vitkit': [], 'ort': []}
            for _ in range(options.rounds):
                ours = compare.last_json([options.vitkit, 'benchmark', '--model', folder, '--batch-size', str(batch),
                                          '--img-size', str(peer.size), '--threads', str(options.threads),
                                          '--runs', str(runs), '--format', 'json'])
                theirs = compare.last_json(['node', 'ort_bench.mjs', onnx_file(name, peer, batch, compare.cache),
                                            str(batch), str(options.threads), str(runs)], cwd=compare.cache)
                times['vitkit'].append(ours['median_ms'])
                times['ort'].append(theirs['median_ms'])
            ratio = statistics.median(b / a for a, b in zip(times['vitkit'], times['ort']))
            print(f"{name:10} b{batch}  vitkit {statistics.median(times['vitkit']):8.2f} ms "
                  f"({100 * ours['gflops'] / ours['peak_gflops']:3.0f} % of peak)   ort "
                  f"{statistics.median(times['ort']):8.2f} ms   x{ratio:.2f}", flush=True)


if __name__ == '__main__':
    main()
