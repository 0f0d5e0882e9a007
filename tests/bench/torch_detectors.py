"""DETR and RT-DETR in plain PyTorch, with Hugging Face's parameter names: what vitkit's detectors are measured against.

Each is written the way its authors and transformers write it, for inference at a fixed size without padding, so that its
ONNX export is the graph that users deploy. build(config, size) takes the dictionary of a config.json; only what the compared
variants need is here. Both give logits [B, queries, classes] and pred_boxes [B, queries, 4], centre, width and height in
shares of the picture.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F


class Norm(nn.BatchNorm2d):
    """A batch norm with the statistics it was given, which is the frozen norm of both families."""

    def __init__(self, channels):
        super().__init__(channels)
        self.eval()


class TimmBottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), Norm(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), Norm(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), Norm(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), Norm(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class TimmResNet(nn.Module):
    """timm's resnet50 up to its last map."""

    def __init__(self, layers=(3, 4, 6, 3), channels=(64, 128, 256, 512)):
        super().__init__()
        self.conv1, self.bn1, inputs = nn.Conv2d(3, 64, 7, 2, 3, bias=False), Norm(64), 64
        for stage, (depth, width) in enumerate(zip(layers, channels)):
            blocks = [TimmBottleneck(inputs if i == 0 else 4 * width, width, 2 if i == 0 and stage > 0 else 1)
                      for i in range(depth)]
            self.add_module(f'layer{stage + 1}', nn.Sequential(*blocks))
            inputs = 4 * width
        self.outputs = inputs

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Mlp(nn.Module):
    def __init__(self, *widths):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = F.relu(layer(x)) if i + 1 < len(self.layers) else layer(x)
        return x


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, q, k, v):
        def split(x):
            return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)
        scores = split(self.q_proj(q) * self.scale) @ split(self.k_proj(k)).transpose(-2, -1)
        mixed = scores.softmax(-1) @ split(self.v_proj(v))
        return self.out_proj(mixed.transpose(1, 2).reshape(q.shape))


class EncoderLayer(nn.Module):
    """Post-norm; positions are added to queries and keys."""

    def __init__(self, dim, heads, hidden, activation):
        super().__init__()
        self.self_attn, self.self_attn_layer_norm = Attention(dim, heads), nn.LayerNorm(dim)
        self.fc1, self.fc2, self.activation = nn.Linear(dim, hidden), nn.Linear(hidden, dim), activation
        self.final_layer_norm = nn.LayerNorm(dim)

    def forward(self, x, positions):
        x = self.self_attn_layer_norm(x + self.self_attn(x + positions, x + positions, x))
        return self.final_layer_norm(x + self.fc2(self.activation(self.fc1(x))))


class DecoderLayer(EncoderLayer):
    def __init__(self, dim, heads, hidden, activation, looking):
        super().__init__(dim, heads, hidden, activation)
        self.encoder_attn, self.encoder_attn_layer_norm = looking, nn.LayerNorm(dim)

    def forward(self, x, positions, look):
        x = self.self_attn_layer_norm(x + self.self_attn(x + positions, x + positions, x))
        x = self.encoder_attn_layer_norm(x + look(self.encoder_attn, x + positions))
        return self.final_layer_norm(x + self.fc2(self.activation(self.fc1(x))))


