#include <array>

#include "fit/round/method.h"

namespace nibble::fit {

#define NIBBLE_ROUND_METHOD(name) const RoundMethod& name##_method();
#include "fit/round/methods.def"
#undef NIBBLE_ROUND_METHOD

std::span<const RoundMethod* const> all_round_methods() {
  static const std::array methods = {
#define NIBBLE_ROUND_METHOD(name) &name##_method(),
#include "fit/round/methods.def"
#undef NIBBLE_ROUND_METHOD
  };
  return methods;
}

const RoundMethod* find_round_method(std::string_view name) {
  for (const RoundMethod* method : all_round_methods())
    if (method->name == name) return method;
  return nullptr;
}

}  // namespace nibble::fit
