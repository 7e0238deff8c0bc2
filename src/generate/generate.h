#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "generate/language_session.h"
#include "generate/sampling.h"

namespace nibble::generate {

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t tokens = 128;          ///< at most as many new tokens a prompt
  std::vector<int32_t> end_ids;  ///< tokens that end a text; they are not part of it
};

/// Tokens a second, prompts and new tokens apart.
struct Speed {
  int64_t prompt_tokens = 0, new_tokens = 0;
  double prompt_seconds = 0, new_seconds = 0;
};

enum class Ending : uint8_t { kEndToken, kCount, kContext };

/// Continues prompts, all of them together: one run of the model makes a token of each. Sequence i of the session is
/// prompt i and must be empty. `on_token(i, token)` is called for every new token; false stops that text.
///
/// Throws Error(kUsage) for an empty prompt and for one that fills the context.
std::vector<Ending> generate(LanguageSession& session, const std::vector<std::vector<int32_t>>& prompts,
                             const GenerateOptions& options,
                             const std::function<bool(size_t prompt, int32_t token)>& on_token, Speed& speed);

}  // namespace nibble::generate
