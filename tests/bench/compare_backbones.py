#!/usr/bin/python3
"""Swin-T, DaViT-T and XCiT-S12 beside ONNX Runtime, on the same weights, in turn, in one run.

  tests/bench/compare_backbones.py [--vitkit build/release/apps/vitkit] [--models swin_t,davit_t,xcit_s12]
                                   [--batches 1,8] [--rounds 5] [--peers ../shared/peers]

The models of torch_backbones.py are exported to ONNX, and written as timm checkpoints for vitkit, which first has to give the
same answers (vitkit verify). Needs Debian's python3-torch and python3-onnx, node, and the folder of peer
benchmarks (ort_bench.mjs) with its cache. Each row: medians over the rounds, and ONNX Runtime's time over vitkit's.
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


def write_safetensors(path, tensors):
    header, data = {}, b''
    for name, tensor in tensors.items():
        tensor = tensor.detach().contiguous()
        kind = {torch.float32: 'F32', torch.int64: 'I64'}[tensor.dtype]
        raw = tensor.numpy().tobytes()
        header[name] = {'dtype': kind, 'shape': list(tensor.shape), 'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + data)


def write_checkpoint(name, folder):
    """A timm directory and a golden file of two pictures."""
    os.makedirs(folder, exist_ok=True)
    model = torch_backbones.build(name)
    write_safetensors(os.path.join(folder, 'model.safetensors'), model.state_dict())
    with open(os.path.join(folder, 'config.json'), 'w') as file:
        json.dump({'architecture': torch_backbones.ARCHITECTURES[name][0], 'num_classes': 1000,
                   'pretrained_cfg': {'input_size': [3, 224, 224], 'num_classes': 1000}}, file)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        write_safetensors(os.path.join(folder, 'golden.safetensors'), {'input': images, 'output': model(images)})


def onnx_file(name, batch, cache):
    path = os.path.join(cache, f'{name}_b{batch}.onnx')
    if not os.path.exists(path):
        torch.onnx.export(torch_backbones.build(name), torch.randn(batch, 3, 224, 224), path, opset_version=16,
                          input_names=['x'], output_names=['y'], do_constant_folding=True)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--vitkit', default='build/release/apps/vitkit')
    parser.add_argument('--models', default='swin_t,davit_t,xcit_s12')
    parser.add_argument('--batches', default='1,8')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--peers', default='../shared/peers')
    options = parser.parse_args()
    sys.path.insert(0, options.peers)
    import compare
    compare.node_ready()
    for name in options.models.split(','):
        folder = os.path.join(compare.cache, name)
        if not os.path.exists(os.path.join(folder, 'golden.safetensors')):
            write_checkpoint(name, folder)
        subprocess.run([options.vitkit, 'verify', '--model', folder], check=True)
        for batch in map(int, options.batches.split(',')):
            runs, times = (20 if batch == 1 else 8), {'vitkit': [], 'ort': []}
            for _ in range(options.rounds):
                ours = compare.last_json([options.vitkit, 'benchmark', '--model', folder, '--batch-size', str(batch),
                                          '--threads', str(options.threads), '--runs', str(runs), '--format', 'json'])
                theirs = compare.last_json(['node', 'ort_bench.mjs', onnx_file(name, batch, compare.cache), str(batch),
                                            str(options.threads), str(runs)], cwd=compare.cache)
                times['vitkit'].append(ours['median_ms'])
                times['ort'].append(theirs['median_ms'])
            ratio = statistics.median(b / a for a, b in zip(times['vitkit'], times['ort']))
            print(f"{name:9} b{batch}  vitkit {statistics.median(times['vitkit']):8.2f} ms "
                  f"({100 * ours['gflops'] / ours['peak_gflops']:3.0f} % of peak)   ort "
                  f"{statistics.median(times['ort']):8.2f} ms   x{ratio:.2f}", flush=True)


if __name__ == '__main__':
    main()
