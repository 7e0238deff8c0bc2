#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "eval/report.h"
#include "eval/weights.h"
#include "io/json/json.h"

namespace nibble::eval {

/// One of the comparisons at the top: two lengths to one scale, or one where there is no `before`.
struct PageBar {
  std::string label, change;  ///< "Size", "7.6 x smaller"
  std::optional<double> before;
  double after = 0, full = 1;  ///< lengths; `full` fills the width
  std::string before_text, after_text;
};

/// A layer's row. Absent figures were not measured.
struct PageLayer {
  std::string name, op, shape, format;
  int bits = 32;
  double bits_per_weight = 32;
  int64_t bytes = 0;
  std::optional<double> weight_db, output_db, cosine;  ///< SQNR in decibels; infinite: exact
};

/// What a figure was over time: lines over one pair of axes.
struct PageCurve {
  struct Line {
    std::string label;
    std::vector<std::pair<double, double>> points;  ///< x ascending; one alone is a level across the picture
  };
  std::string title, caption, unit;  ///< unit: after numbers of the y axis
  std::string x_label;               ///< "epoch"
  std::vector<Line> lines;           ///< the first is the one that matters
};

struct PageFact {
  std::string label, value;
};

/// A report for people, whichever command makes it: a view of figures that are all in `json` too.
struct Page {
  std::string title, kind;         ///< "net.onnx at 4 bits"; "nibble eval"
  std::string lead;                ///< the closing sentence of the text report
  std::vector<std::string> notes;  ///< sentences that must not be missed
  std::vector<PageBar> bars;
  bool two = false;  ///< the bill has a column `before`
  std::vector<BillRow> bill;
  std::vector<PageFact> facts;  ///< under the bill
  std::vector<PageCurve> curves;
  std::vector<PageLayer> layers;     ///< in execution order
  std::string layers_text;           ///< what their figures are
  std::vector<WeightError> weights;  ///< in execution order; those that lost most are drawn
  std::string next_text, next;       ///< "To do better", a command line or empty
  std::string command;               ///< the exact command line
  std::vector<PageFact> provenance;  ///< version, commit, ...
  std::vector<InputFile> inputs;
  io::Json json;
};

/// One HTML document that needs nothing outside of itself: styles, script and figures are inline, a
/// Content-Security-Policy forbids everything else, and nothing that a file says is markup. The same bytes for the same
/// page.
std::string to_html(const Page& page);

}  // namespace nibble::eval
