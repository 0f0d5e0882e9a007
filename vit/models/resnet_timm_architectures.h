// What timm's ResNet names mean: the constructor arguments that the entry function of each name sets. Data only;
// resnet_timm.cpp turns it into a configuration.
#pragma once

#include <map>
#include <string>

namespace vit {

/// Architecture name -> JSON object of the arguments that timm's entry function passes to ResNet, under timm's own
/// names (layers, stem_type, ...), what equals the constructor's default left out. Two keys are not timm's: `block` is
/// "basic" or "bottleneck", and block_args.attn_kwargs has what timm binds to the attention's class. Deprecated aliases
/// are here, too. Group-norm, blur-pool and pruned variants are other models and are not. Source: timm/models/resnet.py
/// of huggingface/pytorch-image-models (Apache-2.0), facts only.
const std::map<std::string, std::string>& timm_resnet_architectures();

}  // namespace vit
