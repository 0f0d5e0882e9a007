#include "vit/models/build.h"

#include <nlohmann/json.hpp>

#include "vit/core/config.h"
#include "vit/io/json.h"

namespace vit {

Registry<YamlFactory>& model_registry() {
  static Registry<YamlFactory> registry("model type");
  return registry;
}

Registry<CheckpointFactory>& timm_registry() {
  static Registry<CheckpointFactory> registry("timm architecture");
  return registry;
}

Registry<CheckpointFactory>& hugging_face_registry() {
  static Registry<CheckpointFactory> registry("Hugging Face model_type");
  return registry;
}

namespace {

/// Where a node comes from, without the line.
std::string file_of(const ConfigNode& node) {
  const std::string place = node.place();
  const size_t colon = place.rfind(':');
  const bool line = colon != std::string::npos && place.find_first_not_of("0123456789", colon + 1) == std::string::npos;
  return line ? place.substr(0, colon) : place;
}

}  // namespace

ModelPlan plan_model(const CheckpointConfig& config) {
  const JsonObject json(config.json, config.where);
  const auto from = [&](const Registry<CheckpointFactory>& registry, const std::string& name, const char* list) {
    if (!registry.contains(name))
      fail_usage(config.where, ": ", list, " '", name, "' is not known", did_you_mean(name, registry.names()),
                 "; `vitkit info --list ", list, "s` prints the ", registry.names().size(), " that are");
    try {
      return registry.find(name)(config);
    } catch (const Error& error) {
      // Shapes and options are checked where they are used; here it is known which file they came from.
      const bool placed = std::string(error.what()).find(config.where) != std::string::npos;
      throw placed ? error : Error(config.where + ": " + error.what(), ErrorKind::kUsage);
    }
  };
  if (json.has("vitkit")) {  // what the toolkit wrote itself: a model configuration, with our parameter names
    const JsonObject own = json.get_object("vitkit");
    return {build_model(ConfigNode::parse(own.get_object("model").raw().dump(), config.where + ": vitkit.model"),
                        own.get_string("name", "vitkit")),
            {}};
  }
  if (json.has("architecture")) return from(timm_registry(), json.require_string("architecture"), "architecture");
  if (json.has("model_type")) return from(hugging_face_registry(), json.require_string("model_type"), "model_type");
  fail_usage(
      config.where,
      ": neither `architecture` (timm) nor `model_type` (Hugging Face) is given; `vitkit info --list architectures` "
      "and `vitkit info --list model_types` print the known ones");
}

std::unique_ptr<ImageModel> build_model(const ConfigNode& config, const std::string& name) {
  const TypedConfig typed = split_type(config);
  if (!model_registry().contains(typed.type)) config.get("type").refuse(model_registry().unknown(typed.type));
  try {
    return model_registry().find(typed.type)(typed.options, name);
  } catch (const Error& error) {
    // What a part says of the shape it is given has no place; here it is known which file that came from.
    if (error.kind() != ErrorKind::kUsage || std::string(error.what()).find(file_of(config)) != std::string::npos)
      throw;
    config.refuse(error.what());
  }
}

std::unique_ptr<ImageModel> load_model(const Checkpoint& checkpoint, const LoadModelOptions& options) {
  std::unique_ptr<ImageModel> model;
  if (checkpoint.has_weights()) {
    const std::string where = (checkpoint.dir() / "config.json").string();
    ModelPlan plan = plan_model({checkpoint.config(), where, &checkpoint.weights()});
    load_parameters(*plan.model, checkpoint.weights(), plan.keys, options.purpose);
    model = std::move(plan.model);
  } else {
    ConfigNode config = ConfigNode::load(checkpoint.yaml());
    // A training configuration, or a file of its `model` alone, describes a model as well.
    if (!config.has("type") && config.get("model").is_map()) config = config.get("model");
    model = build_model(config, checkpoint.name());
    if (options.zero_weights)
      zero_parameters(*model, options.purpose);
    else
      initialise_parameters(*model, options.seed, options.purpose);
  }
  if (options.input_size) model->set_input_size((*options.input_size)[0], (*options.input_size)[1]);
  return model;
}

}  // namespace vit
