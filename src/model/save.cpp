#include "model/save.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "io/onnx/read.h"
#include "io/onnx/write.h"
#include "model/portable_form.h"
#include "model/quantized_constants.h"
#include "model/upgrade.h"

namespace nibble::model {
using graph::Graph;
using graph::Node;
using graph::NodeId;
using graph::ValueId;

namespace {

constexpr const char* kMicrosoft = "com.microsoft";

/// The version of every domain that a node uses, at any nesting, and no other.
void used_domains(const Graph& g, const std::map<std::string, int64_t>& known, std::map<std::string, int64_t>& used) {
  for (NodeId id = 0; id < g.node_count(); ++id) {
    const Node& node = g.node(id);
    if (!node.removed && !node.domain.empty()) {
      const auto it = known.find(node.domain);
      if (it == known.end() && node.domain != kMicrosoft)
        base::fail_unsupported(node.describe(),
                               "belongs to the domain " + base::in_quotes(node.domain) + ", which no other tool knows");
      used[node.domain] = it == known.end() ? 1 : it->second;
    }
    for (const auto& [key, attribute] : node.attributes)
      if (const auto* inner = std::get_if<std::shared_ptr<Graph>>(&attribute)) used_domains(**inner, known, used);
  }
}

/// The form that the writer takes: quantized constants expanded, opset and domains those that are used.
void make_writable(Graph& g, OnnxStyle style) {
  if (style == OnnxStyle::kMatMulNBits) use_matmul_nbits(g);
  add_scale_casts(g);
  expand_quantized_constants(g);
  graph::name_captures(g);
  g.opset = lowest_opset(g);
  std::map<std::string, int64_t> domains;
  used_domains(g, g.domains, domains);
  g.domains = std::move(domains);
}

/// One output on its way: files that exist under temporary names until `commit`.
class Output {
 public:
  Output(Graph g, OnnxStyle style, const std::filesystem::path& path, const SaveOptions& options) : path_(path) {
    make_writable(g, style);
    io::onnx::WriteOptions write_options;
    write_options.producer = options.producer;
    uint64_t size = io::onnx::written_size(g, write_options);
    if (size > std::min(options.largest_file, io::onnx::kLargestMessage)) {
      data_path_ = path.string() + ".data";
      write_options.data_name = data_path_.filename().string();
      data_existed_ = std::filesystem::exists(std::filesystem::symlink_status(data_path_));
      data_.emplace(data_path_, options.force, options.inputs, size);
      write_options.data = &*data_;
      size = io::onnx::written_size(g, write_options);
    }
    file_.emplace(path, options.force, options.inputs, size);
    io::onnx::write(g, *file_, write_options);
    result_.file_bytes = file_->size();
    result_.data_bytes = data_ ? data_->size() : 0;
    result_.opset = g.opset;
    result_.ir_version = io::onnx::ir_version_of(g.opset);
    meant_ = std::move(g);
  }

  /// Reads back and gives the files their names, data first: a model never names data that are not there.
  void commit() {
    file_->flush();
    if (data_) data_->commit();
    try {
      verify();
      file_->commit();
    } catch (...) {
      std::error_code ignored;
      if (data_ && !data_existed_) std::filesystem::remove(data_path_, ignored);
      throw;
    }
  }

  /// Without external data, reads back before anything has a name.
  void verify_early() {
    if (!data_) verify();
  }

  const SaveResult& result() const { return result_; }

 private:
  void verify() {
    if (verified_) return;
    io::Notes notes;
    const Graph back = io::onnx::read(file_->temporary_path(), {}, notes);
    const std::string difference = first_difference(meant_, back);
    if (!difference.empty())
      base::fail_io(base::printable(path_.string(), 400), "read back after writing, " + difference,
                    "the disk or nibble is faulty; nothing was kept");
    verified_ = true;
  }

  std::filesystem::path path_, data_path_;
  bool data_existed_ = false, verified_ = false;
  std::optional<base::AtomicFile> file_, data_;
  Graph meant_;
  SaveResult result_;
};

}  // namespace

uint64_t saved_size(const Graph& g, OnnxStyle style) {
  Graph portable = g;
  guard_narrow_activations(portable);
  write_integer_biases(portable);
  make_writable(portable, style);
  return io::onnx::written_size(portable);
}

SaveResult save(const Graph& g, const std::filesystem::path& path, const SaveOptions& options) {
  NIBBLE_INVARIANT(g.opset == kCanonicalOpset);
  if (!options.also_int8.empty() && options.also_int8.lexically_normal() == path.lexically_normal())
    base::fail_usage(base::printable(path.string(), 400), "is named for both the 4-bit and the 8-bit file",
                     "choose two names");
  Graph portable = g;
  guard_narrow_activations(portable);
  write_integer_biases(portable);
  Output main(std::move(portable), options.style, path, options);
  main.verify_early();
  SaveResult result = main.result();
  std::optional<Output> wide;
  if (!options.also_int8.empty()) {
    Graph widened = g;
    widen_quantized_constants(widened);
    refine_integer_codes(widened);
    use_byte_activations(widened);
    wide.emplace(std::move(widened), OnnxStyle::kQdq, options.also_int8, options);
    wide->verify_early();
    result.int8_file_bytes = wide->result().file_bytes + wide->result().data_bytes;
  }
  main.commit();
  if (wide) wide->commit();
  return result;
}

}  // namespace nibble::model
