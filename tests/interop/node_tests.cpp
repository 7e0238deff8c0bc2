// Runs the ONNX backend node tests that make_node_tests.py wrote.
//
//     node_tests FOLDER UNSUPPORTED.txt [--list]
//
// Every case whose network nibble reads and whose operators it has must give the expected outputs within the case's
// tolerance, with and without optimizations. The cases that nibble does not support must be exactly those that
// UNSUPPORTED.txt lists: one that is not listed is a feature lost, a listed one that runs is a line to delete.
// --list prints the unsupported cases instead, to make that file.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/small_float.h"
#include "base/thread_pool.h"
#include "codec/format.h"
#include "io/onnx/read.h"
#include "model/upgrade.h"
#include "runtime/infer_shapes.h"
#include "runtime/session.h"

namespace nibble {
namespace {

using tensor::DType;
using tensor::Tensor;

struct Case {
  std::string name;
  double rtol = 0, atol = 0;
  int inputs = 0, outputs = 0;
};

std::vector<Case> read_index(const std::string& folder) {
  std::ifstream file(folder + "/index.tsv");
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    Case c;
    if (std::getline(fields, c.name, '\t') && fields >> c.rtol >> c.atol >> c.inputs >> c.outputs) cases.push_back(c);
  }
  return cases;
}

std::vector<Tensor> read_tensors(const std::string& stem, int count) {
  std::vector<Tensor> tensors;
  for (int i = 0; i < count; ++i) tensors.push_back(io::onnx::read_tensor_file(stem + std::to_string(i) + ".pb"));
  return tensors;
}

double element(const Tensor& t, int64_t i) {
  const auto at = static_cast<size_t>(i);
  switch (t.dtype()) {
    case DType::f32:
      return t.values<float>()[at];
    case DType::f64:
      return t.values<double>()[at];
    case DType::f16:
      return base::f16_to_f32(t.values<uint16_t>()[at]);
    case DType::bf16:
      return base::bf16_to_f32(t.values<uint16_t>()[at]);
    case DType::i8:
      return t.values<int8_t>()[at];
    case DType::u8:
      return t.values<uint8_t>()[at];
    case DType::i16:
      return t.values<int16_t>()[at];
    case DType::u16:
      return t.values<uint16_t>()[at];
    case DType::i32:
      return t.values<int32_t>()[at];
    case DType::u32:
      return t.values<uint32_t>()[at];
    case DType::i64:
      return static_cast<double>(t.values<int64_t>()[at]);
    case DType::u64:
      return static_cast<double>(t.values<uint64_t>()[at]);
    case DType::f8e4m3:
      return base::e4m3_to_f32(static_cast<uint8_t>(t.bytes()[at]));
    case DType::f8e5m2:
      return base::e5m2_to_f32(static_cast<uint8_t>(t.bytes()[at]));
    case DType::f8e8m0:
      return base::e8m0_to_f32(static_cast<uint8_t>(t.bytes()[at]));
    default:
      return static_cast<double>(static_cast<uint8_t>(t.bytes()[at]));
  }
}

/// How far a 16-bit result of a function body may be off besides: the reference computes the whole function in one go
/// and rounds at other steps than the nodes of the body do. Two units in the last place.
double rounding_of_bodies(DType dtype, double value, const Case& c) {
  const bool body = c.name.size() > 9 && c.name.compare(c.name.size() - 9, 9, "_expanded") == 0;
  if (!body || (dtype != DType::f16 && dtype != DType::bf16)) return 0;
  const int digits = dtype == DType::f16 ? 11 : 8;
  return value == 0 ? 0 : 2 * std::ldexp(1.0, std::ilogb(value) + 1 - digits);
}

/// What differs, or an empty string. numpy's assert_allclose: |got - wanted| <= atol + rtol * |wanted|, NaN equals NaN.
/// Types of less than 8 bits are compared byte by byte.
std::string difference(const Tensor& got, const Tensor& wanted, const Case& c) {
  if (!got) return "there is no output";
  if (got.dtype() != wanted.dtype())
    return "type " + std::string(name_of(got.dtype())) + " for " + std::string(name_of(wanted.dtype()));
  if (got.shape() != wanted.shape())
    return "shape " + tensor::to_string(got.shape()) + " for " + tensor::to_string(wanted.shape());
  const int64_t count =
      tensor::is_packed(wanted.dtype()) ? static_cast<int64_t>(wanted.bytes().size()) : wanted.elements();
  for (int64_t i = 0; i < count; ++i) {
    const double a = element(got, i), b = element(wanted, i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    if (tensor::is_packed(wanted.dtype()) ||
        !(std::fabs(a - b) <= c.atol + c.rtol * std::fabs(b) + rounding_of_bodies(wanted.dtype(), b, c)))
      return "element " + std::to_string(i) + " is " + std::to_string(a) + " for " + std::to_string(b);
  }
  return {};
}

enum class Outcome { kPassed, kFailed, kUnsupported };

Outcome run_case(const std::string& folder, const Case& c, base::ThreadPool& pool, std::string& why) {
  try {
    if (c.inputs < 0 || c.outputs < 0) {
      why = "a value that is no tensor";
      return Outcome::kUnsupported;
    }
    io::Notes notes;
    graph::Graph g = io::onnx::read(folder + "/" + c.name + "/model.onnx", {}, notes);
    model::upgrade(g);
    const auto inputs = read_tensors(folder + "/" + c.name + "/input_", c.inputs);
    const auto wanted = read_tensors(folder + "/" + c.name + "/output_", c.outputs);
    for (const bool optimize : {false, true}) {
      runtime::SessionOptions options;
      options.optimize = optimize;
      runtime::Session session(g, pool, options);
      const auto got = session.run(inputs);
      if (got.size() != wanted.size()) {
        why = std::to_string(got.size()) + " outputs for " + std::to_string(wanted.size());
        return Outcome::kFailed;
      }
      for (size_t i = 0; i < got.size(); ++i) {
        why = difference(got[i], wanted[i], c);
        if (why.empty()) continue;
        why = (optimize ? "optimized: output " : "output ") + std::to_string(i) + ": " + why;
        return Outcome::kFailed;
      }
    }
    return Outcome::kPassed;
  } catch (const base::Error& e) {
    why = e.what();
    return e.kind() == base::ErrorKind::kUnsupported ? Outcome::kUnsupported : Outcome::kFailed;
  } catch (const std::exception& e) {
    why = e.what();
    return Outcome::kFailed;
  }
}

int run(const std::string& folder, const std::string& list, bool print_list) {
  const auto cases = read_index(folder);
  if (cases.empty()) {
    std::fprintf(stderr, "node_tests: no cases in %s\n", folder.c_str());
    return 1;
  }
  std::set<std::string> listed;
  std::ifstream file(list);
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') listed.insert(line);

  base::ThreadPool pool(2);
  int passed = 0, failed = 0, unsupported = 0;
  for (const Case& c : cases) {
    std::string why;
    switch (run_case(folder, c, pool, why)) {
      case Outcome::kPassed:
        ++passed;
        if (!print_list && listed.erase(c.name)) {
          ++failed;
          std::printf("NOW RUNS %s: delete its line\n", c.name.c_str());
        }
        break;
      case Outcome::kFailed:
        ++failed;
        std::printf("FAILED %s: %s\n", c.name.c_str(), why.c_str());
        break;
      case Outcome::kUnsupported:
        ++unsupported;
        if (print_list)
          std::printf("%s\n", c.name.c_str());
        else if (!listed.erase(c.name)) {
          ++failed;
          std::printf("NOT SUPPORTED %s: %s\n", c.name.c_str(), why.c_str());
        }
        break;
    }
  }
  if (!print_list)
    for (const std::string& name : listed) {
      ++failed;
      std::printf("UNKNOWN %s: delete its line\n", name.c_str());
    }
  std::fprintf(stderr, "%d passed, %d unsupported, %d failed\n", passed, unsupported, failed);
  return failed && !print_list ? 1 : 0;
}

}  // namespace
}  // namespace nibble

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: node_tests FOLDER UNSUPPORTED.txt [--list]\n");
    return 2;
  }
  return nibble::run(argv[1], argv[2], argc > 3 && std::string(argv[3]) == "--list");
}
