// What words look at in the captioners that are trained here: the cells of a backbone's maps, brought to one width,
// with where they are.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "vit/core/config_node.h"
#include "vit/models/backbone.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"
#include "vit/nn/norm.h"

namespace captioning {

struct RegionOptions {
  vit::ConfigNode backbone{};            ///< as a file of configs/model has it
  std::array<int64_t, 2> img_size{};     ///< height and width of the pictures
  std::vector<int64_t> backbone_maps{};  ///< from fine to coarse; empty: the last
  int64_t dim = 0;                       ///< width of the regions
};

/// region = norm(W map cell) + P sines(row, column), each map with projections of its own. Parameters: backbone.*,
/// projections.{i}.*, norms.{i}.*, positions.{i}.*.
class RegionEncoder : public vit::Module {
 public:
  /// Errors (usage): as vit::build_backbone and vit::wanted_maps; an image size that the maps' cells do not divide.
  explicit RegionEncoder(const RegionOptions& options);

  /// images [B, channels, height, width] -> [B, M, dim], the cells of one map after the other, row by row. Errors:
  /// images of another size than the encoder was built for.
  vit::Var forward(vit::Context& ctx, const vit::Var& images) const;

  /// Of the maps; M is the sum of their cells.
  const std::vector<vit::Grid>& grids() const { return grids_; }
  vit::Backbone& backbone() { return *backbone_; }
  const vit::Backbone& backbone() const { return *backbone_; }
  /// Errors (usage): as the constructor.
  void set_input_size(int64_t height, int64_t width);

 private:
  std::vector<vit::Grid> grids_for(const std::array<int64_t, 2>& img_size) const;

  std::unique_ptr<vit::Backbone> backbone_;
  std::vector<size_t> maps_;  ///< of the backbone's
  int64_t dim_;
  std::vector<vit::Grid> grids_;
  std::deque<vit::Linear> projections_, positions_;
  std::deque<vit::Norm> norms_;
};

/// Sines and cosines of pi 2^k times a cell's row and column as shares of the map, k = 0 to 4 (the frequencies of
/// Vaswani et al. 2017, section 3.5, for coordinates from 0 to 1): [1, cells, 20].
vit::Tensor cell_sines(const vit::Grid& grid);

}  // namespace captioning
