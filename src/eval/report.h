#pragma once
#include <optional>
#include <string>
#include <vector>

#include "eval/cost.h"
#include "eval/evaluate.h"
#include "io/json/json.h"

namespace nibble::eval {

/// One side of the bill.
struct Side {
  std::string file;
  int64_t file_bytes = 0;
  double bits_per_weight = 32;  ///< over the products' weights
  std::optional<Latency> latency;
  int64_t memory_bytes = 0;  ///< constants as the session holds them, and activations at their peak, batch 1
  std::optional<Energy> energy;
};

/// The before/after table as data; text and JSON are views of it.
struct Report {
  std::string command, version, commit;
  std::string data;    ///< the data set's description
  std::string scheme;  ///< expanded; empty when unknown
  std::string positions;
  Side after;
  std::optional<Side> before;
  Comparison comparison;
  int threads = 1;
  std::string next;  ///< a command line to try, or empty

  /// Points of top-1 lost (positive: worse), or the share of changed answers in percent where there are no labels;
  /// std::nullopt where there are no classes.
  std::optional<double> drop() const;
};

/// The table and the closing sentences, at most 100 columns. `all_layers`: every layer's error, else the worst three.
std::string to_text(const Report& report, bool all_layers);
io::Json to_json(const Report& report);

/// What the change cost, in one sentence for people, and which layers cost most.
std::string verdict(const Report& report);

}  // namespace nibble::eval
