// What timm's CoAtNet and MaxViT names mean. Data only; maxxvit_timm.cpp turns it into a configuration.
#pragma once

#include <map>
#include <string>

namespace vit {

/// Architecture name -> JSON object of constructor arguments: the fields of timm's MaxxVitCfg under the names by which
/// model_args override them (conv_* and transformer_* for the nested ones), what equals the default left out, and
/// img_size where the name's default configuration has another input than 224.
/// Source: timm/models/maxxvit.py of huggingface/pytorch-image-models (Apache-2.0), facts only.
const std::map<std::string, std::string>& timm_maxxvit_architectures();

}  // namespace vit
