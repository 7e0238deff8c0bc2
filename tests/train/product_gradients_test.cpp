// Products, convolutions, pooling and Resize: forward and gradient, with every attribute.
#include "train/one_operator.h"

namespace nibble::test {

using tensor::Tensor;

namespace {

Attributes window(Ints kernel, Ints strides, Ints dilations, Ints pads) {
  return {{"kernel_shape", std::move(kernel)},
          {"strides", std::move(strides)},
          {"dilations", std::move(dilations)},
          {"pads", std::move(pads)}};
}

Attributes with(Attributes a, const Attributes& more) {
  for (const auto& [key, value] : more) a[key] = value;
  return a;
}

void add_pooling(std::vector<OperatorCase>& all) {
  const auto add = [&](const char* op, const char* name, Tensor x, Attributes attributes) {
    all.push_back({name, op, {std::move(x)}, std::move(attributes)});
  };
  const Tensor line = eighths({2, 2, 7}), plane = eighths({1, 2, 5, 6}), room = eighths({1, 1, 3, 4, 3});
  const Attributes ceil{{"ceil_mode", int64_t{1}}};
  for (const char* op : {"MaxPool", "AveragePool"}) {
    add(op, "line", line, window({3}, {2}, {1}, {1, 1}));
    add(op, "plane", plane, window({2, 3}, {1, 2}, {1, 1}, {0, 0, 0, 0}));
    add(op, "uneven_pads", plane, window({3, 2}, {2, 2}, {1, 1}, {1, 0, 0, 1}));
    add(op, "room", room, window({2, 2, 2}, {1, 2, 1}, {1, 1, 1}, {0, 0, 0, 1, 0, 0}));
    add(op, "ceil", plane, with(window({2, 2}, {2, 4}, {1, 1}, {0, 0, 0, 0}), ceil));
    add(op, "ceil_pads", plane, with(window({3, 3}, {2, 2}, {1, 1}, {1, 1, 0, 1}), ceil));
    for (const char* pad : {"SAME_UPPER", "SAME_LOWER", "VALID"})
      add(op, pad, plane, {{"kernel_shape", Ints{2, 3}}, {"strides", Ints{2, 2}}, {"auto_pad", std::string(pad)}});
  }
  add("MaxPool", "dilations", plane, window({2, 2}, {1, 1}, {2, 3}, {0, 0, 0, 0}));
  add("AveragePool", "counts_pads", plane,
      with(window({3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}), {{"count_include_pad", int64_t{1}}}));
  add("AveragePool", "counts_pads_ceil", plane,
      with(with(window({3, 3}, {2, 4}, {1, 1}, {1, 1, 0, 1}), {{"count_include_pad", int64_t{1}}}), ceil));
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"}) {
    add(op, "line", line, {});
    add(op, "plane", plane, {});
  }
}

void add_resize(std::vector<OperatorCase>& all) {
  const Tensor x = normal({1, 2, 4, 5});
  const auto add = [&](const std::string& name, const Attributes& attributes, bool by_size) {
    const std::vector<float> scales{1, 1, 1.75f, 0.6f};
    all.push_back(
        {name,
         "Resize",
         {x, {}, by_size ? Tensor() : Tensor::of<float>({4}, scales), by_size ? list_of({1, 2, 7, 3}) : Tensor()},
         attributes,
         1,
         {2},
         1.0 / 32,
         64});
  };
  for (const char* mode : {"nearest", "linear", "cubic"})
    for (const char* coordinates : {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                    "asymmetric", "tf_half_pixel_for_nn"})
      for (const bool by_size : {false, true})
        add(std::string(mode) + (by_size ? "_size_" : "_scale_") + coordinates,
            {{"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string(coordinates)}}, by_size);
  for (const char* rounding : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})
    add(rounding, {{"nearest_mode", std::string(rounding)}}, false);
  add("cubic_coefficient", {{"mode", std::string("cubic")}, {"cubic_coeff_a", -0.5f}}, false);
  all.push_back(
      {"axes", "Resize", {x, {}, {}, list_of({2, 8})}, {{"mode", std::string("linear")}, {"axes", Ints{-1, 2}}}});
}

}  // namespace

std::vector<OperatorCase> product_cases() {
  restart_numbers();
  std::vector<OperatorCase> all;
  // Sums of up to 60 products.
  const auto add = [&](const char* op, const char* name, std::vector<Tensor> inputs, Attributes attributes = {}) {
    all.push_back({name, op, std::move(inputs), std::move(attributes), 1, {}, 1.0 / 16, 64});
  };
  add("MatMul", "matrices", {normal({3, 5}), normal({5, 4})});
  add("MatMul", "batches", {normal({2, 1, 3, 5}), normal({3, 5, 2})});
  add("MatMul", "vectors", {normal({5}), normal({5})});
  add("MatMul", "vector_matrix", {normal({5}), normal({2, 5, 3})});
  add("Gemm", "plain", {normal({3, 5}), normal({5, 4})});
  add("Gemm", "all", {normal({5, 3}), normal({4, 5}), normal({3, 1})},
      {{"transA", int64_t{1}}, {"transB", int64_t{1}}, {"alpha", 0.5f}, {"beta", 2.0f}});
  add("Gemm", "alpha", {normal({3, 5}), normal({5, 4})}, {{"alpha", 0.25f}});
  add("Gemm", "bias", {normal({3, 5}), normal({5, 4}), normal({4})});
  add("Conv", "line", {normal({2, 3, 7}), normal({4, 3, 3})}, window({3}, {2}, {1}, {1, 1}));
  add("Conv", "bias", {normal({1, 2, 5, 4}), normal({3, 2, 3, 2}), normal({3})});
  add("Conv", "uneven_pads", {normal({1, 2, 5, 4}), normal({3, 2, 3, 2}), normal({3})},
      window({3, 2}, {2, 1}, {1, 2}, {1, 0, 2, 1}));
  add("Conv", "groups", {normal({1, 4, 4, 4}), normal({6, 2, 2, 2})}, {{"group", int64_t{2}}});
  add("Conv", "depthwise", {normal({2, 3, 4, 4}), normal({3, 1, 3, 3}), normal({3})},
      {{"group", int64_t{3}}, {"auto_pad", std::string("SAME_UPPER")}});
  add("Conv", "same_lower", {normal({1, 2, 5, 4}), normal({3, 2, 2, 2})},
      {{"auto_pad", std::string("SAME_LOWER")}, {"strides", Ints{2, 2}}});
  add("Conv", "room", {normal({1, 2, 3, 3, 3}), normal({2, 2, 2, 2, 2})});
  const Tensor x = normal({1, 2, 3, 4}), w = normal({2, 3, 3, 2});
  add("ConvTranspose", "plain", {x, w});
  add("ConvTranspose", "line", {normal({2, 2, 4}), normal({2, 3, 3}), normal({3})}, window({3}, {2}, {1}, {1, 0}));
  add("ConvTranspose", "all", {x, w, normal({3})},
      with(window({3, 2}, {2, 3}, {1, 2}, {1, 0, 2, 1}), {{"output_padding", Ints{1, 2}}}));
  add("ConvTranspose", "groups", {normal({1, 4, 3, 3}), normal({4, 2, 2, 2})}, {{"group", int64_t{2}}});
  add("ConvTranspose", "output_shape", {x, w}, {{"strides", Ints{2, 2}}, {"output_shape", Ints{6, 9}}});
  for (const char* pad : {"SAME_UPPER", "SAME_LOWER", "VALID"})
    add("ConvTranspose", pad, {x, w}, {{"strides", Ints{2, 2}}, {"auto_pad", std::string(pad)}});
  add_pooling(all);
  add_resize(all);
  return all;
}

NIBBLE_OPERATOR_CASES(ProductGradients, product_cases());

}  // namespace nibble::test