def sine_positions(height, width, dim):
    """DETR's: [1, height * width, dim], y first; rows and columns count from 1 and end at 2 pi."""
    def one(count):
        at = torch.arange(1, count + 1, dtype=torch.float32) / (count + 1e-6) * 2 * math.pi
        steps = torch.arange(dim // 2)
        angle = at[:, None] / 10000.0 ** (2 * (steps // 2).float() / (dim // 2))
        return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), -1).flatten(1)
    y, x = one(height)[:, None].expand(-1, width, -1), one(width)[None].expand(height, -1, -1)
    return torch.cat((y, x), -1).reshape(1, height * width, dim)


def branch(**parts):
    """A module that only holds others under their names."""
    holder = nn.Module()
    for name, part in parts.items():
        holder.add_module(name, part)
    return holder


class Detr(nn.Module):
    def __init__(self, config, size):
        super().__init__()
        dim, labels = config['d_model'], len(config['id2label']) + 1
        backbone = TimmResNet(**(config.get('backbone_kwargs') or {}))
        encoder = [EncoderLayer(dim, config['encoder_attention_heads'], config['encoder_ffn_dim'], F.relu)
                   for _ in range(config['encoder_layers'])]
        heads = config['decoder_attention_heads']
        decoder = [DecoderLayer(dim, heads, config['decoder_ffn_dim'], F.relu, Attention(dim, heads))
                   for _ in range(config['decoder_layers'])]
        self.model = branch(backbone=branch(conv_encoder=branch(model=backbone)),
                            input_projection=nn.Conv2d(backbone.outputs, dim, 1),
                            query_position_embeddings=nn.Embedding(config['num_queries'], dim),
                            encoder=branch(layers=nn.ModuleList(encoder)),
                            decoder=branch(layers=nn.ModuleList(decoder), layernorm=nn.LayerNorm(dim)))
        self.class_labels_classifier, self.bbox_predictor = nn.Linear(dim, labels), Mlp(dim, dim, dim, 4)
        cells = [(extent + 31) // 32 for extent in size]
        self.register_buffer('positions', sine_positions(*cells, dim), persistent=False)

    def forward(self, images):
        model, positions = self.model, self.positions
        memory = model.input_projection(model.backbone.conv_encoder.model(images)).flatten(2).transpose(1, 2)
        for layer in model.encoder.layers:
            memory = layer(memory, positions)
        queries = model.query_position_embeddings.weight[None].expand(images.shape[0], -1, -1)
        x = torch.zeros_like(queries)
        for layer in model.decoder.layers:
            x = layer(x, queries, lambda attention, query: attention(query, memory + positions, memory))
        x = model.decoder.layernorm(x)
        return self.class_labels_classifier(x), self.bbox_predictor(x).sigmoid()


class ConvNorm(nn.Module):
    """A convolution, its norm and an activation under either of the two families' names."""

    def __init__(self, inputs, outputs, kernel, stride=1, activation=None, names=('conv', 'norm')):
        super().__init__()
        self.add_module(names[0], nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False))
        self.add_module(names[1], Norm(outputs))
        self.names, self.activation = names, activation

    def forward(self, x):
        x = getattr(self, self.names[1])(getattr(self, self.names[0])(x))
        return x if self.activation is None else self.activation(x)


def resnet_conv(*args, **options):
    return ConvNorm(*args, **options, names=('convolution', 'normalization'))


class VdBlock(nn.Module):
    """A block of transformers' rt_detr_resnet, which averages before it strides (He et al. 2019, "Bag of tricks")."""

    def __init__(self, kind, inputs, outputs, stride, first):
        super().__init__()
        if kind == 'bottleneck':
            width, shortcut = outputs // 4, inputs != outputs or stride != 1
            self.layer = nn.Sequential(resnet_conv(inputs, width, 1, activation=F.relu),
                                       resnet_conv(width, width, 3, stride, activation=F.relu),
                                       resnet_conv(width, outputs, 1))
        else:
            shortcut = first
            self.layer = nn.Sequential(resnet_conv(inputs, outputs, 3, stride, activation=F.relu),
                                       resnet_conv(outputs, outputs, 3))
        self.shortcut = nn.Identity()
        if shortcut:
            self.shortcut = resnet_conv(inputs, outputs, 1)
        if shortcut and stride > 1:
            self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2, ceil_mode=True), self.shortcut)

    def forward(self, x):
        return F.relu(self.layer(x) + self.shortcut(x))


