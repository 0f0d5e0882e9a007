// Class activation maps: feature maps weighed by the gradient of what is explained. The definitions and constants are
// those of pytorch-grad-cam, which the reference cases come from.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/explain/subject.h"

namespace vit {

enum class CamKind {
  gradcam,              ///< channels weighed by their mean gradient: Selvaraju et al. 2017
  gradcam_plus_plus,    ///< by means that prefer places of strong gradients: Chattopadhay et al. 2018
  xgradcam,             ///< by gradients averaged over the activation: Fu et al. 2020
  hirescam,             ///< gradient times activation, place by place: Draelos, Carin 2020
  gradcam_elementwise,  ///< of that only what is positive per channel
  layercam,             ///< positive gradient times activation: Jiang et al. 2021
};

/// activations and gradients f32 [rows, columns, C] -> [rows, columns], values below 0 cut off.
Tensor class_activation(CamKind kind, const Tensor& activations, const Tensor& gradients);

/// The first principal component of the activations over places, f32 [rows, columns] (Muhammad, Yeasin 2020). Its sign
/// is not defined: the one that agrees with the length of the activations is taken. Values below 0 stay.
Tensor principal_activation(const Tensor& activations);

/// A map of features that class activation can read.
struct CamLayer {
  std::string name;      ///< as observed: "layer4", "blocks.11.norm1"
  std::string layout{};  ///< name of its tokens' layout; empty: it is a map [B, rows, columns, C]
};

/// The maps that a subject offers, from the first layer to the last.
std::vector<CamLayer> cam_layers(const Subject& subject);

/// Values of the first sample of such a map, and their gradient, f32 [rows, columns, C]; prefix and other tokens are
/// left out. `gradients` null: no gradient is computed.
Tensor layer_map(const Subject& subject, const Tensor& pixels, const CamLayer& layer, Tensor* gradients);

/// In place: 0 to 1, by the smallest and the largest value, (x - min) / (1e-7 + max), as pytorch-grad-cam scales.
void scale_cam(Tensor& map);

}  // namespace vit
