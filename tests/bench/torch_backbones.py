"""Swin, DaViT and XCiT in plain PyTorch, with timm's parameter names: what vitkit's backbones are measured against.

Each is written the way its authors and timm write it, for inference at a fixed size, so that its ONNX export is the
graph that users deploy. Only what the compared variants need is here.
"""
import math

import torch
from torch import nn


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


def heads_of(qkv, heads):
    """[B, N, 3 C] -> three of [B, H, N, D]"""
    batch, tokens, width = qkv.shape
    return qkv.reshape(batch, tokens, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4).unbind(0)


def split_windows(x, window):
    """[B, h, w, C] -> [B * windows, window^2, C]"""
    b, h, w, c = x.shape
    x = x.view(b, h // window, window, w // window, window, c).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(-1, window * window, c)


def join_windows(x, window, h, w):
    x = x.view(-1, h // window, w // window, window, window, x.shape[-1]).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(x.shape[0], h, w, x.shape[-1])


class WindowAttention(nn.Module):
    """Attention within windows; `bias`: Swin's table of relative positions."""

    def __init__(self, dim, heads, window, bias):
        super().__init__()
        self.heads, self.window, self.scale = heads, window, (dim // heads) ** -0.5
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        if bias:
            self.relative_position_bias_table = nn.Parameter(0.02 * torch.randn((2 * window - 1) ** 2, heads))
            at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing='ij')).flatten(1)
            apart = (at[:, :, None] - at[:, None, :]) + window - 1
            self.index = apart[0] * (2 * window - 1) + apart[1]

    def forward(self, x, mask=None):
        q, k, v = heads_of(self.qkv(x), self.heads)
        scores = (q * self.scale) @ k.transpose(-2, -1)
        if hasattr(self, 'relative_position_bias_table'):
            scores = scores + self.relative_position_bias_table[self.index].permute(2, 0, 1)[None]
        if mask is not None:
            windows, n = mask.shape[0], x.shape[1]
            scores = (scores.view(-1, windows, self.heads, n, n) + mask[None, :, None]).view(-1, self.heads, n, n)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape))


def shift_mask(size, window, shift):
    region = torch.zeros(1, size, size, 1)
    parts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for i, rows in enumerate(parts):
        for j, cols in enumerate(parts):
            region[:, rows, cols] = 3 * i + j
    region = split_windows(region, window).squeeze(-1)
    return torch.where(region[:, None] != region[:, :, None], torch.tensor(-100.0), torch.tensor(0.0))


