// Prints the tables of the program as Markdown, for scripts/generate_docs: print_tables
// support|formats|blocks|maps|schemes. What stands in the documents is what the code says here.
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "arch/architecture.h"
#include "base/limits.h"
#include "codec/blocks.h"
#include "codec/format.h"
#include "eval/tasks/task.h"
#include "fit/clip/rule.h"
#include "fit/quantize.h"
#include "io/vocabulary/steps.h"
#include "model/upgrade.h"
#include "ops/operator.h"
#include "quant/language/mix.h"
#include "quant/prepare/prepare.h"
#include "quant/scheme.h"

namespace {

using namespace nibble;

std::string text(double x) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.6g", x);
  return buffer;
}

void print(const std::string& line) { std::printf("%s\n", line.c_str()); }

void row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += " " + cell + " |";
  print(line);
}

void header(const std::vector<std::string>& cells) {
  row(cells);
  std::string line = "|";
  for (size_t i = 0; i < cells.size(); ++i) line += "---|";
  print(line);
}

std::string maps_of(const codec::NumberFormat& format) {
  std::string names;
  for (const fit::Map map : {fit::Map::kAffine, fit::Map::kSymmetric, fit::Map::kRestricted, fit::Map::kMinmax})
    if (fit::supports(format, map)) names += (names.empty() ? "" : ", ") + std::string(fit::name_of(map));
  return names;
}

const char* name_of(codec::ScaleType type) {
  switch (type) {
    case codec::ScaleType::kF16:
      return "f16";
    case codec::ScaleType::kF32:
      return "f32";
    case codec::ScaleType::kE8M0:
      return "E8M0 (power of two)";
    case codec::ScaleType::kE4M3:
      return "E4M3";
  }
  return "";
}

void print_blocks() {
  header({"name", "what it is", "values a block", "bytes", "bits a weight"});
  for (const codec::BlockFormat* f : codec::all_block_formats())
    row({"`" + std::string(f->name) + "`", std::string(f->summary), std::to_string(f->elements),
         std::to_string(f->bytes), text(8.0 * f->bytes / f->elements)});
}

void print_formats() {
  header({"name", "what it is", "maps", "scale", "groups", "bits a weight"});
  for (const codec::NumberFormat* f : codec::all_formats()) {
    const bool weights = f->bits == 4;
    const int64_t group = f->block ? f->block : 32;
    const fit::Grid symmetric = fit::make_grid(*f, fit::Map::kSymmetric);
    std::string bits = text(symmetric.bits_per_weight(group));
    if (fit::supports(*f, fit::Map::kAffine))
      bits += " (affine " + text(fit::make_grid(*f, fit::Map::kAffine).bits_per_weight(group)) + ")";
    if (weights && fit::supports(*f, fit::Map::kMinmax))
      bits += " (minmax " + text(fit::make_grid(*f, fit::Map::kMinmax).bits_per_weight(group)) + ")";
    row({"`" + std::string(f->name) + "`", std::string(f->summary), maps_of(*f), name_of(f->scale),
         f->block ? "blocks of " + std::to_string(f->block) : "any", bits + " at group " + std::to_string(group)});
  }
  print("\nLevels at scale 1, of the formats whose levels are not the whole numbers themselves:\n");
  header({"name", "levels"});
  for (const codec::NumberFormat* f : codec::all_formats()) {
    if (f->uniform()) continue;
    std::string levels;
    for (int i = 0; i < f->codebook->count; ++i) levels += (i ? ", " : "") + text(f->codebook->level[i]);
    row({"`" + std::string(f->name) + "`", levels});
  }
}

/// One vector under one map: parameters, codes and what they decode to.
void print_map(const std::vector<float>& values, fit::Map map, std::vector<std::vector<std::string>>& rows) {
  base::ThreadPool pool(1);
  const fit::Grid grid = fit::make_grid(*codec::find_format("uint4"), map, codec::ScaleType::kF32);
  const fit::QuantizedMatrix q = fit::quantize_matrix(
      {values.data(), 1, static_cast<int64_t>(values.size()), static_cast<int64_t>(values.size())}, grid, 0, false,
      *fit::find_clip_rule("minmax"), *fit::find_round_method("nearest"), {}, {}, pool);
  const codec::GroupParams& p = q.params[0];
  std::vector<std::string> codes{"**" + std::string(fit::name_of(map)) + "** code"}, decoded{"decoded"};
  double error = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const float y = grid.format->decode(q.codes[i], p);
    codes.push_back(std::to_string(q.codes[i]));
    decoded.push_back(text(y));
    error += (double{values[i]} - y) * (double{values[i]} - y);
  }
  rows.push_back(codes);
  rows.push_back(decoded);
  std::string line = "- `" + std::string(fit::name_of(map)) + "`: scale " + text(p.scale);
  line += map == fit::Map::kMinmax ? ", offset " + text(p.offset) : ", zero point " + std::to_string(p.zero);
  print(line + ", root mean square error " + text(std::sqrt(error / static_cast<double>(values.size()))));
}

void print_maps() {
  for (const auto& [title, values] : std::vector<std::pair<std::string, std::vector<float>>>{
           {"Values on one side of zero", {2.0f, 2.2f, 2.5f, 2.6f, 3.0f, 3.1f, 3.4f, 3.5f}},
           {"Values around zero, zero among them", {-0.55f, -0.2f, 0.0f, 0.1f, 0.3f, 0.4f, 0.65f, 0.8f}}}) {
    print("### " + title + "\n");
    std::vector<std::vector<std::string>> rows;
    for (const fit::Map map : {fit::Map::kMinmax, fit::Map::kAffine}) print_map(values, map, rows);
    print("");
    std::vector<std::string> top{"value"};
    for (const float v : values) top.push_back(text(v));
    header(top);
    for (const auto& r : rows) row(r);
    print("");
  }
}

