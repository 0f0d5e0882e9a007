#include "captioning/regions.h"

#include <cmath>
#include <utility>

#include "captioning/fan_in.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/check.h"
#include "vit/models/backbone_node.h"

namespace captioning {

using vit::Context;
using vit::Grid;
using vit::Scope;
using vit::Tensor;
using vit::Var;

namespace {

constexpr int64_t kFrequencies = 5;
constexpr int64_t kSines = 4 * kFrequencies;
constexpr float kNormEps = 1e-5f;

std::vector<int64_t> asked_maps(const vit::Backbone& backbone, const std::vector<int64_t>& asked) {
  if (!asked.empty()) return asked;
  return {static_cast<int64_t>(backbone.features().size()) - 1};
}

}  // namespace

Tensor cell_sines(const Grid& grid) {
  Tensor sines = Tensor::empty({1, grid.count(), kSines});
  float* out = sines.f32();
  for (int64_t row = 0; row < grid.height; ++row)
    for (int64_t col = 0; col < grid.width; ++col) {
      const double y = (static_cast<double>(row) + 0.5) / static_cast<double>(grid.height);
      const double x = (static_cast<double>(col) + 0.5) / static_cast<double>(grid.width);
      for (int64_t k = 0; k < kFrequencies; ++k) {
        const double frequency = M_PI * static_cast<double>(int64_t{1} << k);
        for (const double at : {y, x}) {
          *out++ = static_cast<float>(std::sin(frequency * at));
          *out++ = static_cast<float>(std::cos(frequency * at));
        }
      }
    }
  return sines;
}

RegionEncoder::RegionEncoder(const RegionOptions& options)
    : backbone_(vit::build_backbone(options.backbone, options.img_size, "a captioner")),
      maps_(vit::wanted_maps(*backbone_, asked_maps(*backbone_, options.backbone_maps))),
      dim_(options.dim),
      grids_(grids_for(options.img_size)) {
  add_module("backbone", *backbone_);
  const std::vector<vit::FeatureInfo> infos = backbone_->features();
  for (size_t i = 0; i < maps_.size(); ++i) {
    const int64_t channels = infos[maps_[i]].channels;
    add_module(vit::str("projections.", i), projections_.emplace_back(channels, dim_, true, fan_in(channels)));
    add_module(vit::str("norms.", i), norms_.emplace_back(vit::NormKind::layer_norm, dim_, kNormEps));
    add_module(vit::str("positions.", i), positions_.emplace_back(kSines, dim_, true, fan_in(kSines)));
  }
}

std::vector<Grid> RegionEncoder::grids_for(const std::array<int64_t, 2>& img_size) const {
  const std::vector<vit::FeatureInfo> infos = backbone_->features();
  std::vector<Grid> grids;
  for (const size_t map : maps_) {
    const int64_t cell = infos[map].reduction;
    if (img_size[0] % cell != 0 || img_size[1] % cell != 0)
      vit::fail_usage("img_size ", img_size[0], " x ", img_size[1], " must be divisible by ", cell,
                      ", the pixels of a cell of the backbone's map ", map);
    grids.push_back({img_size[0] / cell, img_size[1] / cell});
  }
  return grids;
}

void RegionEncoder::set_input_size(int64_t height, int64_t width) {
  std::vector<Grid> grids = grids_for({height, width});
  backbone_->set_input_size(height, width);
  grids_ = std::move(grids);
}

Var RegionEncoder::forward(Context& ctx, const Var& images) const {
  std::vector<Var> maps;
  {
    Scope scope(ctx, "backbone");
    maps = backbone_->forward_maps(ctx, images, maps_);
  }
  std::vector<Var> regions;
  for (size_t i = 0; i < maps.size(); ++i) {
    const Grid grid{maps[i].size(1), maps[i].size(2)};
    vit::check(grid == grids_[i], "captioner: images of ", images.size(2), " x ", images.size(3), " make a map of ",
               grid.height, " x ", grid.width, " cells, the model is built for ", grids_[i].height, " x ",
               grids_[i].width, "; change its input size");
    const Var cells = vit::reshape(ctx, maps[i], {maps[i].size(0), grid.count(), maps[i].size(3)});
    const Var features = norms_[i].forward(ctx, projections_[i].forward(ctx, cells));
    regions.push_back(vit::add(ctx, features, positions_[i].forward(ctx, cell_sines(grid))));
  }
  const Var all = regions.size() == 1 ? regions.front() : vit::concat(ctx, regions, 1);
  ctx.observe("regions", all.value());
  return all;
}

}  // namespace captioning