class SwinBlock(nn.Module):
    def __init__(self, dim, heads, size, window, shifted):
        super().__init__()
        self.window, self.shift = window, window // 2 if shifted and size > window else 0
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn, self.mlp = WindowAttention(dim, heads, window, bias=True), Mlp(dim, 4 * dim)
        self.mask = shift_mask(size, window, self.shift) if self.shift else None

    def forward(self, x):
        b, h, w, c = x.shape
        y = self.norm1(x)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = join_windows(self.attn(split_windows(y, self.window), self.mask), self.window, h, w)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        x = x + y
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * dim), nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        return self.reduction(self.norm(torch.cat(
            [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)))


class SwinStage(nn.Module):
    def __init__(self, dim, depth, heads, size, window, downsample):
        super().__init__()
        self.downsample = PatchMerging(dim // 2) if downsample else nn.Identity()
        self.blocks = nn.Sequential(*(SwinBlock(dim, heads, size, window, i % 2 == 1) for i in range(depth)))

    def forward(self, x):
        return self.blocks(self.downsample(x))


class PatchEmbed(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj, self.norm = nn.Conv2d(3, dim, 4, 4), nn.LayerNorm(dim)

    def forward(self, x):
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class Head(nn.Module):
    """timm's classifier heads: the mean over the map, then fc; `norm` comes between for DaViT."""

    def __init__(self, dim, norm):
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-5) if norm else nn.Identity()
        self.fc = nn.Linear(dim, 1000)

    def forward(self, x, axes):
        return self.fc(self.norm(x.mean(axes)))


class Swin(nn.Module):
    def __init__(self, dim=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window=7, size=224):
        super().__init__()
        self.patch_embed = PatchEmbed(dim)
        self.layers = nn.Sequential(*(
            SwinStage(dim << i, depths[i], heads[i], size // 4 >> i, window, i > 0) for i in range(len(depths))))
        width = dim << (len(depths) - 1)
        self.norm, self.head = nn.LayerNorm(width), Head(width, norm=False)

    def forward(self, x):
        return self.head(self.norm(self.layers(self.patch_embed(x))), (1, 2))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvPosEnc(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x):
        return x + self.proj(x)


class ChannelAttention(nn.Module):
    def __init__(self, dim, groups):
        super().__init__()
        self.groups, self.scale = groups, (dim // groups) ** -0.5
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = heads_of(self.qkv(x), self.groups)
        scores = (k * self.scale).transpose(-1, -2) @ v
        y = (scores.softmax(-1) @ q.transpose(-1, -2)).transpose(-1, -2)
        return self.proj(y.transpose(1, 2).reshape(x.shape))


class DavitBlock(nn.Module):
    """A spatial block (attention in windows) or a channel block; the map is [B, C, h, w] outside."""

    def __init__(self, dim, heads, window, channel):
        super().__init__()
        self.cpe1, self.cpe2 = ConvPosEnc(dim), ConvPosEnc(dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-5), nn.LayerNorm(dim, eps=1e-5)
        self.attn = ChannelAttention(dim, heads) if channel else WindowAttention(dim, heads, window, bias=False)
        self.mlp, self.channel, self.window = Mlp(dim, 4 * dim), channel, window

    def forward(self, x):
        b, c, h, w = x.shape
        x = self.cpe1(x).flatten(2).transpose(1, 2)
        y = self.norm1(x)
        if self.channel:
            y = self.attn(y)
        else:
            y = self.attn(split_windows(y.view(b, h, w, c), self.window))
            y = join_windows(y, self.window, h, w).view(b, h * w, c)
        x = (x + y).transpose(1, 2).view(b, c, h, w)
        x = self.cpe2(x).flatten(2).transpose(1, 2)
        x = x + self.mlp(self.norm2(x))
        return x.transpose(1, 2).view(b, c, h, w)


class DavitStep(nn.Module):
    """Stem or downsampling: convolution and norm, in the order that each has."""

    def __init__(self, inputs, outputs, kernel, stride, stem):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=3 if stem else 0)
        self.norm, self.stem = LayerNorm2d(outputs if stem else inputs, eps=1e-5), stem

    def forward(self, x):
        return self.norm(self.conv(x)) if self.stem else self.conv(self.norm(x))


class DavitStage(nn.Module):
    def __init__(self, inputs, dim, depth, heads, window, downsample):
        super().__init__()
        self.downsample = DavitStep(inputs, dim, 2, 2, stem=False) if downsample else nn.Identity()
        self.blocks = nn.Sequential(*(nn.Sequential(DavitBlock(dim, heads, window, channel=False),
                                                    DavitBlock(dim, heads, window, channel=True))
                                      for _ in range(depth)))

    def forward(self, x):
        return self.blocks(self.downsample(x))


class Davit(nn.Module):
    def __init__(self, dims=(96, 192, 384, 768), depths=(1, 1, 3, 1), heads=(3, 6, 12, 24), window=7):
        super().__init__()
        self.stem = DavitStep(3, dims[0], 7, 4, stem=True)
        self.stages = nn.Sequential(*(DavitStage(dims[max(0, i - 1)], dims[i], depths[i], heads[i], window, i > 0)
                                      for i in range(len(dims))))
        self.head = Head(dims[-1], norm=True)

    def forward(self, x):
        return self.head(self.stages(self.stem(x)), (2, 3))


class CrossCovarianceAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.temperature = heads, nn.Parameter(1 + 0.1 * torch.rand(heads, 1, 1))
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = (t.transpose(-2, -1) for t in heads_of(self.qkv(x), self.heads))
        scores = nn.functional.normalize(q, dim=-1) @ nn.functional.normalize(k, dim=-1).transpose(-2, -1)
        y = (scores * self.temperature).softmax(-1) @ v
        return self.proj(y.permute(0, 3, 1, 2).reshape(x.shape))


class LocalPatchInteraction(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(dim, dim, 3, padding=1, groups=dim) for _ in range(2))
        self.act, self.bn = nn.GELU(), nn.BatchNorm2d(dim)

    def forward(self, x, side):
        b, n, c = x.shape
        y = self.conv2(self.bn(self.act(self.conv1(x.transpose(1, 2).view(b, c, side, side)))))
        return y.view(b, c, n).transpose(1, 2)


class XcitBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim, eps=1e-6) for _ in range(3))
        self.gamma1, self.gamma2, self.gamma3 = (nn.Parameter(torch.rand(dim)) for _ in range(3))
        self.attn, self.local_mp = CrossCovarianceAttention(dim, heads), LocalPatchInteraction(dim)
        self.mlp = Mlp(dim, 4 * dim)

    def forward(self, x, side):
        x = x + self.gamma1 * self.attn(self.norm1(x))
        x = x + self.gamma3 * self.local_mp(self.norm3(x), side)
        return x + self.gamma2 * self.mlp(self.norm2(x))


class ClassAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.q, self.k, self.v, self.proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x):
        b, n, c = x.shape
        split = lambda t: t.reshape(b, -1, self.heads, c // self.heads).transpose(1, 2)
        q, k, v = split(self.q(x[:, :1])) * self.scale, split(self.k(x)), split(self.v(x))
        return self.proj(((q @ k.transpose(-2, -1)).softmax(-1) @ v).transpose(1, 2).reshape(b, 1, c))


class ClassAttentionBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.gamma1, self.gamma2 = (nn.Parameter(torch.rand(dim)) for _ in range(2))
        self.attn, self.mlp = ClassAttention(dim, heads), Mlp(dim, 4 * dim)

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.gamma1 * torch.cat([self.attn(y), y[:, 1:]], 1)
        x = self.norm2(x)
        return x + torch.cat([self.gamma2 * self.mlp(x[:, :1]), x[:, 1:]], 1)


class FourierPositions(nn.Module):
    """A constant of the grid's size, projected; computed once, as an exporter would fold it."""

    def __init__(self, dim, side, hidden=32, temperature=10000.0):
        super().__init__()
        self.token_projection = nn.Conv2d(2 * hidden, dim, 1)
        at = torch.arange(1, side + 1) / (side + 1e-6) * 2 * math.pi
        rate = temperature ** (2 * torch.div(torch.arange(hidden), 2, rounding_mode='floor') / hidden)
        waves = at[:, None] / rate
        waves = torch.stack([waves[:, 0::2].sin(), waves[:, 1::2].cos()], 2).flatten(1)
        y, x = waves[:, None].expand(side, side, hidden), waves[None].expand(side, side, hidden)
        self.waves = torch.cat([y, x], 2).permute(2, 0, 1)[None]

    def forward(self):
        return self.token_projection(self.waves).flatten(2).transpose(1, 2)


def conv_norm(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs))


class ConvPatchEmbed(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = nn.Sequential(conv_norm(3, dim // 8), nn.GELU(), conv_norm(dim // 8, dim // 4), nn.GELU(),
                                  conv_norm(dim // 4, dim // 2), nn.GELU(), conv_norm(dim // 2, dim))

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Xcit(nn.Module):
    def __init__(self, dim=384, depth=12, heads=8, size=224):
        super().__init__()
        self.side = size // 16
        self.patch_embed, self.pos_embed = ConvPatchEmbed(dim), FourierPositions(dim, self.side)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self.blocks = nn.ModuleList(XcitBlock(dim, heads) for _ in range(depth))
        self.cls_attn_blocks = nn.Sequential(*(ClassAttentionBlock(dim, heads) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, 1000)

    def forward(self, x):
        x = self.patch_embed(x) + self.pos_embed()
        for block in self.blocks:
            x = block(x, self.side)
        x = self.cls_attn_blocks(torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1))
        return self.head(self.norm(x)[:, 0])


ARCHITECTURES = {
    'swin_t': ('swin_tiny_patch4_window7_224', Swin),
    'davit_t': ('davit_tiny', Davit),
    'xcit_s12': ('xcit_small_12_p16_224', Xcit),
}


def build(name):
    """The model with seeded weights and statistics, for inference."""
    torch.manual_seed(0)
    model = ARCHITECTURES[name][1]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return model.eval()
