// Uses the installed library as a stranger would: a tensor, and the error that a wrong view of it raises.
#include <iostream>

#include "vit/core/check.h"
#include "vit/core/tensor.h"

int main() {
  const vit::Tensor tensor = vit::Tensor::full({2, 3}, 1.5f);
  float sum = 0.0f;
  for (const float value : tensor.span<float>()) sum += value;
  if (sum != 9.0f) {
    std::cerr << "the sum is " << sum << " and not 9\n";
    return 1;
  }
  try {
    (void)tensor.view({4, 2});
  } catch (const vit::Error& error) {
    std::cout << "as it should: " << error.what() << "\n";
    return 0;
  }
  std::cerr << "a view of another size was not refused\n";
  return 1;
}
