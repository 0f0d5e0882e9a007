#include "tests/support/backbone_check.h"

#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "vit/models/build.h"
#include "vit/models/load.h"

namespace vit::test {

namespace {

/// Keeps one value by name.
struct Keeper : Observer {
  explicit Keeper(std::string name) : wanted(std::move(name)) {}
  bool wants(const std::string& name) override { return name == wanted; }
  void observe(const std::string& name, const Tensor& seen) override {
    if (name == wanted) value = seen.clone();
  }
  std::string wanted;
  Tensor value;
};

}  // namespace

void expect_maps_are_observed(const MakeBackbone& make, const Tensor& images) {
  const std::unique_ptr<Backbone> model = make();
  initialise_parameters(*model, 1);
  const std::vector<FeatureInfo> infos = model->features();
  std::vector<size_t> backwards;
  for (size_t i = infos.size(); i > 0; --i) backwards.push_back(i - 1);
  Context ctx;
  const std::vector<Var> maps = model->forward_maps(ctx, images, backwards);
  ASSERT_EQ(maps.size(), infos.size());
  for (size_t i = 0; i < infos.size(); ++i) {
    const Tensor& map = maps[infos.size() - 1 - i].value();
    Keeper keeper(infos[i].name);
    Context observed;
    observed.observer = &keeper;
    model->forward(observed, images);
    ASSERT_TRUE(keeper.value.defined()) << infos[i].name;
    EXPECT_TRUE(same_bits(map, keeper.value.view(map.shape()))) << infos[i].name;
    EXPECT_EQ(map.size(3), infos[i].channels);
    EXPECT_EQ(map.size(1), (images.size(2) + infos[i].reduction - 1) / infos[i].reduction);
    EXPECT_EQ(map.size(2), (images.size(3) + infos[i].reduction - 1) / infos[i].reduction);
  }
  EXPECT_THROW(model->forward_maps(ctx, images, {infos.size()}), Error);
  EXPECT_TRUE(model->forward_maps(ctx, images, {}).empty());
}

void expect_description_makes_it_again(const MakeBackbone& make) {
  const std::unique_ptr<Backbone> model = make();
  const std::unique_ptr<ImageModel> again = build_model(model->describe(), "again");
  EXPECT_EQ(again->describe(), model->describe());
  EXPECT_EQ(again->parameter_count(), model->parameter_count());
}

void expect_other_sizes(const MakeBackbone& make, const Tensor& images) {
  const std::unique_ptr<Backbone> in_pass = make(), at_once = make();
  for (Backbone* model : {in_pass.get(), at_once.get()}) initialise_parameters(*model, 1);
  at_once->set_input_size(images.size(2), images.size(3));
  EXPECT_EQ(at_once->info().input_size, (std::array<int64_t, 2>{images.size(2), images.size(3)}));
  Context ctx;
  expect_close(at_once->forward(ctx, images).value(), in_pass->forward(ctx, images).value());
  EXPECT_THROW(at_once->set_input_size(0, 20), Error);
}

}  // namespace vit::test