void print_schemes() {
  header({"name", "the whole scheme, every default spelled out"});
  for (const char* name : {"W4A16", "W4A8", "W4A4", "W8A16", "W8A8"})
    row({"`" + std::string(name) + "`", "`" + quant::to_text(quant::parse_scheme(name)) + "`"});
}

/// Operators that training can follow; libtorch is not needed to know them.
const std::set<std::string_view>& trained_operators() {
  static const std::set<std::string_view> names{
#define NIBBLE_GRADIENT(function, onnx_name, ...) onnx_name,
#include "train/gradients.def"
#undef NIBBLE_GRADIENT
  };
  return names;
}

void print_support() {
  print("## Operators\n");
  print("ONNX opsets " + std::to_string(model::kOldestOpset) + " to " + std::to_string(model::kCanonicalOpset) +
        " are read. Everything is rewritten to opset " + std::to_string(model::kCanonicalOpset) +
        " when a file is opened, so that an operator below stands for all its older forms that the rewriting knows.\n");
  std::map<std::string, std::string> domains;
  std::string untrained;
  int64_t count = 0, trained = 0;
  for (const ops::Operator* op : ops::all_operators()) {
    if (op->domain == "nibble") continue;  // the Session's own fused forms, which no file holds
    ++count;
    std::string& names = domains[op->domain.empty() ? "ai.onnx" : std::string(op->domain)];
    names += (names.empty() ? "" : ", ") + std::string(op->name);
    if (op->domain.empty() && trained_operators().count(op->name))
      ++trained;
    else
      untrained += (untrained.empty() ? "" : ", ") + std::string(op->name);
  }
  header({"domain", "operators (" + std::to_string(count) + ")"});
  for (const auto& [domain, names] : domains) row({domain, names});
  print("\n`nibble train` follows " + std::to_string(trained) +
        " of them, and refuses, by the node, an attribute that it does not; without a gradient are " + untrained +
        ". QuantizeLinear and DequantizeLinear are followed where they stand for what nibble quantized.");
  print("\n## Number formats\n");
  print("Described in [formats.md](formats.md).\n");
  header({"name", "what it is"});
  for (const codec::NumberFormat* f : codec::all_formats())
    row({"`" + std::string(f->name) + "`", std::string(f->summary)});
  print("\n## Language models\n");
  print("Read from Hugging Face folders (safetensors) and GGUF files, written as GGUF.\n");
  header({"architecture", "families", "classes in config.json"});
  for (const arch::Architecture* a : arch::all_architectures()) {
    std::string classes;
    for (const auto c : a->hf_classes) classes += (classes.empty() ? "" : ", ") + std::string(c);
    row({"`" + std::string(a->name) + "`", std::string(a->families), classes});
  }
  print("\nPre-tokenizers that GGUF files may name:\n");
  std::string pre;
  for (const auto& p : io::named_pretokenizers()) pre += (pre.empty() ? "" : ", ") + ("`" + std::string(p.name) + "`");
  print(pre + "\n");
  header({"scheme", "what it is"});
  for (const quant::Mix& m : quant::all_mixes()) row({"`" + std::string(m.name) + "`", std::string(m.what)});
  print("");
  header({"block type", "what it is", "values in a block", "bits a weight"});
  for (const codec::BlockFormat* f : codec::all_block_formats())
    row({"`" + std::string(f->name) + "`", std::string(f->summary), std::to_string(f->elements),
         text(8.0 * f->bytes / f->elements)});
  print("\n## Clip rules (`--clip`, `--act-clip`)\n");
  header({"name", "the range that it chooses"});
  for (const fit::ClipRule* r : fit::all_clip_rules()) row({"`" + std::string(r->name) + "`", std::string(r->summary)});
  print("\n## Rounding methods (scheme key `round=`)\n");
  header({"name", "the code that it chooses"});
  for (const fit::RoundMethod* m : fit::all_round_methods())
    row({"`" + std::string(m->name) + "`", std::string(m->summary)});
  print("\n## Preparations (run before a quantization, in this order)\n");
  header({"name", "when", "what it does"});
  for (const quant::Preparation* p : quant::all_preparations())
    row({"`" + std::string(p->name) + "`", p->always ? "always" : "`--prepare " + std::string(p->name) + "`",
         std::string(p->summary)});
  print("\n## Tasks (`eval --task`)\n");
  print("Where none is named, the first that suits the outputs and the data is taken, and the report says why.\n");
  header({"name", "what it measures", "options"});
  for (const eval::TaskKind* t : eval::all_tasks())
    row({"`" + std::string(t->name) + "`", std::string(t->summary),
         t->keys.empty() ? "-" : "`" + std::string(t->keys) + "`"});
  print("\n## Safety limits (`--limit NAME=VALUE`)\n");
  header({"name", "default", "what it caps"});
  for (const base::LimitRow& r : base::limit_rows())
    row({"`" + std::string(r.name) + "`", std::to_string(r.value), std::string(r.why)});
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  if (what == "formats")
    print_formats();
  else if (what == "blocks")
    print_blocks();
  else if (what == "maps")
    print_maps();
  else if (what == "schemes")
    print_schemes();
  else if (what == "support")
    print_support();
  else
    return 2;
  return 0;
}
