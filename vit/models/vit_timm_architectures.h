// What timm's vision transformer names mean: the constructor arguments that the entry function of each name sets. Data
// only; vit_timm.cpp turns it into a configuration.
#pragma once

#include <map>
#include <string>

namespace vit {

/// Architecture name -> JSON object of the arguments that timm's entry function passes to VisionTransformer, under
/// timm's own names (patch_size, embed_dim, ...), what equals the constructor's default left out. Three keys are not
/// timm's:
///   img_size   is set where the default_cfg of the name has another input size than 224. No entry function passes it:
///              a checkpoint's own pretrained_cfg.input_size goes before it;
///   norm_eps   stands for norm_layer = LayerNorm with that epsilon (1e-6 elsewhere);
///   distilled  marks the names that build VisionTransformerDistilled.
/// Classes are not in the table: they are a matter of each checkpoint.
///
/// Here are the names whose model is made of plain blocks, with their deprecated aliases. Names with attention pooling
/// (SigLIP's own head), parallel, residual-post-norm or differential-attention blocks, an embedding norm (AIMv2) or a
/// convolutional stem are other models and are not here.
/// Source: timm/models/vision_transformer.py and deit.py of huggingface/pytorch-image-models (Apache-2.0), facts only.
const std::map<std::string, std::string>& timm_vit_architectures();

}  // namespace vit
