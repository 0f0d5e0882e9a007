#include "vit/nn/attention.h"

namespace vit {

Registry<AttentionFactory>& attention_registry() {
  static Registry<AttentionFactory> registry("attention");
  return registry;
}

}  // namespace vit
