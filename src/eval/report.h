#pragma once
#include <optional>
#include <string>
#include <vector>

#include "eval/cost.h"
#include "eval/evaluate.h"
#include "eval/latency.h"
#include "eval/weights.h"
#include "io/json/json.h"

namespace nibble::eval {

/// One side of the bill.
struct Side {
  std::string file;  ///< empty: in memory only
  int64_t file_bytes = 0;
  double bits_per_weight = 32;  ///< over the products' weights
  std::optional<Latency> latency;
  int64_t memory_bytes = 0;  ///< constants as the session holds them, and activations at their peak, batch 1
  std::optional<Energy> energy;
};

/// Version of the JSON's form; a member that changes its meaning or goes away raises it, a new one does not.
inline constexpr int kReportSchema = 1;

/// {"p50": ..., "p90": ..., "p99": ..., "runs": ...} in seconds; percentiles that too few runs stand for are null.
io::Json to_json(const Latency& latency);

/// A file that went into a report.
struct InputFile {
  std::string role, name, sha256;  ///< "network", its name without folder, 64 digits (io::sha256_of_path)
};
io::Json to_json(const std::vector<InputFile>& files);

/// The before/after table as data; text, JSON and HTML are views of it.
struct Report {
  std::string command, version, commit;
  std::string data;    ///< the data set's description
  std::string scheme;  ///< expanded; empty when unknown
  std::string positions;
  Side after;
  std::optional<Side> before;
  Comparison comparison;
  std::vector<WeightError> weights;  ///< compare_weights of the two networks; empty: not compared
  std::vector<InputFile> inputs;
  int threads = 1;
  std::string next;  ///< a command line to try, or empty

  /// How much worse the network became in the unit of its task; std::nullopt where nothing was compared.
  const std::optional<Drop>& drop() const { return comparison.task.drop; }
};

/// The table's rows: the task's, then size, time, memory and energy.
std::vector<BillRow> bill(const Report& report);

/// "classify (the data has labels, the network classes)".
std::string task_text(const TaskResult& task);

/// "7.6 x smaller": how the second compares with the first, `less` or `more` of what they measure. Empty unless both
/// are above zero.
std::string ratio_text(double before, double after, const char* less, const char* more);

/// The table and the closing sentences, at most 100 columns. `all_layers`: every layer's error, else the worst three.
std::string to_text(const Report& report, bool all_layers);
io::Json to_json(const Report& report);

/// What the change cost, in one sentence for people, and which layers cost most.
std::string verdict(const Report& report);

}  // namespace nibble::eval
