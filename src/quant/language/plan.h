#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/gguf/imatrix.h"
#include "model/language/open.h"
#include "quant/language/mix.h"

namespace nibble::quant {

/// What the user asked for.
struct LanguageScheme {
  const Mix* mix = nullptr;
  bool pure = false;  ///< the mix's base type for every matrix
  std::optional<tensor::DType> output, embedding;
  std::vector<std::pair<std::string, tensor::DType>>
      tensors;  ///< regular expression (found anywhere in the name) and type
  bool allow_fallback = false, allow_requantize = false;
};

/// "Q4_K_M", "Q4_0:pure,output=Q8_0,tensor=ffn_down=Q6_K".
std::string to_text(const LanguageScheme& scheme);

/// What becomes of one tensor.
struct TensorPlan {
  graph::ValueId value = graph::kNoValue;
  std::string name;
  graph::Role role = graph::Role::kNone;
  tensor::Shape shape;  ///< in the file that is written
  tensor::DType from, to;
  std::string reason;  ///< why it has another type than the mix's base; empty where it has that
  int64_t bytes_before = 0, bytes_after = 0;
};

struct LanguagePlan {
  LanguageScheme scheme;
  std::vector<TensorPlan> tensors;            ///< in the order of the file
  std::vector<std::string> notes;             ///< fallbacks taken
  int64_t bytes_before = 0, bytes_after = 0;  ///< of the tensors' data
  int64_t memory = 0;                         ///< bytes, predicted: the largest pieces that are worked on
  double bits_per_weight() const;
};

/// Plans the file. `importance`: whether an importance matrix will be used. Throws Error naming the tensor:
/// kUnsupported for rows that are not whole blocks of the type asked for unless `allow_fallback`, kUsage for a tensor
/// that is quantized already unless `allow_requantize`, and for expressions that no tensor matches.
LanguagePlan plan_language(const model::LanguageModel& model, const LanguageScheme& scheme, bool importance);

}  // namespace nibble::quant