class VdResNet(nn.Module):
    """Maps of the last three stages."""

    def __init__(self, config):
        super().__init__()
        width, kind = config['embedding_size'], config.get('layer_type', 'bottleneck')
        self.embedder = branch(embedder=nn.Sequential(resnet_conv(3, width // 2, 3, 2, activation=F.relu),
                                                      resnet_conv(width // 2, width // 2, 3, activation=F.relu),
                                                      resnet_conv(width // 2, width, 3, activation=F.relu)))
        stages, inputs = [], width
        for stage, (depth, outputs) in enumerate(zip(config['depths'], config['hidden_sizes'])):
            blocks = [VdBlock(kind, inputs if i == 0 else outputs, outputs, 2 if i == 0 and stage > 0 else 1, i == 0)
                      for i in range(depth)]
            stages.append(branch(layers=nn.Sequential(*blocks)))
            inputs = outputs
        self.encoder = branch(stages=nn.ModuleList(stages))

    def forward(self, x):
        x, maps = F.max_pool2d(self.embedder.embedder(x), 3, 2, 1), []
        for stage in self.encoder.stages:
            x = stage.layers(x)
            maps.append(x)
        return maps[1:]


class RepVgg(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.conv1, self.conv2 = ConvNorm(dim, dim, 3), ConvNorm(dim, dim, 1)

    def forward(self, x):
        return F.silu(self.conv1(x) + self.conv2(x))


class CspRep(nn.Module):
    def __init__(self, dim, expansion):
        super().__init__()
        hidden = int(dim * expansion)
        self.conv1, self.conv2 = (ConvNorm(2 * dim, hidden, 1, activation=F.silu) for _ in range(2))
        self.bottlenecks = nn.Sequential(*(RepVgg(hidden) for _ in range(3)))
        self.conv3 = ConvNorm(hidden, dim, 1, activation=F.silu) if hidden != dim else nn.Identity()

    def forward(self, x):
        return self.conv3(self.bottlenecks(self.conv1(x)) + self.conv2(x))


def aifi_positions(height, width, dim):
    """RT-DETR's, [1, height * width, dim]: columns outermost, as its meshgrid has them."""
    frequencies = 1.0 / 10000.0 ** (torch.arange(dim // 4, dtype=torch.float32) / (dim // 4))
    w, h = torch.meshgrid(torch.arange(width).float(), torch.arange(height).float(), indexing='ij')
    w, h = w.flatten()[:, None] * frequencies, h.flatten()[:, None] * frequencies
    return torch.cat((w.sin(), w.cos(), h.sin(), h.cos()), 1)[None]


class HybridEncoder(nn.Module):
    """Attention on the coarsest map, then one pass up and one down the pyramid (Zhao et al. 2023, section 4.2)."""

    def __init__(self, config, cells):
        super().__init__()
        dim, expansion = config['encoder_hidden_dim'], config['hidden_expansion']
        layers = [EncoderLayer(dim, config['encoder_attention_heads'], config['encoder_ffn_dim'], F.gelu)
                  for _ in range(config['encoder_layers'])]
        self.encoder = nn.ModuleList([branch(layers=nn.ModuleList(layers))])
        self.lateral_convs = nn.ModuleList(ConvNorm(dim, dim, 1, activation=F.silu) for _ in range(2))
        self.downsample_convs = nn.ModuleList(ConvNorm(dim, dim, 3, 2, activation=F.silu) for _ in range(2))
        self.fpn_blocks = nn.ModuleList(CspRep(dim, expansion) for _ in range(2))
        self.pan_blocks = nn.ModuleList(CspRep(dim, expansion) for _ in range(2))
        self.register_buffer('positions', aifi_positions(*cells, dim), persistent=False)

    def forward(self, maps):
        low, middle, top = maps
        tokens = top.flatten(2).transpose(1, 2)
        for layer in self.encoder[0].layers:
            tokens = layer(tokens, self.positions)
        pyramid = [tokens.transpose(1, 2).reshape(top.shape)]
        for lateral, block, finer in zip(self.lateral_convs, self.fpn_blocks, (middle, low)):
            pyramid[0] = lateral(pyramid[0])
            upsampled = F.interpolate(pyramid[0], scale_factor=2.0, mode='nearest')
            pyramid.insert(0, block(torch.cat((upsampled, finer), 1)))
        outputs = pyramid[:1]
        for downsample, block, coarser in zip(self.downsample_convs, self.pan_blocks, pyramid[1:]):
            outputs.append(block(torch.cat((downsample(outputs[-1]), coarser), 1)))
        return outputs


class DeformableAttention(nn.Module):
    """Zhu et al. 2021, eq. 3, with boxes as references."""

    def __init__(self, dim, heads, grids, points):
        super().__init__()
        self.heads, self.grids, self.points = heads, grids, points
        samples = heads * len(grids) * points
        self.sampling_offsets, self.attention_weights = nn.Linear(dim, 2 * samples), nn.Linear(dim, samples)
        self.value_proj, self.output_proj = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, query, boxes, memory):
        (b, n, c), levels = query.shape, len(self.grids)
        values = self.value_proj(memory).view(b, -1, self.heads, c // self.heads)
        values = values.split([h * w for h, w in self.grids], dim=1)
        offsets = self.sampling_offsets(query).view(b, n, self.heads, levels, self.points, 2)
        weights = self.attention_weights(query).view(b, n, self.heads, -1).softmax(-1)
        boxes = boxes[:, :, None, None, None]
        places = 2 * (boxes[..., :2] + offsets / self.points * boxes[..., 2:] * 0.5) - 1
        samples = []
        for level, (h, w) in enumerate(self.grids):
            maps = values[level].flatten(2).transpose(1, 2).reshape(b * self.heads, c // self.heads, h, w)
            at = places[:, :, :, level].transpose(1, 2).flatten(0, 1)
            samples.append(F.grid_sample(maps, at, mode='bilinear', padding_mode='zeros', align_corners=False))
        weights = weights.transpose(1, 2).reshape(b * self.heads, 1, n, levels * self.points)
        mixed = (torch.stack(samples, -2).flatten(-2) * weights).sum(-1)
        return self.output_proj(mixed.view(b, c, n).transpose(1, 2))


def inverse_sigmoid(x, eps=1e-5):
    x = x.clamp(0, 1)
    return (x.clamp(min=eps) / (1 - x).clamp(min=eps)).log()


def anchors(grids):
    """Unsquashed boxes [1, cells, 4], twice as wide at each coarser level, and which lie well inside, [1, cells, 1]."""
    all_boxes = []
    for level, (height, width) in enumerate(grids):
        y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing='ij')
        centres = torch.stack(((x + 0.5) / width, (y + 0.5) / height), -1)
        all_boxes.append(torch.cat((centres, torch.full_like(centres, 0.05 * 2.0 ** level)), -1).view(-1, 4))
    boxes = torch.cat(all_boxes)[None]
    valid = ((boxes > 0.01) & (boxes < 0.99)).all(-1, keepdim=True)
    return torch.where(valid, (boxes / (1 - boxes)).log(), torch.tensor(torch.finfo(torch.float32).max)), valid


class RtDetr(nn.Module):
    def __init__(self, config, size):
        super().__init__()
        dim, labels, heads = config['d_model'], len(config['id2label']), config['decoder_attention_heads']
        grids = [[extent // stride for extent in size] for stride in config['feat_strides']]
        decoder = [DecoderLayer(dim, heads, config['decoder_ffn_dim'], F.relu,
                                DeformableAttention(dim, heads, grids, config['decoder_n_points']))
                   for _ in range(config['decoder_layers'])]

        def projection(channels):
            return nn.Sequential(nn.Conv2d(channels, dim, 1, bias=False), Norm(dim))
        self.model = branch(
            backbone=branch(model=VdResNet(config['backbone_config'])),
            encoder_input_proj=nn.ModuleList(projection(c) for c in config['encoder_in_channels']),
            encoder=HybridEncoder(config, grids[-1]),
            decoder_input_proj=nn.ModuleList(projection(c) for c in config['decoder_in_channels']),
            denoising_class_embed=nn.Embedding(labels + 1, dim, padding_idx=labels),
            enc_output=nn.Sequential(nn.Linear(dim, dim), nn.LayerNorm(dim)),
            enc_score_head=nn.Linear(dim, labels), enc_bbox_head=Mlp(dim, dim, dim, 4),
            decoder=branch(layers=nn.ModuleList(decoder), query_pos_head=Mlp(4, 2 * dim, dim),
                           class_embed=nn.ModuleList(nn.Linear(dim, labels) for _ in decoder),
                           bbox_embed=nn.ModuleList(Mlp(dim, dim, dim, 4) for _ in decoder)))
        self.queries = config['num_queries']
        boxes, valid = anchors(grids)
        self.register_buffer('anchors', boxes, persistent=False)
        self.register_buffer('valid', valid.float(), persistent=False)

    def propose(self, images):
        """Memory, proposals and their scores, [B, cells, ...]."""
        model = self.model
        maps = [proj(x) for proj, x in zip(model.encoder_input_proj, model.backbone.model(images))]
        maps = [proj(x) for proj, x in zip(model.decoder_input_proj, model.encoder(maps))]
        memory = torch.cat([x.flatten(2).transpose(1, 2) for x in maps], 1)
        proposals = model.enc_output(self.valid * memory)
        return memory, proposals, model.enc_score_head(proposals).max(-1).values

    def smallest_gap(self, images):
        """Between the scores of the queries that are chosen and the next: what rounding must not reach."""
        best = self.propose(images)[2].topk(self.queries + 1, dim=1).values
        return (best[:, :-1] - best[:, 1:]).min().item()

    def forward(self, images):
        model = self.model
        memory, proposals, scores = self.propose(images)
        boxes = model.enc_bbox_head(proposals) + self.anchors
        best = scores.topk(self.queries, dim=1).indices[..., None]
        boxes = boxes.gather(1, best.expand(-1, -1, 4)).sigmoid()
        x = proposals.gather(1, best.expand(-1, -1, proposals.shape[-1]))
        for layer, refine in zip(model.decoder.layers, model.decoder.bbox_embed):
            x = layer(x, model.decoder.query_pos_head(boxes),
                      lambda attention, query: attention(query, boxes, memory))
            boxes = (refine(x) + inverse_sigmoid(boxes)).sigmoid()
        return model.decoder.class_embed[-1](x), boxes


def labelled(config, count):
    names = {str(i): f'class_{i}' for i in range(count)}
    return {**config, 'id2label': names, 'label2id': {name: int(i) for i, name in names.items()}}


DETR = {'model_type': 'detr', 'architectures': ['DetrForObjectDetection'], 'd_model': 256, 'num_queries': 100,
        'encoder_layers': 6, 'decoder_layers': 6, 'encoder_attention_heads': 8, 'decoder_attention_heads': 8,
        'encoder_ffn_dim': 2048, 'decoder_ffn_dim': 2048, 'activation_function': 'relu', 'backbone': 'resnet50',
        'use_timm_backbone': True, 'use_pretrained_backbone': False, 'backbone_config': None, 'dilation': False,
        'position_embedding_type': 'sine', 'num_channels': 3}

RT_DETR = {'model_type': 'rt_detr', 'architectures': ['RTDetrForObjectDetection'], 'd_model': 256, 'num_queries': 300,
           'encoder_layers': 1, 'encoder_hidden_dim': 256, 'encoder_attention_heads': 8, 'encoder_ffn_dim': 1024,
           'encoder_activation_function': 'gelu', 'activation_function': 'silu', 'encode_proj_layers': [2],
           'decoder_attention_heads': 8, 'decoder_ffn_dim': 1024, 'decoder_activation_function': 'relu',
           'decoder_in_channels': [256, 256, 256], 'decoder_n_points': 4, 'feat_strides': [8, 16, 32],
           'num_feature_levels': 3, 'positional_encoding_temperature': 10000, 'with_box_refine': True,
           'learn_initial_query': False, 'normalize_before': False, 'layer_norm_eps': 1e-5, 'batch_norm_eps': 1e-5,
           'use_timm_backbone': False, 'num_denoising': 100}


def rt_detr(kind, depths, widths, **options):
    backbone = {'model_type': 'rt_detr_resnet', 'embedding_size': 64, 'hidden_sizes': widths, 'depths': depths,
                'layer_type': kind, 'out_features': ['stage2', 'stage3', 'stage4'], 'out_indices': [2, 3, 4]}
    return labelled({**RT_DETR, 'backbone_config': backbone, 'encoder_in_channels': widths[1:], **options}, 80)


CONFIGS = {
    'detr_r50': labelled(DETR, 91),
    'rtdetr_r18': rt_detr('basic', [2, 2, 2, 2], [64, 128, 256, 512], decoder_layers=3, hidden_expansion=0.5),
    'rtdetr_r50': rt_detr('bottleneck', [3, 4, 6, 3], [256, 512, 1024, 2048], decoder_layers=6, hidden_expansion=1.0),
}


def build(config, size):
    """A detector for pictures of size (height, width), without values of its own."""
    return {'detr': Detr, 'rt_detr': RtDetr}[config['model_type']](config, size).eval()


def randomise(model, seed=1):
    """Values that keep activations near one: residual branches are added at a third of their size."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, low, high):
        tensor.data = low + (high - low) * torch.rand(tensor.shape, generator=generator)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            deviation = math.sqrt(1.5 / module.weight[0].numel())
            module.weight.data = deviation * torch.randn(module.weight.shape, generator=generator)
            if module.bias is not None:
                uniform(module.bias, -0.1, 0.1)
        elif isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            uniform(module.weight, 0.8, 1.2)
            uniform(module.bias, -0.1, 0.1)
            if isinstance(module, nn.BatchNorm2d):
                uniform(module.running_mean, -0.1, 0.1)
                uniform(module.running_var, 0.8, 1.2)
    for block in model.modules():
        if isinstance(block, TimmBottleneck):
            block.bn3.weight.data *= 0.3
        elif isinstance(block, VdBlock):
            block.layer[-1].normalization.weight.data *= 0.3
    return model
