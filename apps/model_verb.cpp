#include "apps/model_verb.h"

#include "vit/io/checkpoint.h"
#include "vit/models/build.h"

namespace apps {

std::string model_verb(const std::string& model) {
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(model);
  if (!checkpoint.has_weights()) return vit::load_model(checkpoint, {.zero_weights = true})->verb();
  return vit::plan_model({checkpoint.config(), (checkpoint.dir() / "config.json").string(), &checkpoint.weights()})
      .model->verb();
}

}  // namespace apps
