#include <array>

#include "fit/clip/rule.h"

namespace nibble::fit {

#define NIBBLE_CLIP_RULE(name) const ClipRule& name##_rule();
#include "fit/clip/rules.def"
#undef NIBBLE_CLIP_RULE

std::span<const ClipRule* const> all_clip_rules() {
  static const std::array rules = {
#define NIBBLE_CLIP_RULE(name) &name##_rule(),
#include "fit/clip/rules.def"
#undef NIBBLE_CLIP_RULE
  };
  return rules;
}

const ClipRule* find_clip_rule(std::string_view name) {
  for (const ClipRule* rule : all_clip_rules())
    if (rule->name == name) return rule;
  return nullptr;
}

}  // namespace nibble::fit
