#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "quant/plan/plan.h"

namespace nibble::quant {

enum class Severity { kError, kWarning, kNote };
/// "error", "warning", "note".
std::string_view name_of(Severity severity);

/// One thing about a network that hinders, or that one should know before quantizing it.
struct Finding {
  Severity severity = Severity::kNote;
  std::string place;     ///< node, tensor or input; escaped
  std::string sentence;  ///< what was found
  std::string advice;    ///< what to do; may be empty
};

/// Everything that a network lacks or that is unsafe in it, worst first: what opening it would refuse, and, where it
/// opens, what running, planning and quantizing it would (under `scheme`), and what is worth knowing of its weights and
/// inputs. Nothing is decided here that is not decided by the code that would refuse later.
///
/// Throws Error(kIo) when the file itself cannot be opened, and what is wrong with nibble.
std::vector<Finding> check(const std::filesystem::path& path, const Scheme& scheme, const base::Limits& limits,
                           base::ThreadPool& pool);

/// What the output channels of a layer's float weight look like.
struct ChannelRemarks {
  int64_t outliers = 0;  ///< channels whose largest weight is above 20 times the median channel's
  int64_t dead = 0;      ///< channels of zeros
};
ChannelRemarks channel_remarks(const graph::Graph& graph, const LayerPlan& layer);

}  // namespace nibble::quant
